//go:build linux

package sysabi

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The requests of seccomp_unotify(2), include/uapi/linux/seccomp.h.
const (
	notifyReceive  = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	notifySend     = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	notifyValid    = 0x40082102 // SECCOMP_IOCTL_NOTIF_ID_VALID
	notifySetFlags = 0x40082104 // SECCOMP_IOCTL_NOTIF_SET_FLAGS

	notifyContinue = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	notifySync     = 1 // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
)

// Notification is struct seccomp_notif: a system call that waits for its answer.
type Notification struct {
	ID    uint64
	TID   uint32 // thread that makes the call, in the caller's pid namespace; 0 if it is not seen from there
	Flags uint32
	NR    uint32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

type notifyResponse struct { // struct seccomp_notif_resp
	id    uint64
	value int64
	errno int32
	flags uint32
}

var (
	_ [80]byte = [unsafe.Sizeof(Notification{})]byte{}
	_ [24]byte = [unsafe.Sizeof(notifyResponse{})]byte{}
)

// NotifyReady reports whether a listener has a notification (EPOLLIN), and whether every process under its filter is gone (EPOLLHUP). It
// does not wait.
func NotifyReady(fd int) (ready, over bool, err error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(p, 0)
		if err == unix.EINTR {
			continue
		}
		return p[0].Revents&unix.POLLIN != 0, p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0, fromUnix(err)
	}
}

// NotifyReceive takes the next notification. It may wait if there is none. ENOENT: the call was given up meanwhile.
func NotifyReceive(fd int, n *Notification) error {
	*n = Notification{} // the kernel wants it zeroed
	return notify(fd, notifyReceive, unsafe.Pointer(n))
}

// NotifyAnswer lets a call fail with an error number, or, with 0, be made as if nothing had been asked. ENOENT: nobody waits any more.
func NotifyAnswer(fd int, id uint64, errno Errno) error {
	r := notifyResponse{id: id, errno: -int32(errno)}
	if errno == 0 {
		r.flags = notifyContinue
	}
	return notify(fd, notifySend, unsafe.Pointer(&r))
}

// NotifyValid reports whether a call still waits for its answer: then the number of its thread is still its.
func NotifyValid(fd int, id uint64) bool {
	return notify(fd, notifyValid, unsafe.Pointer(&id)) == nil
}

// NotifySync asks the kernel to hand the processor over with a notification, which makes the exchange several times faster (Linux 6.6).
func NotifySync(fd int) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), notifySetFlags, notifySync)
	if errno != 0 {
		return Errno(errno)
	}
	return nil
}

func notify(fd int, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		runtime.KeepAlive(arg)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return Errno(errno)
	}
}

// PidfdOpen returns a descriptor for a process, close-on-exec. See pidfd_open(2).
func PidfdOpen(pid int) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	return fd, fromUnix(err)
}
