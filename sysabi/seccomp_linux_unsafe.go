//go:build linux

package sysabi

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of SeccompSetFilter, include/uapi/linux/seccomp.h.
const (
	SECCOMP_FILTER_FLAG_TSYNC        = 1
	SECCOMP_FILTER_FLAG_LOG          = 2
	SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
	SECCOMP_FILTER_FLAG_TSYNC_ESRCH  = 16
)

// SeccompSetFilter loads a filter into the calling thread, with the bytes of an array of struct sock_filter. See seccomp(2).
//
// A filter cannot be removed: the caller locks its goroutine to the thread and never unlocks it. A positive result is the
// descriptor of a listener, or, with TSYNC, the id of a thread that could not follow, in which case nothing was loaded. E2BIG:
// more instructions than the 16 bits of struct sock_fprog hold.
func SeccompSetFilter(flags uint, prog []byte) (int, error) {
	n := len(prog) / 8
	if n > 0xffff {
		return 0, E2BIG
	}
	fprog := struct { // struct sock_fprog
		len    uint16
		filter *byte
	}{uint16(n), unsafe.SliceData(prog)}
	r, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return 0, Errno(errno)
	}
	return int(r), nil
}

// RawCall makes a system call by its number with six plain values and returns what the kernel answered: a result, or an error.
// It is for measuring filters; nr should be a number without a meaning.
func RawCall(nr uintptr, args [6]uintptr) (uintptr, Errno) {
	r, _, errno := unix.RawSyscall6(nr, args[0], args[1], args[2], args[3], args[4], args[5])
	if r == ^uintptr(0)-4094 { // -4095, which the runtime takes for a result
		return 0, 4095
	}
	return r, Errno(errno)
}
