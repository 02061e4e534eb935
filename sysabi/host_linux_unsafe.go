//go:build linux

package sysabi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Release returns the kernel's release string as uname(2) reports it, such as "6.18.44".
func Release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fromUnix(err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// LandlockABI returns the version of Landlock that the running kernel offers, 0 if it has none or it is switched off.
// See LANDLOCK_CREATE_RULESET_VERSION in landlock_create_ruleset(2).
func LandlockABI() int {
	const version = 1
	n, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// SeccompFilters reports whether the kernel can load seccomp filters (CONFIG_SECCOMP_FILTER): it knows the action of every
// filter, SECCOMP_RET_ALLOW. See SECCOMP_GET_ACTION_AVAIL in seccomp(2).
func SeccompFilters() bool {
	const getActionAvail = 2
	allow := uint32(0x7fff0000)
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, getActionAvail, 0, uintptr(unsafe.Pointer(&allow)))
	return errno == 0
}

// Readable returns nil if the calling process may read the file, or list and enter the folder, with its effective ids. See faccessat(2).
func Readable(path string, folder bool) error {
	mode := uint32(unix.R_OK)
	if folder {
		mode |= unix.X_OK
	}
	return fromUnix(unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS))
}

// HardLimit returns the hard limit of a resource of the calling process. See getrlimit(2).
func HardLimit(resource int) (uint64, error) {
	var l unix.Rlimit
	if err := unix.Prlimit(0, resource, nil, &l); err != nil {
		return 0, fromUnix(err)
	}
	return l.Max, nil
}
