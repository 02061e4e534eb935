package cellinit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/sysabi"
)

func number(t *testing.T, arch, name string) uint64 {
	t.Helper()
	a, _ := sysabi.ArchByName(arch)
	n, ok := a.Number(name)
	if !ok {
		t.Fatalf("%s has no %s", arch, name)
	}
	return uint64(n)
}

// each runs a test as an ordinary child and as PID 1.
func each(t *testing.T, f func(t *testing.T, o options)) {
	t.Run("child", func(t *testing.T) { f(t, options{}) })
	t.Run("pid1", func(t *testing.T) { f(t, options{pid1: true}) })
}

func TestProbes(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			p := run(t, options{arch: arch})
			nr := func(name string) uint64 { return number(t, arch, name) }
			cwd := Immediate(^uint64(99)) // AT_FDCWD
			const unknown = 1000
			p.send(Boot{Candidates: []string{"/bin/true"}, Probes: []Probe{
				{Number: nr("getpid")},
				{Number: nr("openat"), Args: []Arg{cwd, Data([]byte("/nonexistent\x00"))}},
				{Number: nr("openat"), Args: []Arg{cwd, Data([]byte("/dev/null\x00")), Immediate(sysabi.O_CLOEXEC)}, CloseResult: true},
				{Number: nr("fcntl"), Args: []Arg{Result(1), Immediate(1)}}, // F_GETFD: FD_CLOEXEC
				{Number: nr("fcntl"), Args: []Arg{Immediate(4), Immediate(1)}},
				{Number: nr("prctl"), Args: []Arg{Immediate(3)}}, // PR_GET_DUMPABLE
				{Number: unknown},
				{Number: nr("chdir"), Args: []Arg{Data(nil)}}, // an empty path, and the last pointer of the data
			}})
			got := receive[Ready](p).Results
			want := []int64{int64(p.cmd.Process.Pid), -2, 4, 1, -9, 0, -38, -2}
			if arch != runtime.GOARCH { // the emulator has descriptors of its own, and its own idea of the flag
				want[2], want[4], want[5] = got[2], got[4], got[5]
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("results %v, want %v", got, want)
			}
			p.send(End{})
			if s := p.exit(); s != 0 {
				t.Errorf("exit status %d", s)
			}
		})
	}
}

func TestNothingRunsBeforeRelease(t *testing.T) {
	p := run(t, options{argv: []string{"sh", "-c", "echo ran"}})
	p.send(Boot{Candidates: []string{"/bin/sh"}})
	if r := receive[Ready](p); len(r.Results) != 0 {
		t.Errorf("results %v of no probes", r.Results)
	}
	if c := p.children(); c != "" {
		t.Errorf("children %s before the release", c)
	}
	p.send(Release{})
	receive[Running](p)
	if out := p.output(); out != "ran\n" {
		t.Errorf("output %q", out)
	}
}

func TestExitStatus(t *testing.T) {
	each(t, func(t *testing.T, o options) {
		for script, want := range map[string]Exit{
			"exit 0":             {},
			"exit 7":             {Code: 7},
			"exit 255":           {Code: 255},
			"kill -9 $$":         {Code: -1, Signal: 9},
			"kill -TERM $$":      {Code: -1, Signal: 15},
			"ulimit -c 0; exit ": {},
		} {
			p := shell(t, o, script)
			e := receive[Exit](p)
			if e.Code != want.Code || e.Signal != want.Signal || e.CoreDumped {
				t.Errorf("%s: %+v", script, e)
			}
			if e.Command.MaxRSS < 100<<10 || e.All.MaxRSS < e.Command.MaxRSS || e.All.User < e.Command.User {
				t.Errorf("%s: usage %+v of %+v", script, e.Command, e.All)
			}
			if o.pid1 && (e.LastPID < 2 || e.LastPID > 4) {
				t.Errorf("%s: last process number %d", script, e.LastPID)
			}
			p.send(End{})
			if s := p.exit(); s != 0 {
				t.Errorf("%s: exit status %d", script, s)
			}
		}
	})
}

func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	plain, text := filepath.Join(dir, "plain"), filepath.Join(dir, "text")
	for path, mode := range map[string]os.FileMode{plain: 0o600, text: 0o700} {
		if err := os.WriteFile(path, []byte("no program"), mode); err != nil {
			t.Fatal(err)
		}
	}
	missing, below := filepath.Join(dir, "missing"), filepath.Join(plain, "below")
	long := "/" + strings.Repeat("x", 5000)
	for _, c := range []struct {
		name string
		boot Boot
		want Failed
	}{
		{"missing", Boot{Candidates: []string{missing}}, Failed{StageExec, sysabi.ENOENT, 0}},
		{"the last error counts", Boot{Candidates: []string{missing, below}}, Failed{StageExec, sysabi.ENOTDIR, 1}},
		{"denied counts more", Boot{Candidates: []string{missing, plain, below, missing}}, Failed{StageExec, sysabi.EACCES, 1}},
		{"no shell for text", Boot{Candidates: []string{below, text, "/bin/true"}}, Failed{StageExec, sysabi.ENOEXEC, 1}},
		{"too long", Boot{Candidates: []string{missing, long, "/bin/true"}}, Failed{StageExec, sysabi.ENAMETOOLONG, 1}},
		{"empty path", Boot{Candidates: []string{""}}, Failed{StageExec, sysabi.ENOENT, 0}},
		{"no terminal", Boot{TTY: true, Candidates: []string{"/bin/true"}}, Failed{StageTerminal, sysabi.ENOTTY, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := run(t, options{})
			if got := p.start(c.boot); got != c.want {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
			if out := p.output(); out != "" { // ends: the program has closed its copy
				t.Errorf("output %q", out)
			}
			p.conn.Close()
			if s := p.exit(); s != 0 {
				t.Errorf("exit status %d", s)
			}
		})
	}
}

func TestLaterCandidateRuns(t *testing.T) {
	paths := []string{"/bin/sh/x"}
	for len(strings.Join(paths, " ")) < 60000 {
		paths = append(paths, "/nonexistent/"+strings.Repeat("y", 200))
	}
	p := run(t, options{argv: []string{"sh", "-c", "exit 5"}})
	if m, ok := p.start(Boot{Candidates: append(paths, "/bin/sh")}).(Running); !ok {
		t.Fatalf("got %#v", m)
	}
	if e := receive[Exit](p); e.Code != 5 {
		t.Errorf("got %+v", e)
	}
}

func TestCommandState(t *testing.T) {
	signal.Ignore(syscall.SIGUSR2) // of the supervisor: no matter of the command's
	defer signal.Reset(syscall.SIGUSR2)
	p := shell(t, options{}, `ls /proc/$$/fd; cut -d" " -f5-6 /proc/$$/stat; echo $$ "$CELL"
exec grep -E "^(SigBlk|SigIgn|Seccomp):" /proc/self/status`)
	got := strings.Fields(p.output())
	pid := got[5]
	want := "0 1 2 " + pid + " " + pid + " " + pid + " yes SigBlk: 0000000000000000 SigIgn: 0000000000000000 Seccomp: 0"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// noNewPrivs is PR_SET_NO_NEW_PRIVS, which a filter needs, and which the table of a cell has done.
func noNewPrivs(t *testing.T) Probe {
	return Probe{Number: number(t, runtime.GOARCH, "prctl"), Args: []Arg{Immediate(38), Immediate(1), Immediate(0), Immediate(0), Immediate(0)}}
}

func TestSupervisorDies(t *testing.T) {
	t.Run("before boot", func(t *testing.T) {
		p := run(t, options{})
		p.conn.Close()
		if s := p.exit(); s != ExitGone {
			t.Errorf("exit status %d", s)
		}
	})
	t.Run("before release", func(t *testing.T) {
		p := run(t, options{})
		p.send(Boot{Candidates: []string{"/bin/true"}})
		receive[Ready](p)
		p.conn.Close()
		if s := p.exit(); s != ExitGone {
			t.Errorf("exit status %d", s)
		}
	})
	t.Run("while the command runs", func(t *testing.T) {
		p := shell(t, options{pid1: true}, "(setsid sleep 1000 &) ; echo up; exec sleep 1000")
		p.line()
		p.conn.Close()
		if s := p.exit(); s != ExitGone {
			t.Errorf("exit status %d", s)
		}
		if out := p.output(); out != "" { // ends: the kernel has ended every process of the cell
			t.Errorf("output %q", out)
		}
	})
}

func TestEndAtAnyTime(t *testing.T) {
	for _, stage := range []int{0, 1, 2} {
		p := run(t, options{pid1: true, argv: []string{"sleep", "1000"}})
		if stage > 0 {
			p.send(Boot{Candidates: []string{"/bin/sleep"}})
			receive[Ready](p)
		}
		if stage > 1 {
			p.send(Release{})
			receive[Running](p)
		}
		p.send(End{})
		if s := p.exit(); s != 0 {
			t.Errorf("stage %d: exit status %d", stage, s)
		}
		if _, err := p.conn.Receive(); !errors.Is(err, io.EOF) {
			t.Errorf("stage %d: received %v", stage, err)
		}
	}
}
