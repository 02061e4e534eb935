//go:build linux

package sysabi

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a process does to itself before it reads what strangers send. Every call is for all threads of the process, and cannot be taken back.

// ForbidFiles takes from the process every access to files by name, and where the kernel can tell them apart, listening on TCP, sockets with
// abstract names, and signals to others: a Landlock domain without rules. ok is false where the kernel has no Landlock, or where the
// program was built with cgo, which keeps the runtime from reaching all threads. Sets no_new_privs.
func ForbidFiles() (ok bool, err error) {
	abi, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return false, nil
	}
	attr := struct{ fs, net, scoped uint64 }{fs: 1<<13 - 1} // struct landlock_ruleset_attr, include/uapi/linux/landlock.h
	size := uintptr(8)
	for _, x := range []struct {
		abi       uintptr
		to        *uint64
		bit, size uintptr
	}{
		{2, &attr.fs, unix.LANDLOCK_ACCESS_FS_REFER, 8},
		{3, &attr.fs, unix.LANDLOCK_ACCESS_FS_TRUNCATE, 8},
		{4, &attr.net, unix.LANDLOCK_ACCESS_NET_BIND_TCP, 16},
		{5, &attr.fs, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 16},
		{6, &attr.scoped, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL, 24},
	} {
		if abi >= x.abi {
			*x.to |= uint64(x.bit)
			size = x.size
		}
	}
	fd, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if e != 0 {
		return false, Errno(e)
	}
	defer unix.Close(int(fd))
	// Every thread needs no_new_privs for itself.
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return false, nil
	}
	switch _, _, e = syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); e {
	case 0:
		return true, nil
	}
	return false, Errno(e)
}

// SetTimerSlack lets the calling thread's sleeps last up to ns nanoseconds longer than asked, so that several wake together. Threads and
// processes that it starts have it, too. Precondition: runtime.LockOSThread. See PR_SET_TIMERSLACK in prctl(2).
func SetTimerSlack(ns uintptr) error {
	return fromUnix(unix.Prctl(unix.PR_SET_TIMERSLACK, ns, 0, 0, 0))
}
