//go:build amd64 || arm64

package spawn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// parentState lists everything that a start might change in this program.
func parentState(t *testing.T) string {
	t.Helper()
	var s []string
	add := func(format string, a ...any) { s = append(s, fmt.Sprintf(format, a...)) }
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("%v, %v", tasks, err)
	}
	lines := map[string]bool{}
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for l := range strings.Lines(string(b)) {
			for _, p := range []string{"Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp:", "SigBlk:", "SigIgn:", "SigCgt:", "Umask:"} {
				if strings.HasPrefix(l, p) {
					lines[strings.TrimSpace(l)] = true
				}
			}
		}
	}
	for l := range lines {
		s = append(s, l)
	}
	sort.Strings(s)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	add("%d descriptors", len(fds))
	wd, _ := os.Getwd()
	dumpable, _ := sysabi.Dumpable()
	var files syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files)
	limits, _ := os.ReadFile("/proc/self/limits")
	add("%s dumpable %d nofile %v sid %s\n%s\n%q", wd, dumpable, files, sid(), limits, os.Environ())
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	add("%d arenas", strings.Count(string(maps), "/dev/zero"))
	return strings.Join(s, "\n")
}

func sid() string {
	n, _, _ := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
	return fmt.Sprint(n)
}

// changing changes everything that a table can change about its own process.
func changing() table.Table {
	id := table.Num(65534)
	return table.Table{
		{Name: "starting a session", Call: "setsid"},
		{Name: "setting the umask", Call: "umask", Args: []table.Arg{table.Num(0)}},
		{Name: "changing the folder", Call: "chdir", Args: []table.Arg{table.Path("/proc")}},
		{Name: "limiting open files", Call: "prlimit64", Args: []table.Arg{table.Num(0), table.Num(7), table.Struct(append(little(33), little(44)...), "{33, 44}"), table.Null()}},
		{Name: "ignoring nothing", Call: "rt_sigaction", Args: []table.Arg{table.Num(12), table.Struct(make([]byte, 32), "{SIG_DFL}"), table.Null(), table.Num(8)}},
		dup("out", 1, 0),
		dup(table.ExecPipe, 3, sysabi.O_CLOEXEC),
		{Name: "closing", Call: "close_range", Args: []table.Arg{table.Num(4), table.Flags(0xffffffff, "~0"), table.Num(0)}},
		{Name: "opening /dev/null", Call: "openat", Args: []table.Arg{table.FD(table.ATFDCWD), table.Path("/dev/null"), table.Num(2)}, Want: table.Exactly(4)},
		{Name: "leaving groups", Call: "setgroups", Args: []table.Arg{table.Num(0), table.Null()}},
		{Name: "changing the group", Call: "setresgid", Args: []table.Arg{id, id, id}},
		{Name: "changing the user", Call: "setresuid", Args: []table.Arg{id, id, id}},
		noNewPrivs,
		unblock(),
	}
}

func little(n byte) []byte { return []byte{n, 0, 0, 0, 0, 0, 0, 0} }

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("changing credentials needs root")
	}
}

func TestParentStateIsUnchanged(t *testing.T) {
	requireRoot(t)
	counts := map[table.Form]int{table.VFork: 1000, table.Fork: 100, table.Shared: 300}
	eachForm(t, func(t *testing.T, form table.Form) {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		one := func(last table.Step) error {
			p, err := Start(Request{Form: form, Table: append(changing(), last), Handed: map[string]int{"out": int(null.Fd())}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			return p.Executed()
		}
		if err := one(executing("/bin/true")); err != nil { // also lets the runtime make its threads and its epoll
			t.Fatal(err)
		}
		before := parentState(t)
		for i := range counts[form] {
			last := executing("/bin/true")
			if i%2 == 1 {
				last = executing("/nonexistent")
			}
			if err := one(last); (err == nil) != (i%2 == 0) {
				t.Fatal(err)
			}
		}
		if after := parentState(t); after != before {
			t.Errorf("before\n%s\nafter\n%s", before, after)
		}
	})
}

// TestDumpableWithOverlappingStarts: each start clears the flag that the others must find again.
func TestDumpableWithOverlappingStarts(t *testing.T) {
	requireRoot(t)
	requireClone3(t)
	before, err := sysabi.Dumpable()
	if err != nil || before != 1 {
		t.Fatalf("the test begins with %d, %v", before, err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				p, err := Start(Request{Form: forms[i%3], Table: table.Table{
					{Name: "changing the user", Call: "setresuid", Args: []table.Arg{table.Num(65534), table.Num(65534), table.Num(65534)}},
					unblock(), executing("/bin/true"),
				}})
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(p.Executed(), p.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if after, err := sysabi.Dumpable(); err != nil || after != before {
		t.Errorf("dumpable is %d, %v", after, err)
	}
}

// TestWorkloadState looks at a program that a table started, while this program has everything different.
func TestWorkloadState(t *testing.T) {
	requireRoot(t)
	signal.Ignore(syscall.SIGUSR2)
	defer signal.Reset(syscall.SIGUSR2)
	leak, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	if _, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, leak.Fd(), syscall.F_SETFD, 0); e != 0 { // as a careless library would
		t.Fatal(e)
	}
	eachForm(t, func(t *testing.T, form table.Form) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		steps := append(changing(), executing("/bin/sh", "-c", `
			sed -n -E '/^(Uid|Gid|Groups|CapEff|NoNewPrivs|SigBlk|SigIgn):/p' /proc/self/status
			umask; pwd; ulimit -Sn; ulimit -Hn; ls /proc/$$/fd; exec readlink /proc/self/ns/pid`))
		p := start(t, Request{Form: form, Table: steps, Handed: map[string]int{"out": int(w.Fd())}, Namespaces: sysabi.CLONE_NEWUTS})
		w.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := os.Readlink("/proc/self/ns/pid")
		if err != nil {
			t.Fatal(err)
		}
		want := `Uid: 65534 65534 65534 65534 Gid: 65534 65534 65534 65534 Groups: NoNewPrivs: 1 SigBlk: 0000000000000000 SigIgn: 0000000000000000 CapEff: 0000000000000000 ` +
			"0000 /proc 33 44 0 1 2 4 " + pid
		if got := sortedFields(string(b)); got != sortedFields(want) {
			t.Errorf("got\n%s\nwant\n%s", got, sortedFields(want))
		}
		if s, err := p.Wait(); err != nil || s.Code != 0 {
			t.Errorf("%v, %v", s, err)
		}
	})
	runtime.KeepAlive(leak)
}

func sortedFields(s string) string {
	f := strings.Fields(s)
	sort.Strings(f)
	return strings.Join(f, " ")
}
