package sysabi

import "golang.org/x/sys/unix"

// Flags and values for a clone3(2) of our own, include/uapi/linux/sched.h.
const (
	CLONE_VM            = 0x00000100
	CLONE_PIDFD         = 0x00001000
	CLONE_VFORK         = 0x00004000
	CLONE_CLEAR_SIGHAND = 0x100000000
	CLONE_INTO_CGROUP   = 0x200000000

	SIGCHLD = 17
)

// MapMemory maps size bytes of zeroed memory, readable and writable. Shared memory stays one memory after a fork.
func MapMemory(size int, shared bool) ([]byte, error) {
	flags := unix.MAP_ANONYMOUS | unix.MAP_PRIVATE
	if shared {
		flags = unix.MAP_ANONYMOUS | unix.MAP_SHARED
	}
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	return b, fromUnix(err)
}

// UnmapMemory gives back what MapMemory returned.
func UnmapMemory(b []byte) error { return fromUnix(unix.Munmap(b)) }

// Dumpable returns the dumpable flag of the calling process: 0, 1 or 2. See PR_GET_DUMPABLE in prctl(2).
func Dumpable() (int, error) {
	n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return n, fromUnix(err)
}

// SetDumpable sets the flag to 0 or 1; the kernel refuses 2.
func SetDumpable(n int) error {
	return fromUnix(unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(n), 0, 0, 0))
}

// PidfdKill sends a signal to the process behind a pidfd. See pidfd_send_signal(2).
func PidfdKill(pidfd int, signal int) error {
	return fromUnix(unix.PidfdSendSignal(pidfd, unix.Signal(signal), nil, 0))
}

// PidfdEnded reports whether the child behind pidfd has ended and waits to be reaped. ECHILD: it was reaped already.
func PidfdEnded(pidfd int) (bool, error) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil && info.Signo != 0, fromUnix(err)
		}
	}
}

// PidfdWait returns when the process behind pidfd has ended, whoever's child it is. See poll(2) and pidfd_open(2).
func PidfdWait(pidfd int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return fromUnix(err)
		}
	}
}

// Usage is what a process and its reaped descendants used. See getrusage(2).
type Usage struct {
	User, System      int64 // CPU time in microseconds
	MaxRSS            int64 // largest resident set in KiB
	InBlock, OutBlock int64 // blocks of 512 bytes read from and written to file systems
	Voluntary         int64 // context switches because the process waited
	Involuntary       int64 // context switches because its time was up
}

// Reap takes the wait status of the ended child pid, as wait4(2) does with WNOHANG.
func Reap(pid int) (status uint32, usage Usage, err error) {
	var ws unix.WaitStatus
	var ru unix.Rusage
	for {
		n, err := unix.Wait4(pid, &ws, unix.WNOHANG, &ru)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, Usage{}, fromUnix(err)
		}
		if n != pid {
			return 0, Usage{}, EAGAIN
		}
		break
	}
	return uint32(ws), Usage{
		User:     ru.Utime.Nano() / 1000,
		System:   ru.Stime.Nano() / 1000,
		MaxRSS:   ru.Maxrss,
		InBlock:  ru.Inblock,
		OutBlock: ru.Oublock, Voluntary: ru.Nvcsw, Involuntary: ru.Nivcsw,
	}, nil
}

// Clone3Answers reports whether clone3(2) exists here and no filter refuses it: the kernel answers EINVAL to a size of zero
// (kernel/fork.c: copy_clone_args_from_user), a filter something else.
func Clone3Answers() bool {
	_, _, e := unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0)
	return e == unix.EINVAL
}
