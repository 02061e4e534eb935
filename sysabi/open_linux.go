package sysabi

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenInRoot opens a path O_PATH, close-on-exec, as a process with the root directory root would, following no symbolic link in any
// component. See RESOLVE_IN_ROOT in openat2(2).
func OpenInRoot(root int, path string) (int, error) {
	for {
		fd, err := unix.Openat2(root, path, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != unix.EINTR && err != unix.EAGAIN { // EAGAIN: a rename raced with the look-up, openat2(2)
			return fd, fromUnix(err)
		}
	}
}

// Reopen opens what an O_PATH descriptor stands for, for reading, close-on-exec.
func Reopen(fd int) (int, error) {
	n, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	return n, fromUnix(err)
}
