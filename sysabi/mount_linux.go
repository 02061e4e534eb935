package sysabi

import "golang.org/x/sys/unix"

// OpenNoLinks opens a path O_PATH, close-on-exec, following no symbolic link in any component. See openat2(2).
func OpenNoLinks(path string) (int, error) {
	for {
		fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_CLOEXEC,
			Resolve: RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
		})
		if err != unix.EINTR && err != unix.EAGAIN { // EAGAIN: a rename raced with the look-up, openat2(2)
			return fd, fromUnix(err)
		}
	}
}

// CloneTree copies the mount that a descriptor stands on, with everything mounted below it, as a detached mount.
// It needs CAP_SYS_ADMIN. See open_tree(2).
func CloneTree(fd int) (int, error) {
	n, err := unix.OpenTree(fd, "", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH|AT_RECURSIVE)
	return n, fromUnix(err)
}

// SetTreeAttr sets attributes on a detached mount and everything below it; with MOUNT_ATTR_IDMAP, userns is the user
// namespace whose maps apply. See mount_setattr(2).
func SetTreeAttr(fd int, attr uint64, userns int) error {
	a := unix.MountAttr{Attr_set: attr}
	if attr&MOUNT_ATTR_IDMAP != 0 {
		a.Userns_fd = uint64(userns)
	}
	return fromUnix(unix.MountSetattr(fd, "", AT_EMPTY_PATH|AT_RECURSIVE, &a))
}
