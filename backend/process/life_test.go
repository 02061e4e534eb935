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
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
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

// TestPromisesThatDoNotHold: the boundary says so, before anything of the command ran.
func TestPromisesThatDoNotHold(t *testing.T) {
	settle(t)
	dir := workdir(t)
	base := planned(t, "", `"filesystem":{"write":["`+dir+`"]}`, "/bin/sh", "-c", "echo ran >"+dir+"/ran")
	before := used(t)
	for _, c := range []struct {
		name, layer, text string
		doctor            func(p *plan.Plan)
	}{
		{"a mount that is not there", plan.LayerMount, "/extra is not mounted", func(p *plan.Plan) {
			p.Mounts = append(p.Mounts[:len(p.Mounts):len(p.Mounts)], plan.Mount{At: "/extra"})
		}},
		{"a probe that gets another answer", plan.LayerIdentity, "asking who it is: success instead of EPERM", func(p *plan.Plan) {
			p.Boot.Probes = append(p.Boot.Probes[:len(p.Boot.Probes):len(p.Boot.Probes)], plan.Probe{Layer: plan.LayerIdentity, Name: "asking who it is", Call: "getuid", Want: []sysabi.Errno{sysabi.EPERM}})
		}},
		{"a probe that must succeed", plan.LayerNet, "opening nothing: ENOENT instead of success", func(p *plan.Plan) {
			p.Boot.Probes = append(p.Boot.Probes[:len(p.Boot.Probes):len(p.Boot.Probes)], plan.Probe{Layer: plan.LayerNet, Name: "opening nothing", Call: "openat",
				Args: []plan.Operand{{Value: ^uint64(99)}, {Data: []byte("/nothing\x00")}, {}}})
		}},
		{"a promise that nothing measures", "magic", "from outside: not measured", func(p *plan.Plan) {
			p.Promises = append(p.Promises[:len(p.Promises):len(p.Promises)], plan.Promise{Layer: "magic", What: "something"})
		}},
		{"a filter that is not loaded", plan.LayerSeccomp, "instead of", func(p *plan.Plan) { p.Table = drop(p.Table, "seccomp") }},
		{"no Landlock", plan.LayerLandlock, "reading a file that no grant names: success instead of EACCES", func(p *plan.Plan) { p.Table = drop(p.Table, "landlock_restrict_self") }},
		{"the limit of processes", plan.LayerLimits, "processes ", func(p *plan.Plan) { p.Table = dropArg(p.Table, "RLIMIT_NPROC") }},
		{"the bounding set is kept", plan.LayerIdentity, "/1/0 (inheritable", func(p *plan.Plan) { p.Table = dropArg(p.Table, "PR_CAPBSET_DROP 0") }},
		{"the root can be written", plan.LayerMount, "is not mounted ro", func(p *plan.Plan) { p.Table = dropName(p.Table, "making the cell's root ro,nosuid,nodev") }},
		{"the caller's session", plan.LayerSession, "session ", func(p *plan.Plan) { p.Table = drop(p.Table, "setsid") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := *base
			c.doctor(&p)
			x, err := Backend{}.Build(t.Context(), &p, cell.Streams{})
			must(t, err)
			b, err := x.Measure(t.Context())
			must(t, err)
			wrong := map[string]cell.Layer{}
			for _, l := range b.Layers {
				if !l.Holds {
					wrong[l.Name] = l
				}
			}
			if _, ok := wrong[c.layer]; !ok || b.Holds() {
				t.Errorf("%s holds; what does not: %v", c.layer, wrong)
			} else if err := b.Err(); !strings.Contains(err.Error(), "the boundary does not hold: "+c.layer+": promised ") || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
			if r := x.Destroy(); !r.Clean() {
				t.Errorf("left: %+v", r)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the command ran: %v", err)
	}
	same(t, before)
}

func drop(steps table.Table, call string) table.Table {
	return filter(steps, func(s table.Step) bool { return s.Call != call })
}

func dropName(steps table.Table, name string) table.Table {
	return filter(steps, func(s table.Step) bool { return s.Name != name })
}

func dropArg(steps table.Table, args string) table.Table {
	return filter(steps, func(s table.Step) bool {
		var text []string
		for _, a := range s.Args {
			text = append(text, a.String())
		}
		return !strings.Contains(strings.Join(text, " "), args) || strings.Contains(args, " ") && !strings.HasSuffix(strings.Join(text, " "), args)
	})
}

func filter(steps table.Table, keep func(table.Step) bool) (kept table.Table) {
	for _, s := range steps {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// TestBuildFails: the step that failed is named, and nothing is left.
func TestBuildFails(t *testing.T) {
	settle(t)
	base := planned(t, "", "", "/bin/true")
	before := used(t)
	for _, c := range []struct {
		name, text string
		doctor     func(p *plan.Plan)
	}{
		{"a step", "(mounting nothing): no such file or directory", func(p *plan.Plan) {
			p.Table = append(table.Table{{Name: "mounting nothing", Call: "chdir", Args: []table.Arg{table.Path("/nothing")}}}, p.Table...)
		}},
		{"a table that is none", "no steps", func(p *plan.Plan) { p.Table = nil }},
		{"an unknown descriptor", "<unknown>", func(p *plan.Plan) {
			p.Table = append(table.Table{{Name: "placing", Call: "dup3", Args: []table.Arg{table.Handed("<unknown>"), table.FD(9), table.Num(0)}}}, p.Table...)
		}},
		{"another architecture", "", func(p *plan.Plan) { p.Arch = "riscv64" }},
		{"a tree that is gone", "/nothing/there", func(p *plan.Plan) {
			p.Handed = append(p.Handed[:len(p.Handed):len(p.Handed)], plan.Handed{Name: "tree /x", Tree: &plan.Tree{Path: "/nothing/there"}})
			p.IDs.HostUID, p.IDs.HostGID = uint32(max(1, os.Getuid())), uint32(max(1, os.Getgid()))
		}},
	} {
		p := *base
		c.doctor(&p)
		x, err := Backend{}.Build(t.Context(), &p, cell.Streams{})
		if err == nil || x != nil || !strings.Contains(err.Error(), c.text) && os.Getuid() == 0 {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "bug") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	same(t, before)
}

func TestCannotStart(t *testing.T) {
	text := filepath.Join(workdir(t), "text")
	must(t, os.WriteFile(text, []byte("hello"), 0o644))
	for _, c := range []struct {
		argv string
		err  error
		path string
	}{
		{"/nothing/there", sysabi.ENOENT, "/nothing/there"}, {"nothing-there", sysabi.ENOENT, "/usr/local/bin/nothing-there"}, {"/usr", sysabi.EACCES, "/usr"},
		{"/etc/passwd", sysabi.EACCES, "/etc/passwd"}, {"/etc/passwd/x", sysabi.ENOTDIR, "/etc/passwd/x"},
	} {
		x := built(t, planned(t, "", "", c.argv), cell.Streams{})
		must(t, measured(t, x).Err())
		err := x.Release(t.Context())
		var s *cell.StartError
		if !errors.As(err, &s) || !errors.Is(err, c.err) || s.Stage != "" {
			t.Errorf("%s: %v", c.argv, err)
		}
		if r := x.Destroy(); !r.Clean() {
			t.Errorf("left: %+v", r)
		}
	}
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
