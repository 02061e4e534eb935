//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/overlay"
	"cellos.io/cellos/plan"
)

// poolOf runs a pool in this process until end is called or the test ends.
func poolOf(t *testing.T, b microvm.Backend, p *plan.Plan, size int) (dir string, end func()) {
	t.Helper()
	dir = filepath.Join(workdir(t), "pool")
	l, done, err := microvm.ListenPool(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	pool := &microvm.Pool{Backend: b, Plan: p, Size: size, Log: func(s string) { t.Log(s) }}
	go func() { served <- pool.Serve(ctx, l) }()
	ended := false
	end = func() {
		if !ended {
			ended = true
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
			done()
		}
	}
	t.Cleanup(end)
	ready(t, dir, size)
	return dir, end
}

// ready waits until machines are.
func ready(t *testing.T, dir string, n int) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		s, err := microvm.StatusOfPool(dir, false)
		if err == nil && s.Ready >= n {
			return
		}
		if err == nil && s.Failed != "" || time.Now().After(deadline) {
			t.Fatalf("the pool has %+v, %v", s, err)
		}
	}
}

// pooledCell is a cell in a machine of a pool, released.
func pooledCell(t *testing.T, b microvm.Backend, dir string, in, out *os.File, argv ...string) (cell.Cell, cell.Boundary) {
	t.Helper()
	p, err := planOf(b, dir, 64<<20, argv...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Build(context.Background(), p, cell.Streams{In: in, Out: out, Err: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Destroy() })
	bound, err := c.Measure(context.Background())
	if err != nil || bound.Err() != nil {
		t.Fatal(err, bound.Err())
	}
	if err := c.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
	return c, bound
}

// Two machines of a pool are two machines; each is given away once, measured as one that was booted for its cell; and a cell outlives the
// pool.
func TestPool(t *testing.T) {
	b := backend(t)
	b.Phase = nil
	work := workdir(t)
	if err := os.WriteFile(filepath.Join(work, "given"), []byte("granted\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := planOf(b, workdir(t), 64<<20, "/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	dir, end := poolOf(t, b, p, 2)
	if _, _, err := microvm.ListenPool(dir); err == nil || !strings.Contains(err.Error(), "runs there already") {
		t.Errorf("a second pool in its place: %v", err)
	}
	b.Pool = &microvm.Pooled{Dir: dir}
	other, err := planOf(b, work, 1<<30, "/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	var none *microvm.NoMachineError
	if _, err := b.Build(context.Background(), other, cell.Streams{}); !errors.As(err, &none) || !strings.Contains(none.Text, "memory of MiB") || none.Remedy == "" {
		t.Errorf("a cell that needs another machine: %v", err)
	}
	const script = `cat given; echo changed >given; cat /proc/sys/kernel/random/boot_id; od -An -tx1 -N32 /dev/urandom | tr -d ' \n'; echo; date +%s; read x; echo "end $x"`
	var said [2][]string
	var cells [2]cell.Cell
	var ins [2]*os.File
	var outs [2]*os.File
	before := time.Now().Unix()
	for i := range cells {
		in, inw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		outr, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var bound cell.Boundary
		cells[i], bound = pooledCell(t, b, work, in, out, "/bin/sh", "-c", script)
		in.Close()
		out.Close()
		ins[i], outs[i] = inw, outr
		if bound.Start.How != "pooled" || bound.Start.Waited <= 0 {
			t.Errorf("the evidence says that it started %+v", bound.Start)
		}
		saw := map[string]string{}
		for _, l := range bound.Layers {
			saw[l.Name] = l.Outside
		}
		if !strings.Contains(saw[plan.LayerMachine], "sha256:") || !strings.Contains(saw[plan.LayerMachine], "booted by the pool") || !strings.Contains(saw[plan.LayerMonitor], "probes answered as they must") {
			t.Errorf("seen from outside: %q", saw)
		}
	}
	if _, err := b.Build(context.Background(), p, cell.Streams{}); !errors.As(err, &none) {
		t.Errorf("a third machine of two: %v", err)
	}
	end() // the cells are not the pool's any more
	for i, c := range cells {
		if _, err := io.WriteString(ins[i], "of it\n"); err != nil {
			t.Fatal(err)
		}
		ins[i].Close()
		o, err := c.Wait()
		if err != nil || o.Code != 0 {
			t.Errorf("%+v, %v", o, err)
		}
		text, err := io.ReadAll(outs[i])
		if err != nil {
			t.Fatal(err)
		}
		outs[i].Close()
		said[i] = strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(said[i]) != 5 || said[i][0] != "granted" || len(said[i][1]) != 36 || len(said[i][2]) != 64 || said[i][4] != "end of it" {
			t.Fatalf("it printed %q", text)
		}
		if now, err := strconv.ParseInt(said[i][3], 10, 64); err != nil || now < before || now > time.Now().Unix() {
			t.Errorf("its clock says %q between %d and %d", said[i][3], before, time.Now().Unix())
		}
		list, err := overlay.Changes(c.Changes(), work, overlay.Limits{})
		if err != nil || len(list.Changes) != 1 || list.Changes[0].Path != "given" || list.Changes[0].What != overlay.Modified {
			t.Errorf("it changed %+v, %v", list.Changes, err)
		}
		if res := c.Destroy(); !res.Clean() {
			t.Errorf("left: %+v", res)
		}
	}
	if said[0][1] == said[1][1] || said[0][2] == said[1][2] {
		t.Errorf("two machines say the same: %q and %q", said[0], said[1])
	}
	if _, err := b.Build(context.Background(), p, cell.Streams{}); !errors.As(err, &none) || !strings.Contains(none.Text, "no pool runs") {
		t.Errorf("without a pool: %v", err)
	}
}

const poolWord = "be-a-pool"

// bePool keeps a pool until it is killed.
func bePool(text string) {
	var s supervised
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	b := s.backend(func(name string) {
		if name == s.Phase {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	p, err := planOf(b, s.Work, s.Scratch, "/bin/true")
	if err != nil {
		panic(err)
	}
	l, _, err := microvm.ListenPool(s.Pool)
	if err != nil {
		panic(err)
	}
	fmt.Println("listening")
	panic((&microvm.Pool{Backend: b, Plan: p, Size: max(1, s.Size), Log: func(s string) { fmt.Fprintln(os.Stderr, s) }}).Serve(context.Background(), l))
}

// startPool starts one as a process.
func (s supervised) startPool(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd, said := s.command(t, poolWord)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	return cmd
}

// A pool that is killed, whenever that is, leaves no machine but those that it gave away; and a run that is killed none that it was given.
func TestPoolKilled(t *testing.T) {
	b := backend(t)
	mib := 1100 + uint64(os.Getpid())%397 // a size that no other machine is likely to have: it marks this one
	s := supervised{Kernel: b.Kernel, Program: b.Program, Facts: b.Facts, QEMU: b.Monitor.(microvm.QEMU).Program, Images: b.Store.Dir(), Work: workdir(t), Scratch: mib << 20,
		Pool: filepath.Join(workdir(t), "pool")}
	p, err := planOf(b, s.Work, s.Scratch, "/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("-m\x00%dM\x00", p.Machine.Memory>>20)
	sockets := viewSockets(t)
	if !testing.Short() {
		for _, s.Phase = range []string{"images", "monitor's cell", "monitor's start", "monitor's answer"} {
			s.startPool(t).Wait()
			nothing(t, "after "+s.Phase, mark, s.Images, sockets)
		}
	}
	s.Phase = ""
	pool := s.startPool(t)
	ready(t, s.Pool, 1)
	run, _ := s.start(t) // its command runs
	pool.Process.Kill()
	pool.Wait()
	if err := run.Process.Signal(syscall.Signal(0)); err != nil || len(remains(t, mark, s.Images, sockets)) == 0 {
		t.Errorf("the cell ended with the pool: %v", err)
	}
	run.Process.Kill()
	run.Wait()
	nothing(t, "with its cell", mark, s.Images, sockets)

	pool = s.startPool(t) // in the place of the one that was killed
	ready(t, s.Pool, 1)
	pool.Process.Kill()
	pool.Wait()
	nothing(t, "while it waited", mark, s.Images, sockets)
}
