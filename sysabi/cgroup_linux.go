package sysabi

import "golang.org/x/sys/unix"

// CgroupVersion tells which kind of control groups a folder belongs to: 2, 1, or 0 if it is on no such file system.
// See cgroups(7).
func CgroupVersion(path string) (int, error) {
	var s unix.Statfs_t
	for {
		err := unix.Statfs(path, &s)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, fromUnix(err)
		}
		switch s.Type {
		case unix.CGROUP2_SUPER_MAGIC:
			return 2, nil
		case unix.CGROUP_SUPER_MAGIC:
			return 1, nil
		}
		return 0, nil
	}
}

// Writable returns nil if the calling process may write the file, or make entries in the folder, with its effective ids.
// See faccessat(2).
func Writable(path string, folder bool) error {
	mode := uint32(unix.W_OK)
	if folder {
		mode |= unix.X_OK
	}
	return fromUnix(unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS))
}

// EventFD makes an event counter, close-on-exec and non-blocking. See eventfd(2).
func EventFD() (int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, fromUnix(err)
	}
	return fd, nil
}
