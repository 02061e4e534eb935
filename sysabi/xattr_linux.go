package sysabi

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// Xattr reads an extended attribute of up to 256 bytes from an open file. See fgetxattr(2).
func Xattr(fd int, name string) ([]byte, error) {
	b := make([]byte, 256)
	n, err := unix.Fgetxattr(fd, name, b)
	if err != nil {
		return nil, fromUnix(err)
	}
	return b[:n], nil
}

// XattrMax is the most bytes of an attribute's value, and of the names of all attributes of a file (XATTR_SIZE_MAX and XATTR_LIST_MAX of
// include/uapi/linux/limits.h).
const XattrMax = 64 << 10

// XattrNames lists the extended attributes of a path, whose last part is not followed if it is a link; none where the file system has none.
// buf has room for XattrMax bytes. See llistxattr(2).
func XattrNames(path string, buf []byte) ([]string, error) {
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fromUnix(err)
	}
	return strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00"), nil
}

// XattrOf reads one of them, into buf, which has room for XattrMax bytes. See lgetxattr(2).
func XattrOf(path, name string, buf []byte) (int, error) {
	n, err := unix.Lgetxattr(path, name, buf)
	return n, fromUnix(err)
}
