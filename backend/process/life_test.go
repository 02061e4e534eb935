//go:build linux && (amd64 || arm64)

package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
)

// live takes a cell through its life and returns what it printed.
func live(t testing.TB, p *plan.Plan) (cell.Outcome, string) {
	t.Helper()
	w, text := output(t)
	c := built(t, p, cell.Streams{Out: w, Err: w})
	b := measured(t, c)
	must(t, b.Err(), c.Release(t.Context()))
	o, err := c.Wait()
	must(t, err)
	if r := c.Destroy(); !r.Clean() {
		t.Errorf("left: %+v", r)
	}
	return o, text()
}

func TestLife(t *testing.T) {
	o, out := live(t, planned(t, `,"environment":{"A":"b"}`, "", "/bin/sh", "-c", `echo "$A"; echo err >&2; pwd; (exit 3)`))
	if o.Code != 3 || o.Signal != 0 || !strings.HasPrefix(out, "b\nerr\n/") || o.Started.IsZero() || o.Duration <= 0 || o.MaxRSS < 100<<10 || o.Tasks < 1 {
		t.Errorf("%+v, %q", o, out)
	}
	if o, _ := live(t, planned(t, "", "", "/bin/sh", "-c", "kill -9 $$")); o.Signal != 9 || o.Code != -1 {
		t.Errorf("killed: %+v", o)
	}
}

// TestEveryMode: each kind of working directory, a terminal, and a time namespace (which cannot share the supervisor's memory).
func TestEveryMode(t *testing.T) {
	for _, c := range []struct{ run, grants, script, out string }{
		{"", `"filesystem":{"workingDirectory":"read"}`, "(echo x >f) 2>/dev/null || echo no", "no\n"},
		{"", `"filesystem":{"workingDirectory":"empty"}`, "echo x >f && cat f", "x\n"},
		{"", `"filesystem":{"workingDirectory":"write"}`, "echo x >f && cat f && rm f", "x\n"},
		{"", "", "echo x >f && cat f", "x\n"},
		{`,"timeNamespace":true`, "", "echo x", "x\n"},
		{`,"seccomp":{"profile":"hardened+net-none"}`, "", "echo x", "x\n"},
		{`,"seccomp":{"profile":"baseline"}`, "", "echo x", "x\n"},
		{`,"user":{"uid":0,"gid":0}`, "", "id -u", "0\n"},
	} {
		o, out := live(t, planned(t, c.run, c.grants, "/bin/sh", "-c", c.script))
		if o.Code != 0 || out != c.out {
			t.Errorf("%s %s: %+v, %q", c.run, c.grants, o, out)
		}
	}
}

// TestChanges: the folder of changes can be read between the end of the command and that of the cell.
func TestChanges(t *testing.T) {
	p := planned(t, "", "", "/bin/sh", "-c", "echo new >made")
	c := built(t, p, cell.Streams{})
	must(t, measured(t, c).Err(), c.Release(t.Context()))
	if o, err := c.Wait(); err != nil || o.Code != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	b, err := os.ReadFile("/proc/self/fd/" + decimal(c.Changes().Fd()) + "/made")
	if err != nil || string(b) != "new\n" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(p.Work.Path, "made")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the host was changed: %v", err)
	}
	if c.Terminal() != nil {
		t.Error("a terminal that nobody asked for")
	}
}

func decimal(n uintptr) string { // strconv's is for integers that have a sign
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + string(rune('0'+n%10))
}

// TestDestroyWhileWaiting: Wait returns, and says that the end came from outside.
func TestDestroyWhileWaiting(t *testing.T) {
	c := built(t, planned(t, "", "", "/bin/sleep", "1000"), cell.Streams{})
	must(t, measured(t, c).Err(), c.Release(t.Context()))
	type end struct {
		o   cell.Outcome
		err error
	}
	ended := make(chan end, 1)
	go func() { o, err := c.Wait(); ended <- end{o, err} }()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if r := c.Destroy(); !r.Clean() {
				t.Errorf("left: %+v", r)
			}
		})
	}
	wg.Wait()
	select {
	case e := <-ended:
		if e.err == nil && e.o.Signal != int(syscall.SIGKILL) {
			t.Errorf("%+v", e)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Wait does not return")
	}
}

// TestCancelledBuild: whenever the caller gives up, nothing is left, and the error says why.
func TestCancelledBuild(t *testing.T) {
	settle(t)
	p := planned(t, "", "", "/bin/true")
	before := used(t)
	why := errors.New("the caller has lost patience")
	for i := range 40 {
		ctx, cancel := context.WithCancelCause(context.Background())
		if i == 0 {
			cancel(why)
		} else {
			time.AfterFunc(time.Duration(i)*100*time.Microsecond, func() { cancel(why) })
		}
		c, err := Backend{}.Build(ctx, p, cell.Streams{})
		if err == nil {
			if b, err := c.Measure(ctx); err == nil && !b.Holds() {
				t.Errorf("measured: %v", b.Err())
			} else if err != nil && !errors.Is(err, why) {
				t.Errorf("Measure: %v", err)
			}
			c.Destroy()
		} else if c != nil || !errors.Is(err, why) {
			t.Errorf("%v, %v", c, err)
		}
		cancel(nil)
	}
	same(t, before)
}

// TestManyCells: 200 in turn leave nothing.
func TestManyCells(t *testing.T) {
	settle(t)
	p := planned(t, "", "", "/bin/true")
	before := used(t)
	seen := map[string]bool{}
	for range 200 {
		x, err := Backend{}.Build(t.Context(), p, cell.Streams{})
		must(t, err)
		c := x.(*processCell)
		b := measured(t, c)
		must(t, b.Err(), c.Release(t.Context()))
		if o, err := c.Wait(); err != nil || o.Code != 0 {
			t.Fatalf("%+v, %v", o, err)
		}
		if r := c.Destroy(); !r.Clean() {
			t.Fatalf("left: %+v", r)
		}
		seen[c.identity.pidNamespace] = true
	}
	if len(seen) == 0 || seen[""] {
		t.Errorf("pid namespaces %v", seen)
	}
	same(t, before)
}

// TestManyCellsAtOnce is for the race detector.
func TestManyCellsAtOnce(t *testing.T) {
	settle(t)
	p := planned(t, "", "", "/bin/sh", "-c", "exit 5")
	before := used(t)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			c, err := Backend{}.Build(t.Context(), p, cell.Streams{})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Destroy()
			b, err := c.Measure(t.Context())
			if err = errors.Join(err, b.Err(), c.Release(t.Context())); err != nil {
				t.Error(err)
				return
			}
			if o, err := c.Wait(); err != nil || o.Code != 5 {
				t.Errorf("%+v, %v", o, err)
			}
			if r := c.Destroy(); !r.Clean() {
				t.Errorf("left: %+v", r)
			}
		})
	}
	wg.Wait()
	same(t, before)
}

// TestEmptyStreams: nil streams are empty, not the supervisor's.
func TestEmptyStreams(t *testing.T) {
	w, text := output(t)
	c := built(t, planned(t, "", "", "/bin/sh", "-c", "cat; readlink /proc/self/fd/0 /proc/self/fd/2; ls /proc/self/fd | wc -l"), cell.Streams{Out: w})
	must(t, measured(t, c).Err(), c.Release(t.Context()))
	if o, err := c.Wait(); err != nil || o.Code != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	c.Destroy()
	if got := text(); got != "/dev/null\n/dev/null\n4\n" { // 0, 1, 2, and the one that ls reads the folder with
		t.Errorf("%q", got)
	}
}

// TestLeftProcessesAreFound: a process of the cell that escaped its end would be found.
func TestLeftProcessesAreFound(t *testing.T) {
	c := built(t, planned(t, "", "", "/bin/sleep", "1000"), cell.Streams{})
	must(t, measured(t, c).Err(), c.Release(t.Context()))
	if left := scanProcesses(c.identity); len(left) != 2 { // PID 1 and the command
		t.Errorf("a running cell has processes %v", left)
	}
	ns, err := os.Open("/proc/" + decimal(uintptr(c.PID())) + "/ns/pid")
	must(t, err)
	running := &processCell{namespace: ns, identity: c.identity}
	running.lastPID.Store(2)
	if left := running.leftProcesses(); len(left) != 2 {
		t.Errorf("a running cell has processes %v", left)
	}
	if r := c.Destroy(); !r.Clean() {
		t.Errorf("left: %+v", r)
	}
	if left := scanProcesses(c.identity); left != nil {
		t.Errorf("after its end %v", left)
	}
	if left := leftMounts(); left != nil {
		t.Errorf("mounts %v", left)
	}
}
