//go:build linux && (amd64 || arm64)

package spawn

import (
	"sync/atomic"
	"unsafe"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// head is the beginning of an arena. The linked table follows it.
//
// The arena is memory outside of the Go heap, so the collector does not look at it and it does not move. The child reads
// the table and writes the report; the parent looks at the report only after the end of the pipe.
type head struct {
	report report
	clone  cloneArgs
	pidfd  int32
	_      int32
	late   late
}

// late is what a prepared process receives its descriptors with: a struct msghdr, recvmsg(2), and what it points to.
type late struct {
	name                uint64
	nameLen, _          uint32
	iov, iovLen         uint64
	control, controlLen uint64
	flags, _            uint32
	buf, bufLen         uint64 // struct iovec
	text                uint64 // one byte is used
	fds                 [lateSize]byte
}

// maxLate bounds the descriptors that a prepared process gets; the kernel's own bound is 253 (SCM_MAX_FD, include/net/scm.h).
const maxLate = 128

// lateSize is CMSG_SPACE(4 * maxLate), cmsg(3).
const lateSize = 16 + 4*maxLate

// report is written by the assembly routine, whose offsets come from here by way of go_asm.h.
type report struct {
	step    uint64 // index of the step that is being executed
	outcome uint64 // what stopped the table; written after value
	value   uint64 // the error number, or the unwanted result
}

// Outcomes of a table that did not get to its end; the assembly routine uses these constants.
const (
	outcomeNone   = 0 // still running, executed, or killed
	outcomeErrno  = 1 // value is the error number
	outcomeResult = 2 // value is the unwanted result
)

// record has the layout of table's records; a test compares.
type record struct {
	number   uint64
	args     [6]uint64
	want     int64 // -1: any
	tolerate uint64
}

// cloneArgs is struct clone_args of include/uapi/linux/sched.h in its size of Linux 5.7 (CLONE_ARGS_SIZE_VER2).
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

var (
	_ [88]byte               = [unsafe.Sizeof(cloneArgs{})]byte{}
	_ [table.RecordSize]byte = [unsafe.Sizeof(record{})]byte{}
	_ [56]byte               = [unsafe.Offsetof(late{}.buf)]byte{} // sizeof(struct msghdr)
)

type arena struct {
	mem  []byte
	head *head
}

const headSize = int(unsafe.Sizeof(head{}))

// newArena maps memory for a head and size bytes of linked table. After a fork only shared memory carries the report back.
func newArena(size int, shared bool) (arena, error) {
	mem, err := sysabi.MapMemory(headSize+size, shared)
	if err != nil {
		return arena{}, err
	}
	return arena{mem: mem, head: (*head)(unsafe.Pointer(&mem[0]))}, nil
}

// image returns the memory for the linked table, and its address.
func (a arena) image() ([]byte, uint64) {
	return a.mem[headSize:], uint64(uintptr(unsafe.Pointer(&a.mem[headSize])))
}

// message fills in the head's message, and returns its address.
func (a arena) message() uint64 {
	m := &a.head.late
	m.buf, m.bufLen = uint64(uintptr(unsafe.Pointer(&m.text))), 1
	m.iov, m.iovLen = uint64(uintptr(unsafe.Pointer(&m.buf))), 1
	m.control, m.controlLen = uint64(uintptr(unsafe.Pointer(&m.fds))), lateSize
	return uint64(uintptr(unsafe.Pointer(m)))
}

func (a arena) release() error { return sysabi.UnmapMemory(a.mem) }

// outcome reads the report.
func (a arena) outcome() (step int, outcome, value uint64) {
	r := &a.head.report
	outcome = atomic.LoadUint64(&r.outcome)
	return int(atomic.LoadUint64(&r.step)), outcome, atomic.LoadUint64(&r.value)
}

// clone makes the process with clone3. Only the parent returns.
func (a arena) clone(steps int) (pid int, errno sysabi.Errno) {
	c := &a.head.clone
	c.pidfd = uint64(uintptr(unsafe.Pointer(&a.head.pidfd)))
	return a.raw(sysClone3, uintptr(unsafe.Pointer(c)), unsafe.Sizeof(*c), steps)
}

// raw makes the process with the system call number(a0, a1, 0, 0, 0).
func (a arena) raw(number, a0, a1 uintptr, steps int) (pid int, errno sysabi.Errno) {
	r := makeChild(number, a0, a1, unsafe.Pointer(&a.mem[headSize]), uintptr(steps), &a.head.report)
	if r > ^uintptr(4095) {
		return -1, sysabi.Errno(-r)
	}
	return int(r), 0
}

// makeChild blocks all signals, makes the system call number(a0, a1, 0, 0, 0), which makes a process, and restores the
// signal mask. It returns what the call returned. In the child it executes the steps and never returns.
//
//go:noescape
func makeChild(number, a0, a1 uintptr, steps unsafe.Pointer, n uintptr, rep *report) uintptr
