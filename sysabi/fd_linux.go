package sysabi

import "golang.org/x/sys/unix"

// Pipe makes a pipe; both ends are close-on-exec. See pipe(2).
func Pipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, fromUnix(err)
	}
	return p[0], p[1], nil
}

// SocketPair makes two connected sockets of the kind SOCK_SEQPACKET in AF_UNIX, close-on-exec and non-blocking where asked.
// Non-blocking is a property of each end; a process that gets an end as its descriptor 3 may need it off. See unix(7).
func SocketPair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fromUnix(err)
	}
	return p[0], p[1], nil
}

// SendFDs sends one byte and copies of descriptors over a socket of AF_UNIX, unix(7) SCM_RIGHTS. The receiver gets them in this order.
func SendFDs(socket int, fds []int) error {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return fromUnix(unix.Sendmsg(socket, []byte{1}, rights, nil, unix.MSG_NOSIGNAL))
}

// PassCredentials makes a socket of AF_UNIX say who sent each message that is sent from now on. See SO_PASSCRED in unix(7).
func PassCredentials(fd int) error {
	return fromUnix(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
}

// ReceiveFrom receives one message and the process id of its sender, as the caller's pid namespace numbers it; 0 if it is not known.
// EAGAIN: there is none yet.
func ReceiveFrom(fd int, b []byte) (n, pid int, err error) {
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	for {
		var m int
		if n, m, _, _, err = unix.Recvmsg(fd, b, oob, unix.MSG_CMSG_CLOEXEC); err == unix.EINTR {
			continue
		} else if err != nil {
			return 0, 0, fromUnix(err)
		}
		list, err := unix.ParseSocketControlMessage(oob[:m])
		if err != nil {
			return 0, 0, fromUnix(err)
		}
		for i := range list {
			if u, err := unix.ParseUnixCredentials(&list[i]); err == nil {
				pid = int(u.Pid)
			}
		}
		return n, pid, nil
	}
}

// SetNonblock sets or clears O_NONBLOCK on the open file.
func SetNonblock(fd int, on bool) error { return fromUnix(unix.SetNonblock(fd, on)) }

// DupAbove duplicates fd to the lowest free number that is at least min; the copy is close-on-exec.
// See F_DUPFD_CLOEXEC in fcntl(2). EINVAL means that min is above the limit RLIMIT_NOFILE.
func DupAbove(fd, min int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, min)
	if err != nil {
		return -1, fromUnix(err)
	}
	return n, nil
}

// CloseFD closes a descriptor. On Linux it is closed whatever the error.
func CloseFD(fd int) error { return fromUnix(unix.Close(fd)) }

// ReadFD reads like read(2), and again when a signal interrupts it.
func ReadFD(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		if err != unix.EINTR {
			return n, fromUnix(err)
		}
	}
}

// fromUnix makes the error numbers of x/sys ours, so that callers match one type with errors.Is.
func fromUnix(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(unix.Errno); ok {
		return Errno(e)
	}
	return err
}
