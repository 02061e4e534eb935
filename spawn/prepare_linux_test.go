//go:build amd64 || arm64

package spawn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

const preparedNamespaces = sysabi.CLONE_NEWUSER | sysabi.CLONE_NEWPID | sysabi.CLONE_NEWNS | sysabi.CLONE_NEWNET

func prepared(t testing.TB) *Prepared {
	t.Helper()
	p, err := Prepare(preparedNamespaces)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// reading starts a shell that says what it has, with its output in a pipe that was made after the process.
func reading(t testing.TB, p *Prepared, script string, more ...*os.File) (*Process, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { r.Close() })
	handed := map[string]int{"out": int(w.Fd())}
	tab := table.Table{dup("out", 1, 0)}
	for i, f := range more {
		name := fmt.Sprint("file", i)
		handed[name] = int(f.Fd())
		tab = append(tab, dup(name, 3+i, 0))
	}
	end := 3 + len(more)
	tab = append(tab, dup(table.ExecPipe, end, sysabi.O_CLOEXEC),
		table.Step{Name: "closing the rest", Call: "close_range", Args: []table.Arg{table.Num(uint64(end + 1)), table.Flags(0xffffffff, "~0"), table.Num(0)}},
		unblock(), executing("/bin/sh", "-c", script))
	q, err := p.Start(tab, handed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q, r
}

// TestPrepared: the process has its namespaces before its table is known, and of the maker's descriptors only those that it is given.
func TestPrepared(t *testing.T) {
	requireClone3(t)
	p := prepared(t)
	for _, n := range []string{"user", "pid", "mnt", "net"} {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.PID(), n))
		ours, _ := os.Readlink("/proc/self/ns/" + n)
		if err != nil || theirs == ours {
			t.Errorf("namespace %s is %s, ours is %s, %v", n, theirs, ours, err)
		}
	}
	var files []*os.File
	for i := range 5 {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fmt.Fprintf(f, "%d\n", i)
		f.Seek(0, io.SeekStart)
		files = append(files, f)
	}
	q, out := reading(t, p, `echo $$; cat <&3 <&4; for i in 3 4 5 6 7; do cat <&$i; done; exec ls /proc/self/fd 0</dev/null`, files...)
	if err := q.Executed(); err != nil {
		t.Fatal(err)
	}
	// /proc is the host's here, where the process has another number than in its namespace, so ls lists none; what counts is cat's.
	got, err := io.ReadAll(out)
	if want := "1\n1\n0\n2\n3\n4\n"; err != nil || !strings.HasPrefix(string(got), want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if s, err := q.Wait(); err != nil || s.Signal != 0 {
		t.Errorf("%v, %v", s, err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("closing what was started: %v", err)
	}
}

// TestPreparedFailures: steps are numbered as in the table, and nothing is left of a process that could not go on.
func TestPreparedFailures(t *testing.T) {
	requireClone3(t)
	p := prepared(t)
	q, err := p.Start(table.Table{unblock(), {Name: "closing nothing", Call: "close", Args: []table.Arg{table.FD(40)}}, executing("/bin/true")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var step *StepError
	if err := q.Executed(); !errors.As(err, &step) || step.Index != 1 || step.Errno != sysabi.EBADF {
		t.Errorf("%v", err)
	}

	for name, c := range map[string]struct {
		table  table.Table
		handed map[string]int
		want   string
	}{
		"no table":     {nil, nil, "table"},
		"a descriptor": {table.Table{dup("out", 1, 0), unblock(), executing("/bin/true")}, nil, `no descriptor "out"`},
		"a closed one": {table.Table{dup("out", 1, 0), unblock(), executing("/bin/true")}, map[string]int{"out": 9999}, "bad file descriptor"},
		"a name":       {table.Table{unblock(), executing("/bin/true")}, map[string]int{table.ExecPipe: 1}, "reserved"},
	} {
		p := prepared(t)
		pid := p.PID()
		if q, err := p.Start(c.table, c.handed); err == nil || q != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: process %d is still there", name, pid)
		}
	}
	if _, err := Prepare(sysabi.CLONE_NEWTIME); err == nil || !strings.Contains(err.Error(), "time namespace") {
		t.Errorf("a time namespace: %v", err)
	}
}

// TestPreparedAndNotUsed: closing ends it, twice is no error, and nothing of ours is lost.
func TestPreparedAndNotUsed(t *testing.T) {
	requireClone3(t)
	before := parentState(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			p, err := Prepare(preparedNamespaces)
			if err != nil {
				t.Error(err)
				return
			}
			pid := p.PID()
			for range 2 {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d is still there", pid)
			}
		})
	}
	all.Wait()
	if after := parentState(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestPreparedEndsWithItsMaker: when the maker is killed nothing holds the process.
func TestPreparedEndsWithItsMaker(t *testing.T) {
	requireClone3(t)
	maker := exec.Command(os.Args[0], "-test.run=^$")
	maker.Env = append(os.Environ(), makerVariable+"=1")
	hold, err := maker.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	out, err := maker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := maker.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	} else if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatal(err)
	}
	const pidfdOpen = 434 // the same on every architecture
	fd, _, errno := syscall.Syscall(pidfdOpen, uintptr(pid), 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer syscall.Close(int(fd))
	maker.Process.Kill()
	maker.Wait()
	var set syscall.FdSet
	set.Bits[fd/64] |= 1 << (fd % 64)
	if n, err := syscall.Select(int(fd)+1, &set, nil, nil, &syscall.Timeval{Sec: 60}); n != 1 || err != nil {
		t.Errorf("process %d goes on without its maker: %d, %v", pid, n, err)
	}
}

const makerVariable = "CELLOS_SPAWN_TEST_MAKER"

// prepareAndHold is the maker of TestPreparedEndsWithItsMaker.
func prepareAndHold() {
	p, err := Prepare(preparedNamespaces)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
