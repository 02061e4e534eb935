// Package notify answers the system calls that a filter hands over to another process (seccomp_unotify(2)).
//
//	l := notify.New(fd)                        // the listener of the filter
//	go l.Serve(func(c notify.Call) notify.Answer {
//		return notify.Refuse(sysabi.EPERM)
//	})
//	defer l.Close()
//
// A call waits until it is answered. While nobody listens, and after the listener was closed, the kernel answers ENOSYS itself: what a
// filter hands over is never allowed by accident. The registers of a call cannot change while it waits; what they point to can, and so this package
// shows nothing of it, and a decision must not rest on it.
package notify

import "cellos.io/cellos/seccomp"

// A Call is a system call that waits for its answer.
type Call struct {
	seccomp.Data
	TID int // thread that makes it, as the caller numbers it; 0 if it is not seen from here
}
