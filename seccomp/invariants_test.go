package seccomp

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
)

func run(t *testing.T, p Program, d Data) Action {
	t.Helper()
	o, err := p.Run(d)
	if err != nil {
		t.Fatal(err)
	}
	return o.Action
}

// numbersOf returns every number worth asking about.
func numbersOf() []uint32 {
	var all []uint32
	for n := uint32(0); n < 1100; n++ {
		all = append(all, n, n|0x40000000, n|0x80000000, ^n)
	}
	return append(all, 0x3fffffff, 0x7fffffff, 65535, 65536)
}

func TestEveryProfileKillsForeignArchitectures(t *testing.T) {
	forEachProfile(t, func(t *testing.T, _ string, _ *Policy, a *sysabi.Arch, prog Program) {
		for _, arch := range append(a.Foreign(), 0, 1, a.Audit()^0x80000000, a.Audit()^0x40000000, sysabi.AUDIT_ARCH_I386, sysabi.AUDIT_ARCH_ARM) {
			for _, nr := range numbersOf() {
				if got := run(t, prog, Data{NR: nr, Arch: arch}); got != KillProcess {
					t.Fatalf("arch %#x nr %d: %v", arch, nr, got)
				}
			}
		}
	})
}

func TestEveryProfileButTheBaselineRefusesX32(t *testing.T) {
	forEachProfile(t, func(t *testing.T, name string, _ *Policy, a *sysabi.Arch, prog Program) {
		if !a.HasX32() || strings.HasPrefix(name, "baseline") {
			return
		}
		want := Errno(sysabi.ENOSYS)
		if strings.HasPrefix(name, "strict") {
			want = KillProcess
		}
		for nr := uint32(0x40000000); nr < 0x40000400; nr++ {
			if got := run(t, prog, Data{NR: nr, Arch: a.Audit()}); got != want {
				t.Fatalf("nr %#x: %v, want %v", nr, got, want)
			}
		}
	})
}

func TestUnknownNumbersAreNotImplemented(t *testing.T) {
	forEachProfile(t, func(t *testing.T, name string, _ *Policy, a *sysabi.Arch, prog Program) {
		if strings.HasPrefix(name, "baseline") {
			return
		}
		for nr := range 1100 {
			if _, ok := a.Name(nr); ok {
				continue
			}
			if got := run(t, prog, Data{NR: uint32(nr), Arch: a.Audit()}); got != Errno(sysabi.ENOSYS) {
				t.Errorf("number %d: %v", nr, got)
			}
		}
	})
}

func TestNoProfileKillsThreadsOrTraces(t *testing.T) {
	forEachProfile(t, func(t *testing.T, _ string, _ *Policy, _ *sysabi.Arch, prog Program) {
		for pc, i := range prog {
			if i.Code != opRet {
				continue
			}
			switch k := Action(i.K).Kind(); k {
			case Allow, KillProcess, errnoAction:
			default:
				t.Errorf("instruction %d returns %v", pc, Action(i.K))
			}
		}
	})
}

// TestFallbacksAreNotPermissionErrors: the C library takes EPERM for these as final and ENOSYS as a hint to use the older call.
func TestFallbacksAreNotPermissionErrors(t *testing.T) {
	forEachProfile(t, func(t *testing.T, _ string, _ *Policy, a *sysabi.Arch, prog Program) {
		for _, name := range []string{"clone3", "statx", "faccessat2", "openat2", "rseq", "close_range", "io_uring_setup",
			"membarrier", "getrandom", "memfd_create", "copy_file_range", "futex_waitv", "epoll_pwait"} {
			nr, ok := a.Number(name)
			if !ok {
				continue
			}
			if got := run(t, prog, Data{NR: uint32(nr), Arch: a.Audit()}); got == Errno(sysabi.EPERM) {
				t.Errorf("%s: %v", name, got)
			}
		}
	})
}

// TestNamespacesStayClosed: no profile but the baseline gives a way to a new namespace, a mount or another process's memory.
func TestNamespacesStayClosed(t *testing.T) {
	forEachProfile(t, func(t *testing.T, name string, _ *Policy, a *sysabi.Arch, prog Program) {
		if strings.HasPrefix(name, "baseline") {
			return
		}
		closed := []string{"unshare", "setns", "clone3", "mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "fspick",
			"move_mount", "open_tree", "open_tree_attr", "mount_setattr", "chroot", "bpf", "perf_event_open", "io_uring_setup",
			"io_uring_enter", "io_uring_register", "userfaultfd", "keyctl", "add_key", "request_key", "init_module", "finit_module",
			"delete_module", "kexec_load", "kexec_file_load", "pidfd_getfd", "open_by_handle_at", "reboot", "swapon"}
		if !strings.Contains(name, "debug") {
			closed = append(closed, "ptrace", "process_vm_readv", "process_vm_writev", "kcmp")
		}
		for _, call := range closed {
			nr, ok := a.Number(call)
			if !ok {
				continue
			}
			for _, v := range []uint64{0, 1, ^uint64(0)} {
				if got := run(t, prog, Data{NR: uint32(nr), Arch: a.Audit(), Args: [6]uint64{v, v, v, v, v, v}}); got.Permits() {
					t.Errorf("%s: %v", call, got)
				}
			}
		}
		clone, _ := a.Number("clone")
		for _, flag := range []uint64{0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000} {
			for _, more := range []uint64{0, 17, 0x10900, 1 << 40} {
				if got := run(t, prog, Data{NR: uint32(clone), Arch: a.Audit(), Args: [6]uint64{flag | more}}); got.Permits() {
					t.Errorf("clone %#x: %v", flag|more, got)
				}
			}
		}
		ioctl, _ := a.Number("ioctl")
		for _, cmd := range []uint64{0x5412, 0x541c, 0x5423, 0x541d, 0x5412 | 1<<32, 0x5412 | 1<<63} {
			if got := run(t, prog, Data{NR: uint32(ioctl), Arch: a.Audit(), Args: [6]uint64{0, cmd}}); got.Permits() {
				t.Errorf("ioctl %#x: %v", cmd, got)
			}
		}
	})
}

// TestNoAdditionWidensWhatItShouldNot: strict allows nothing that hardened refuses, net-none allows nothing new, and debug only
// what debuggers need.
func TestNoAdditionWidensWhatItShouldNot(t *testing.T) {
	widens := func(t *testing.T, a *sysabi.Arch, loose, tight string, but ...string) {
		l, err := Profile(loose)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Profile(tight)
		if err != nil {
			t.Fatal(err)
		}
		for nr := range 1100 {
			name, _ := a.Name(nr)
			if strings.Contains(" "+strings.Join(but, " ")+" ", " "+name+" ") && name != "" {
				continue
			}
			r, _ := l.Rule(name)
			q, _ := s.Rule(name)
			for arg := range 4 {
				for _, v := range append(interesting(r, arg), interesting(q, arg)...) {
					d := Data{NR: uint32(nr), Arch: a.Audit()}
					d.Args[arg] = v
					if s.Verdict(a, d).Permits() && !l.Verdict(a, d).Permits() {
						t.Errorf("%v: %s allows %s(arg%d = %#x), %s does not", a, tight, name, arg, v, loose)
					}
				}
			}
		}
	}
	debug := []string{"ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "personality"}
	for _, a := range sysabi.Arches() {
		widens(t, a, "hardened", "strict")
		widens(t, a, "baseline", "hardened")
		for _, base := range Profiles() {
			widens(t, a, base, base+"+net-none")
			widens(t, a, base, base+"+debug", debug...)
			widens(t, a, base+"+debug", base)
			widens(t, a, base+"+net-none", base+"+net-none+debug", debug...)
		}
	}
}

func TestOrdinaryCallsAreCached(t *testing.T) {
	want := map[string]int{"hardened": 281, "strict": 137}
	forEachProfile(t, func(t *testing.T, name string, p *Policy, a *sysabi.Arch, prog Program) {
		n := 0
		for nr := uint32(0); nr < numbers; nr++ {
			call, _ := a.Name(int(nr))
			r, ok := p.Rule(call)
			constant := ok && len(r.Cases) == 0 && r.Else == Allow || !ok && p.Default == Allow
			if got := prog.ConstantAllow(nr, a.Audit()); got != constant {
				t.Errorf("%s (%d): cached %v, the policy allows it always: %v", call, nr, got, constant)
			}
			if constant {
				n++
			}
		}
		if w := want[name]; w != 0 && a.String() == "amd64" && n != w {
			t.Errorf("%d calls are always allowed, want %d", n, w)
		}
	})
}

// TestProfilesPartitionTheTable: each name is in the table of system calls and in one group, so that an update of either forces
// a decision.
func TestProfilesPartitionTheTable(t *testing.T) {
	f, err := os.Open("testdata/seccomp-profiles.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	group := map[string][]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if c := strings.Split(s.Text(), "\t"); !strings.HasPrefix(c[0], "#") {
			if group[c[0]] != nil {
				t.Errorf("%s is in two groups", c[0])
			}
			group[c[0]] = c[1:]
		}
	}
	for i, want := range []int{385, 327, 328} {
		a := sysabi.Arches()[i]
		if a.Len() != want {
			t.Errorf("%v has %d calls, want %d", a, a.Len(), want)
		}
		for j := range a.Len() {
			if name, _ := a.At(j); group[name] == nil {
				t.Errorf("%v: %s is in no group", a, name)
			}
		}
	}
	verdicts := map[byte]string{'a': "allow", 'r': "rule", 'p': "errno EPERM", 'n': "errno ENOSYS", 'k': "kill_process"}
	if len(profileTable) != len(group) {
		t.Errorf("zprofiles.go has %d names, the table %d: run go generate", len(profileTable), len(group))
	}
	for _, r := range profileTable {
		if g := group[r.name]; len(g) != 3 || g[0] != r.group || g[1] != verdicts[r.hardened] || g[2] != verdicts[r.strict] {
			t.Errorf("zprofiles.go has %v, the table %v: run go generate", r, g)
		}
	}
	for _, c := range []struct {
		rules  []Rule
		column func(profileRow) byte
	}{
		{hardenedRules(), func(r profileRow) byte { return r.hardened }},
		{strictRules(), func(r profileRow) byte { return r.strict }},
	} {
		n := 0
		for _, r := range profileTable {
			if c.column(r) == 'r' {
				n++
				if _, ok := (&Policy{Rules: c.rules}).Rule(r.name); !ok {
					t.Errorf("there is no argument rule for %s", r.name)
				}
			}
		}
		if n != len(c.rules) {
			t.Errorf("%d argument rules, the table has %d", len(c.rules), n)
		}
	}
}
