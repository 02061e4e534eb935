//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/host"
	"cellos.io/cellos/plan"
)

// A command that uses up the machine's memory is ended by the guest's kernel, and the outcome says so as a claim; what else runs there
// lives on, and so does the guest's first process.
func TestMemoryOfMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("a machine more")
	}
	b := backend(t)
	a := &authority.Authority{ID: "memory", Command: authority.Command{Argv: []string{"/bin/sh", "-c", `python3 -c 'x=[]
while True: x.append(bytearray(1<<20))'; echo status $?; exec python3 -c 'x=[]
while True: x.append(bytearray(1<<20))'`}, Env: []authority.Variable{{Name: "PATH", Value: authority.Path}}, Hostname: "cell"},
		Work: authority.Work{Path: "/work", Mode: authority.Empty}, Syscalls: "hardened", Limits: authority.Limits{Processes: 16, Scratch: 8 << 20, Memory: 96 << 20}}
	h, err := host.Describe(plan.Paths(a))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.ForGuest(a, h, b.Facts)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Build(t.Context(), p, cell.Streams{Out: w, Err: w})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Destroy() })
	released(t, c)
	o, err := c.Wait()
	if err != nil || o.Signal != int(syscall.SIGKILL) || !o.OutOfMemory() || !o.Group.Claimed || o.Group.OOMKills < 2 || o.Group.Memory != p.Machine.Memory {
		t.Errorf("%+v, %+v, %v", o, o.Group, err)
	}
	if out, err := io.ReadAll(r); err != nil || !strings.Contains(string(out), "status 137\n") {
		t.Errorf("printed %q, %v", out, err)
	}
}

func released(t *testing.T, c cell.Cell) {
	t.Helper()
	bound, err := c.Measure(t.Context())
	if err = errors.Join(err, bound.Err()); err == nil {
		err = c.Release(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A machine that stands still while its command runs is given up.
func TestMachineHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("a machine more")
	}
	b := backend(t)
	b.Silence = 30 * time.Second // a machine that is slow is no machine that hangs
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := machine(t, b, workdir(t), w, "/bin/sh", "-c", "echo running; sleep 1000")
	w.Close()
	released(t, c)
	if _, err := io.ReadFull(r, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	for _, pid := range descendants(t, c.PID()) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.Wait()
	var end *microvm.EndError
	if !errors.As(err, &end) || end.Reason != "guest_hang" {
		t.Errorf("the end is %v", err)
	}
	if res := c.Destroy(); !res.Clean() {
		t.Errorf("left: %+v", res)
	}
}

// descendants are the processes below one.
func descendants(t *testing.T, pid int) (list []int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for f := range strings.FieldsSeq(string(b)) {
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			list = append(append(list, n), descendants(t, n)...)
		}
	}
	return list
}

// A kernel that finds no first process panics, and its own words are in the error.
func TestKernelPanics(t *testing.T) {
	if testing.Short() {
		t.Skip("a machine more")
	}
	b := backend(t)
	b.Program = filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(b.Program, []byte("no program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := planOf(b, workdir(t), 1<<20, "/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Build(context.Background(), p, cell.Streams{})
	var end *microvm.EndError
	if !errors.As(err, &end) || end.Reason != "guest_panic" || !strings.Contains(err.Error(), "No working init found") {
		t.Errorf("the end is %v", err)
	}
}
