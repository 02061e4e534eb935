//go:build amd64 || arm64

package spawn

import (
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// TestLayout: the assembly takes its offsets from record (go_asm.h), package table writes by its own.
func TestLayout(t *testing.T) {
	var r record
	got := [5]uintptr{unsafe.Sizeof(r), unsafe.Offsetof(r.number), unsafe.Offsetof(r.args), unsafe.Offsetof(r.want), unsafe.Offsetof(r.tolerate)}
	if want := [5]uintptr{table.RecordSize, table.OffsetNumber, table.OffsetArgs, table.OffsetWant, table.OffsetTolerate}; got != want {
		t.Errorf("layout %v, table writes %v", got, want)
	}
}

// TestRoutineWithClone runs the routine with clone(2) in place of clone3(2): the same code, made to run under user-mode
// emulation, which has no clone3. The child is a plain fork.
func TestRoutineWithClone(t *testing.T) {
	clone, ok := sysabi.NativeArch().Number("clone")
	if !ok {
		t.Fatal("no clone")
	}
	mkdir := func(path string, tolerate ...sysabi.Errno) table.Step {
		return table.Step{Name: "making a folder", Call: "mkdirat", Args: []table.Arg{table.FD(table.ATFDCWD), table.Path(path), table.Num(0)}, Tolerate: tolerate}
	}
	umask := func(n uint64, want int) table.Step {
		return table.Step{Name: "umask", Call: "umask", Args: []table.Arg{table.Num(n)}, Want: table.Exactly(want)}
	}
	six := table.Step{Name: "six arguments", Call: "prctl", Args: []table.Arg{table.Num(38), table.Num(1), table.Num(0), table.Num(0), table.Num(0), table.Num(9)}}
	for _, c := range []struct {
		name                 string
		steps                table.Table
		step, outcome, value int
		status               int
	}{
		{"executed", table.Table{six, unblock(), executing("/bin/sh", "-c", "exit 42")}, 2, outcomeNone, 0, 42},
		{"failed", table.Table{umask(0o22, 0o27), mkdir("/"), unfinished}, 1, outcomeErrno, int(sysabi.EEXIST), 127},
		{"first of four tolerated", table.Table{umask(0o22, 0o27), mkdir("/", sysabi.EEXIST, 1, 2, 3), executing("/x")}, 2, outcomeErrno, int(sysabi.ENOENT), 127},
		{"last of four tolerated", table.Table{umask(0o22, 0o27), mkdir("/", 4095, 1, 2, sysabi.EEXIST), executing("/x")}, 2, outcomeErrno, int(sysabi.ENOENT), 127},
		{"others tolerated", table.Table{umask(0o22, 0o27), mkdir("/", 4095, 1, 2, 3), executing("/x")}, 1, outcomeErrno, int(sysabi.EEXIST), 127},
		{"unwanted", table.Table{umask(0o77, 0o27), umask(0, 1), unfinished}, 1, outcomeResult, 0o77, 127},
		{"no such call", table.Table{{Name: "x", Call: "keyctl", Args: []table.Arg{table.Num(999)}}, unfinished}, 0, outcomeErrno, -1, 127},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.steps.Validate(table.Fork); err != nil {
				t.Fatal(err)
			}
			a, err := newArena(c.steps.Size(), true)
			if err != nil {
				t.Fatal(err)
			}
			defer a.release()
			image, base := a.image()
			if err := c.steps.Link(image, base, sysabi.NativeArch(), nil); err != nil {
				t.Fatal(err)
			}
			old := syscall.Umask(0o27)
			syscall.ForkLock.Lock()
			pid, errno := a.raw(uintptr(clone), sysabi.SIGCHLD, 0, len(c.steps))
			syscall.ForkLock.Unlock()
			syscall.Umask(old)
			if errno != 0 {
				t.Fatal(errno)
			}
			var ws syscall.WaitStatus
			if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil {
				t.Fatal(err)
			}
			step, outcome, value := a.outcome()
			if c.value < 0 {
				value = ^uint64(0)
			}
			if step != c.step || outcome != uint64(c.outcome) || value != uint64(c.value) || ws.ExitStatus() != c.status {
				t.Errorf("on %s: step %d outcome %d value %d status %d", runtime.GOARCH, step, outcome, value, ws.ExitStatus())
			}
		})
	}
	// The call itself fails: CLONE_SIGHAND without CLONE_VM.
	a, err := newArena(0+8, true)
	if err != nil {
		t.Fatal(err)
	}
	defer a.release()
	if pid, errno := a.raw(uintptr(clone), 0x800|sysabi.SIGCHLD, 0, 0); pid != -1 || errno != sysabi.EINVAL {
		t.Errorf("clone with wrong flags: %d, %v", pid, errno)
	}
}
