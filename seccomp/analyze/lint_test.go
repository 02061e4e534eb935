package analyze

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

const (
	ld   = 0x20
	jeq  = 0x15
	jge  = 0x35
	jset = 0x45
	ret  = 0x06
)

func compiled(t testing.TB, p *seccomp.Policy, a *sysabi.Arch) seccomp.Program {
	t.Helper()
	prog, err := seccomp.Compile(p, a)
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

func profile(t testing.TB, name string) *seccomp.Policy {
	t.Helper()
	p, err := seccomp.Profile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func lint(t testing.TB, p seccomp.Program, a *sysabi.Arch) []Finding {
	t.Helper()
	x, err := Program(p, a)
	if err != nil {
		t.Fatal(err)
	}
	return x.Lint()
}

// TestLints has, for each lint, a policy or a program that it is about, and what it must say.
func TestLints(t *testing.T) {
	a := arch(t, "amd64")
	hardened := profile(t, "hardened")
	with := func(r seccomp.Rule) seccomp.Program { return compiled(t, hardened.WithRule(r), a) }
	allow := uint32(seccomp.Allow)
	eperm := seccomp.Errno(sysabi.EPERM)
	noArch := compiled(t, hardened, a)[3:] // without the prologue
	for _, c := range []struct {
		id       string
		severity Severity
		program  seccomp.Program
		want     string
	}{
		{"arch-unchecked", Error, noArch, "another architecture"},
		{"arch-foreign", Error, compiled(t, hardened, arch(t, "arm64")), "arm64 only"},
		{"x32-open", Error, compiled(t, profile(t, "baseline"), a), "ptrace"},
		{"exec-denied", Error, with(seccomp.Rule{Names: []string{"execve", "execveat"}, Else: eperm}), "cannot start"},
		{"exec-denied", Warning, with(seccomp.Rule{Names: []string{"exit_group"}, Else: eperm}), "exit_group"},
		{"nothing-allowed", Error, seccomp.Program{{Code: ret, K: uint32(eperm)}}, "all get errno EPERM"},
		{"everything-allowed", Warning, seccomp.Program{{Code: ret, K: allow}}, "every call"},
		{"denylist", Warning, compiled(t, profile(t, "baseline"), a), "future kernels"},
		{"baseline-gap", Warning, with(seccomp.Rule{Names: []string{"bpf", "setns"}, Else: seccomp.Allow}), "bpf, setns"},
		{"sibling-gap", Warning, with(seccomp.Rule{Names: []string{"fsopen"}, Else: seccomp.Allow}), "fsopen"},
		{"sibling-gap", Warning, with(seccomp.Rule{Names: []string{"clone"}, Else: seccomp.Allow}), "leaves clone open"},
		{"width", Warning, with(seccomp.Rule{Names: []string{"socket"}, Cases: []seccomp.Case{{All: []seccomp.Cond{seccomp.Is(0, seccomp.Bits64, 38)}, Then: eperm}}, Else: seccomp.Allow}), "passes with high bits"},
		{"width", Info, with(seccomp.Rule{Names: []string{"socket"}, Cases: []seccomp.Case{{All: []seccomp.Cond{seccomp.Is(0, seccomp.Bits64, 1)}, Then: seccomp.Allow}}, Else: eperm}), "high bits of argument 0"},
		{"width", Warning, with(seccomp.Rule{Names: []string{"execve"}, Cases: []seccomp.Case{{All: []seccomp.Cond{seccomp.Is(0, seccomp.Bits32, 77)}, Then: seccomp.Allow}}, Else: eperm}), "only the low 32 bits"},
		{"pointer-compare", Info, compiled(t, hardened.WithExecOnce(1<<33, 2<<33, 3<<33), a), "argument 0 is an address"},
		{"eperm-fallback", Warning, with(seccomp.Rule{Names: []string{"clone3"}, Else: eperm}), "clone3"},
		{"eperm-fallback", Warning, func() seccomp.Program { p := *hardened; p.Default = eperm; return compiled(t, &p, a) }(), "unknown numbers"},
		{"kill-thread", Warning, with(seccomp.Rule{Names: []string{"bpf"}, Else: seccomp.KillThread}), "half a process"},
		{"unknown-action", Error, with(seccomp.Rule{Names: []string{"bpf"}, Else: 0x12340000}), "0x12340000"},
		{"errno-zero", Warning, with(seccomp.Rule{Names: []string{"bpf"}, Else: seccomp.Errno(0)}), "seems to succeed"},
		{"errno-over-4095", Warning, with(seccomp.Rule{Names: []string{"bpf"}, Else: seccomp.Errno(5000)}), "lowers to 4095"},
		{"notif-without-listener", Warning, with(seccomp.Rule{Names: []string{"bpf"}, Else: seccomp.Notify}), "ENOSYS"},
		{"trace-without-tracer", Warning, with(seccomp.Rule{Names: []string{"bpf"}, Else: seccomp.Trace}), "ENOSYS"},
		{"unreachable", Info, seccomp.Program{{Code: ld}, {Code: jge, K: 10, JT: 0, JF: 3}, {Code: jeq, K: 5, JT: 0, JF: 1}, {Code: ret, K: 1}, {Code: ret, K: allow}, {Code: ret, K: allow}}, "instructions 3"},
		{"unreachable", Info, seccomp.Program{{Code: ld}, {Code: jge, K: 10, JT: 0, JF: 3}, {Code: jeq, K: 5, JT: 0, JF: 1}, {Code: ret, K: 1}, {Code: ret, K: allow}, {Code: ret, K: allow}}, "always go the same way"},
		{"uncached-all", Info, append(seccomp.Program{{Code: ld, K: 16}, {Code: ld, K: 4}, {Code: jeq, K: a.Audit(), JT: 1}, {Code: ret, K: uint32(seccomp.KillProcess)}}, noArch...), "every call runs"},
		{"unknown-numbers", Warning, append(seccomp.Program{{Code: ld}, {Code: jeq, K: 400, JF: 1}, {Code: ret, K: allow}}, compiled(t, hardened, a)...), "of their own; they may be meant for another architecture: 400"},
		{"not-decided", Warning, hostile()["products"], "too intricate"},
	} {
		found := lint(t, c.program, a)
		if !slices.ContainsFunc(found, func(f Finding) bool {
			return f.ID == c.id && f.Severity == c.severity && strings.Contains(f.String(), c.want)
		}) {
			t.Errorf("no %s %s %q in:", c.severity, c.id, c.want)
			for _, f := range found {
				t.Errorf("    %v", f)
			}
		}
		for _, f := range found {
			if f.Witness == nil {
				continue
			}
			if o, err := c.program.Run(*f.Witness); err != nil || !o.Action.Permits() {
				t.Errorf("%v: its witness %+v gets %v, %v", f, *f.Witness, o.Action, err)
			}
		}
	}
}

// TestProfilesAreClean: our own profiles have no finding but those that are meant.
func TestProfilesAreClean(t *testing.T) {
	meant := map[string][]string{
		"hardened": nil,
		"strict":   {"eperm-fallback"}, // fchmodat2 gets EPERM like every other chmod
	}
	for name, ids := range meant {
		for _, add := range []string{"", "+net-none"} {
			for _, a := range sysabi.Arches() {
				for _, f := range lint(t, compiled(t, profile(t, name+add), a), a) {
					if !slices.Contains(ids, f.ID) {
						t.Errorf("%s%s %v: %v", name, add, a, f)
					}
				}
			}
		}
	}
	weak := lint(t, compiled(t, profile(t, "baseline"), arch(t, "amd64")), arch(t, "amd64"))
	if len(weak) < 5 || weak[0].Severity != Error {
		t.Errorf("the baseline should look weak: %v", weak)
	}
}

func TestExplainGolden(t *testing.T) {
	for _, name := range []string{"hardened", "strict+net-none"} {
		a := arch(t, "amd64")
		x, err := Program(compiled(t, profile(t, name), a), a)
		if err != nil {
			t.Fatal(err)
		}
		got, path := x.Explain().String(), filepath.Join("testdata", name+".explain.txt")
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the explanation changed; review %s with UPDATE_GOLDEN=1 go test\n%s", path, got)
		}
	}
}

// TestExplanationsOfProfilesAreComplete: every call of every profile has one action for each input that matters, the policy's.
func TestExplanationsOfProfilesAreComplete(t *testing.T) {
	values := []uint64{0, 1, 2, 6, 8, 10, 15, 16, 17, 38, 0x1000, 0x2000, 0x8000, 0xc1ff, 0x5412, 0x541b, 0x541c, 0x5401, 0x20008, 0x7e020000, 0x10900, 0x10000900, 0xffffffff, 1 << 32, 1<<32 | 1, ^uint64(0)}
	for _, name := range []string{"baseline", "hardened", "hardened+net-none", "strict", "strict+debug", "hardened+debug"} {
		for _, a := range sysabi.Arches() {
			if name == "baseline" && a.String() == "riscv64" {
				continue
			}
			p := profile(t, name)
			x, err := Program(compiled(t, p, a), a)
			if err != nil {
				t.Fatal(err)
			}
			e := x.Explain()
			if !e.Decided || !x.Decided() || !slices.Equal(e.Foreign, []string{"kill_process"}) {
				t.Errorf("%s %v: decided %v, foreign %v", name, a, e.Decided, e.Foreign)
			}
			m := index(e)
			for i := range a.Len() {
				call, nr := a.At(i)
				for _, v := range values {
					for _, w := range values {
						in := seccomp.Data{NR: uint32(nr), Arch: a.Audit(), Args: [6]uint64{v, w, v}}
						if got, want := says(e, m, a, in), p.Verdict(a, in).String(); got != want {
							t.Fatalf("%s %v: %s(%#x, %#x) is explained as %q, the policy says %s", name, a, call, v, w, got, want)
						}
						if r, ok := p.Rule(call); !ok || len(r.Cases) == 0 {
							break
						}
					}
				}
			}
		}
	}
}

func TestCosts(t *testing.T) {
	for _, name := range []string{"baseline", "hardened", "strict"} {
		a := arch(t, "amd64")
		prog := compiled(t, profile(t, name), a)
		x, err := Program(prog, a)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range x.Costs() {
			for _, v := range []uint64{0, 1, 2, 10, 16, 0x5412, 0x541c, ^uint64(0)} {
				_, path, err := prog.Trace(seccomp.Data{NR: uint32(c.Number), Arch: a.Audit(), Args: [6]uint64{v, v, v, v, v, v}})
				if err != nil || len(path) < c.Least || len(path) > c.Most {
					t.Errorf("%s: %s takes %d instructions, not %d to %d (%v)", name, c.Call, len(path), c.Least, c.Most, err)
				}
			}
			if c.Cached != prog.ConstantAllow(uint32(c.Number), a.Audit()) {
				t.Errorf("%s: %s cached: %v", name, c.Call, c.Cached)
			}
			if name != "baseline" && c.Most > 25 {
				t.Errorf("%s: %s takes up to %d instructions", name, c.Call, c.Most)
			}
		}
	}
}

func TestCompareProfiles(t *testing.T) {
	a := arch(t, "amd64")
	for _, c := range []struct {
		first, second string
		fs, ss        bool
		differences   []string // the calls, if they are few
	}{
		{"hardened", "hardened", true, true, []string{}},
		{"hardened", "strict", false, true, nil},
		{"hardened", "hardened+net-none", false, true, []string{"socket", "socketpair"}},
		{"strict", "strict+net-none", true, true, []string{}},
		{"strict", "strict+debug", true, false, []string{"ptrace", "process_vm_readv", "process_vm_writev", "kcmp"}},
		{"baseline", "hardened", false, true, nil},
	} {
		got, err := Compare(compiled(t, profile(t, c.first), a), compiled(t, profile(t, c.second), a), a)
		if err != nil {
			t.Fatal(err)
		}
		if got.FirstAtLeastAsStrict != c.fs || got.SecondAtLeastAsStrict != c.ss || !got.Decided || got.Equal != (c.differences != nil && len(c.differences) == 0) {
			t.Errorf("%s and %s: %v", c.first, c.second, got)
		}
		if c.differences == nil {
			continue
		}
		var calls []string
		for _, d := range got.Differences {
			calls = append(calls, d.Call)
		}
		slices.Sort(calls)
		slices.Sort(c.differences)
		if !slices.Equal(calls, c.differences) {
			t.Errorf("%s and %s differ in %v, want %v", c.first, c.second, calls, c.differences)
		}
	}
}
