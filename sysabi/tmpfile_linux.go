package sysabi

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// UnnamedFile makes an empty file in a folder, without a name: it is gone with its last descriptor, unless LinkFile gives it a name.
// EOPNOTSUPP, EISDIR and ENOENT mean that the file system or the kernel cannot. See O_TMPFILE in open(2).
func UnnamedFile(dir string, perm uint32) (int, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, perm)
	return fd, fromUnix(err)
}

// LinkFile gives an unnamed file a name. It replaces nothing.
func LinkFile(fd int, path string) error {
	// AT_EMPTY_PATH would need a capability.
	return fromUnix(unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW))
}
