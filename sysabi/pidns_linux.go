package sysabi

import "golang.org/x/sys/unix"

// ProcessInNamespace returns the process id, as the caller numbers it, of process pid of the pid namespace behind a
// descriptor of /proc/PID/ns/pid. ESRCH: there is none. ENOTTY: the kernel is older than Linux 6.11.
// See NS_GET_TGID_FROM_PIDNS in ioctl_nsfs(2).
func ProcessInNamespace(ns, pid int) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(ns), unix.NS_GET_TGID_FROM_PIDNS, uintptr(pid))
	if errno != 0 {
		return 0, Errno(errno)
	}
	return int(n), nil
}
