package sysabi

import "golang.org/x/sys/unix"

// Xattr reads an extended attribute of up to 256 bytes from an open file. See fgetxattr(2).
func Xattr(fd int, name string) ([]byte, error) {
	b := make([]byte, 256)
	n, err := unix.Fgetxattr(fd, name, b)
	if err != nil {
		return nil, fromUnix(err)
	}
	return b[:n], nil
}
