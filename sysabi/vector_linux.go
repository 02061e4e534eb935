package sysabi

import "golang.org/x/sys/unix"

// Readv reads into several buffers, one after the other, readv(2). EAGAIN is the caller's.
func Readv(fd int, bufs [][]byte) (n int, err error) {
	for {
		if n, err = unix.Readv(fd, bufs); err != unix.EINTR {
			return n, err
		}
	}
}

// Writev writes several buffers as one, writev(2). EAGAIN is the caller's.
func Writev(fd int, bufs [][]byte) (n int, err error) {
	for {
		if n, err = unix.Writev(fd, bufs); err != unix.EINTR {
			return n, err
		}
	}
}
