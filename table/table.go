package table

import (
	"slices"
	"strconv"

	"cellos.io/cellos/sysabi"
)

// Step is one system call of a table.
type Step struct {
	// Name says what is being done to what, for error messages: `mounting proc on "/proc"`. The child never sees it.
	Name string
	// Layer is the layer of the boundary that the step builds, such as "mounts" or "landlock". It may be empty.
	Layer string
	// Call is the name of the system call.
	Call string
	// Args are at most six; the rest is zero.
	Args []Arg
	// Tolerate lists at most four errors that are no failure.
	Tolerate []sysabi.Errno
	// Want is the result that the call must have. The zero value accepts any result that is not an error.
	Want Result
}

// Result is what a step must return. The zero value accepts everything.
type Result struct {
	set bool
	n   int
}

// Exactly is the result n, which may not be negative: errors are stated with [Step.Tolerate].
func Exactly(n int) Result { return Result{set: true, n: n} }

// Value returns the exact result, and whether there is one.
func (r Result) Value() (n int, ok bool) { return r.n, r.set }

// Table is the list of steps, in the order of execution. The last one is execve or execveat.
type Table []Step

// Form says how the process that executes a table comes into being, and so what its steps may do.
type Form uint8

const (
	// VFork is CLONE_VM|CLONE_VFORK: no page table is copied, and the parent's thread stands still until execve. Nothing
	// in the table may block or wait for the parent, and the collector of the parent may have to wait for the table.
	VFork Form = iota
	// Fork is a copy of the parent's memory. Steps may block and change memory. Its price grows with the parent's memory:
	// measured 33 ms with 1 GiB resident, against 0.7 ms for VFork.
	Fork
	// Shared is CLONE_VM without CLONE_VFORK: as cheap as VFork, but the parent runs on while the child executes the
	// table, so it can write identity maps and prepare evidence meanwhile, and steps may block.
	//
	// That two processes run on one memory is sound because the child executes no Go instruction and uses no stack: it
	// reads the table and writes the report, and both belong to the Process until the child is known to have left them.
	//
	// Two things in the kernel are different from VFork. The out-of-memory killer ends every process that shares the
	// memory of its victim, and it spares only children in vfork (mm/oom_kill.c: __oom_kill_process, in_vfork): put a
	// tight memory limit on the child's cgroup after execve, not before. And before Linux 5.16 a signal that dumps core
	// ends all that share the memory, with VFork too (fs/coredump.c: zap_threads).
	Shared
)

// String returns "vfork", "fork" or "shared".
func (f Form) String() string {
	switch f {
	case VFork:
		return "vfork"
	case Fork:
		return "fork"
	case Shared:
		return "shared"
	}
	return "form " + strconv.Itoa(int(f))
}

// String prints the table like strace, one numbered line a step, each ending in a newline:
//
//	7  openat(AT_FDCWD, "/dev/null", O_RDWR) = 4  # opening /dev/null
//	8  mkdir("/tmp", 0700) = 0|EEXIST  # mounts: making "/tmp"
//
// What follows "=" is the only result that is accepted, or "ok" for any result that is not an error, and then the errors
// that are tolerated; it is left out where only an error would be wrong. The comment is the layer and the name.
func (t Table) String() string { return string(t.Append(nil)) }

// Append appends what String returns.
func (t Table) Append(b []byte) []byte {
	b = slices.Grow(b, 96*len(t)) // a step of a cell has about 90 bytes
	width := len(strconv.Itoa(len(t)))
	for i, s := range t {
		n := strconv.Itoa(i + 1)
		for range width - len(n) {
			b = append(b, ' ')
		}
		b = append(append(b, n...), "  "...)
		b = append(s.appendText(b), '\n')
	}
	return b
}

// String prints the step without its number.
func (s Step) String() string { return string(s.appendText(nil)) }

func (s Step) appendText(b []byte) []byte {
	b = append(append(b, s.Call...), '(')
	for i, a := range s.Args {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = a.appendText(b)
	}
	b = append(b, ')')
	if s.Want.set || len(s.Tolerate) > 0 {
		b = append(b, " = "...)
		if s.Want.set {
			b = strconv.AppendInt(b, int64(s.Want.n), 10)
		} else {
			b = append(b, "ok"...)
		}
		for _, e := range s.Tolerate {
			b = append(append(b, '|'), e.Name()...)
		}
	}
	if s.Layer != "" || s.Name != "" {
		b = append(b, "  # "...)
		if s.Layer != "" {
			b = append(append(b, s.Layer...), ": "...)
		}
		b = append(b, s.Name...)
	}
	return b
}
