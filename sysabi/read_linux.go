package sysabi

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// ReadKernelFile reads a file that the kernel makes up, such as those of /proc, whole and with as few calls as that takes:
// package os would also ask for its size, which is 0, and try to poll it. The error is an *fs.PathError.
func ReadKernelFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fromUnix(err)}
	}
	defer unix.Close(fd)
	b := make([]byte, 0, 8192)
	for {
		n, err := unix.Read(fd, b[len(b):cap(b)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: fromUnix(err)}
		}
		if n == 0 {
			return b, nil
		}
		if b = b[:len(b)+n]; len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}
