package sysabi

import "golang.org/x/sys/unix"

// Readv reads into several buffers, one after the other, readv(2). EAGAIN and EINTR are the caller's.
func Readv(fd int, bufs [][]byte) (int, error) { return unix.Readv(fd, bufs) }

// Writev writes several buffers as one, writev(2). EAGAIN and EINTR are the caller's.
func Writev(fd int, bufs [][]byte) (int, error) { return unix.Writev(fd, bufs) }
