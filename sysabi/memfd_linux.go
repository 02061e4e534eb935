package sysabi

import "golang.org/x/sys/unix"

// SealedFile makes an anonymous file in memory with the given content, which nobody can change again, close-on-exec and
// executable. EACCES means that the host forbids executable ones (sysctl vm.memfd_noexec). See memfd_create(2).
func SealedFile(name string, content []byte) (int, error) {
	const exec = 0x10 // MFD_EXEC, since Linux 6.3; older kernels refuse the flag and make it executable anyway
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|exec)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return -1, fromUnix(err)
	}
	for len(content) > 0 && err == nil {
		var n int
		n, err = unix.Write(fd, content)
		content = content[max(n, 0):]
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fromUnix(err)
	}
	return fd, nil
}

// PidfdTake copies descriptor n of the process behind a pidfd; the copy is close-on-exec. It needs the right to trace the
// process. See pidfd_getfd(2).
func PidfdTake(pidfd, n int) (int, error) {
	fd, err := unix.PidfdGetfd(pidfd, n, 0)
	return fd, fromUnix(err)
}

// SetWindowSize sets the size of a terminal in characters.
func SetWindowSize(fd int, rows, cols uint16) error {
	return fromUnix(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}))
}

// WindowSize returns the size of a terminal in characters.
func WindowSize(fd int) (rows, cols uint16, err error) {
	w, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, fromUnix(err)
	}
	return w.Row, w.Col, nil
}
