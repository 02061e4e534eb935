package sysabi

import (
	"os"

	"golang.org/x/sys/unix"
)

// Numbers of Documentation/virt/kvm/api.rst.
const (
	kvmGetAPIVersion = 0xae00
	kvmCreateVM      = 0xae01
	kvmAPIVersion    = 12
)

// TryKVM makes a virtual machine with an open /dev/kvm, and drops it again. ENOTSUP means that the API is another one than everybody's.
func TryKVM(f *os.File) error {
	v, err := unix.IoctlRetInt(int(f.Fd()), kvmGetAPIVersion)
	if err != nil {
		return fromUnix(err)
	}
	if v != kvmAPIVersion {
		return fromUnix(unix.ENOTSUP)
	}
	fd, err := unix.IoctlRetInt(int(f.Fd()), kvmCreateVM) // the argument 0 is the usual type of machine
	if err != nil {
		return fromUnix(err)
	}
	return fromUnix(unix.Close(fd))
}

// InMemory refuses a file that is not one in memory (memfd_create(2), tmpfs(5)): reading any other may never return.
func InMemory(fd int) error {
	var s unix.Statfs_t
	if err := unix.Fstatfs(fd, &s); err != nil {
		return fromUnix(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fromUnix(err)
	}
	if s.Type != unix.TMPFS_MAGIC || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fromUnix(unix.EMEDIUMTYPE)
	}
	return nil
}
