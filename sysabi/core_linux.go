package sysabi

import "golang.org/x/sys/unix"

// NoCoreFiles has the kernel write no core file of the calling process, which its children inherit. The hard limit stays. A limit of 0 would not do
// where /proc/sys/kernel/core_pattern names a program, which is started whatever the limit; at 1 byte it is not started, and a file is too
// small to be begun (fs/coredump.c: vfs_coredump). See setrlimit(2) and core(5).
func NoCoreFiles() error {
	var l unix.Rlimit
	if err := unix.Prlimit(0, RLIMIT_CORE, nil, &l); err != nil {
		return fromUnix(err)
	}
	l.Cur = min(1, l.Max)
	return fromUnix(unix.Prlimit(0, RLIMIT_CORE, &l, nil))
}
