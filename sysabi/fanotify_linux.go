package sysabi

import "golang.org/x/sys/unix"

// Events of fanotify(7).
const (
	FAN_OPEN       = unix.FAN_OPEN
	FAN_Q_OVERFLOW = unix.FAN_Q_OVERFLOW
)

// WatchOpens makes a descriptor that tells of every file and folder that is opened through the mount at path, by the handle of the file and not
// with a descriptor of it. Reading does not block. It needs CAP_SYS_ADMIN where the machine was started, and Linux 5.1. See fanotify(7).
func WatchOpens(path string) (int, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_FID|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY)
	if err != nil {
		return -1, fromUnix(err)
	}
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_MOUNT|unix.FAN_MARK_DONT_FOLLOW, unix.FAN_OPEN|unix.FAN_ONDIR, unix.AT_FDCWD, path); err != nil {
		unix.Close(fd)
		return -1, fromUnix(err)
	}
	return fd, nil
}
