package sysabi

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// What the first process of a machine does, see docs/guest.md. Every call needs the machine's root.

// Mount mounts a file system or, with other flags, changes a mount; see mount(2).
func Mount(source, target, fstype string, flags uintptr, data string) error {
	return fromUnix(unix.Mount(source, target, fstype, flags, data))
}

// Flags of Mount.
const (
	MS_BIND = unix.MS_BIND
	MS_REC  = unix.MS_REC
	MS_MOVE = unix.MS_MOVE
)

// Chroot changes the root of the calling process; see chroot(2).
func Chroot(path string) error { return fromUnix(unix.Chroot(path)) }

// LoadModule loads a kernel module; see finit_module(2). One that is loaded already is no error.
func LoadModule(f *os.File) error {
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
		return fromUnix(err)
	}
	return nil
}

// Restart restarts the machine at once, without writing anything back; see reboot(2).
func Restart() error { return fromUnix(unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)) }

// SetClock sets the wall clock.
func SetClock(t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	return fromUnix(unix.ClockSettime(unix.CLOCK_REALTIME, &ts))
}

// SinceBoot is the time since the kernel started.
func SinceBoot() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano()), fromUnix(err)
}

// SetHardLimit sets both the soft and the hard limit of a resource of the calling process.
func SetHardLimit(resource int, n uint64) error {
	return fromUnix(unix.Setrlimit(resource, &unix.Rlimit{Cur: n, Max: n}))
}

// BecomeOnThread gives the calling thread, and no other, another user and group for good: without supplementary groups, and so without
// capabilities. Precondition: runtime.LockOSThread; the thread must not run other goroutines afterwards.
func BecomeOnThread(uid, gid uint32) error {
	for _, c := range [][4]uintptr{
		{unix.SYS_SETGROUPS, 0, 0, 0},
		{unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
		{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
	} {
		if _, _, e := unix.RawSyscall(c[0], c[1], c[2], c[3]); e != 0 {
			return Errno(e)
		}
	}
	return nil
}

// OwnMounts gives the calling thread, and no other, a mount namespace, root and working directory of its own; see CLONE_NEWNS of unshare(2).
// Precondition: runtime.LockOSThread; the thread must not run other goroutines afterwards.
func OwnMounts() error { return fromUnix(unix.Unshare(unix.CLONE_NEWNS)) }

// Socket to the host of a virtual machine; see vsock(7).
func DialHost(port uint32) (int, error) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fromUnix(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_HOST, Port: port}); err != nil {
		unix.Close(fd)
		return -1, fromUnix(err)
	}
	return fd, nil
}

// StreamPair makes two connected sockets of the kind SOCK_STREAM in AF_UNIX, close-on-exec.
func StreamPair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fromUnix(err)
	}
	return p[0], p[1], nil
}

// PacketPair makes two connected sockets of the kind SOCK_SEQPACKET in AF_UNIX, close-on-exec and non-blocking.
func PacketPair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, -1, fromUnix(err)
	}
	return p[0], p[1], nil
}

// WriteNow writes without waiting: EAGAIN where there is no room.
func WriteNow(fd int, b []byte) error {
	_, err := unix.Write(fd, b)
	return fromUnix(err)
}

// FilesAs runs f with another owner of new files, in the calling thread only; see setfsuid(2). An ordinary user's own id does nothing.
func FilesAs(uid, gid uint32, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The old values are the results; there are no errors.
	oldGID, _, _ := unix.RawSyscall(unix.SYS_SETFSGID, uintptr(gid), 0, 0)
	oldUID, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
	defer unix.RawSyscall(unix.SYS_SETFSGID, oldGID, 0, 0)
	defer unix.RawSyscall(unix.SYS_SETFSUID, oldUID, 0, 0)
	return f()
}
