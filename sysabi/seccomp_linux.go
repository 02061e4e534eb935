package sysabi

import "golang.org/x/sys/unix"

// FileKind is the S_IFMT part of a file's mode, include/uapi/linux/stat.h.
type FileKind uint32

// The kinds.
const (
	KindFIFO      FileKind = 0x1000
	KindChar      FileKind = 0x2000
	KindDirectory FileKind = 0x4000
	KindBlock     FileKind = 0x6000
	KindRegular   FileKind = 0x8000
	KindSocket    FileKind = 0xc000
)

// FileStatus is what fstat(2) says about an open file, as far as it matters to whoever must trust it.
type FileStatus struct {
	Kind  FileKind
	Mode  uint32 // permission bits, 0 to 07777
	Owner uint32 // user id
	Size  int64  // bytes
	Null  bool   // the character device 1:3, /dev/null
}

// OpenCautiously opens a file for reading, once, without following a symbolic link in its last component and without waiting for
// the writer of a FIFO. ELOOP: it is a symbolic link. The descriptor is close-on-exec; the caller closes it.
func OpenCautiously(path string) (fd int, st FileStatus, err error) {
	for {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return -1, FileStatus{}, fromUnix(err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		unix.Close(fd)
		return -1, FileStatus{}, fromUnix(err)
	}
	null := s.Mode&unix.S_IFMT == unix.S_IFCHR && unix.Major(uint64(s.Rdev)) == 1 && unix.Minor(uint64(s.Rdev)) == 3
	return fd, FileStatus{FileKind(s.Mode & unix.S_IFMT), s.Mode & 0o7777, s.Uid, s.Size, null}, nil
}

// EffectiveUser returns the effective user id of the process.
func EffectiveUser() uint32 { return uint32(unix.Geteuid()) }

// SetNoNewPrivs sets no_new_privs of the calling thread, which seccomp(2) wants of callers without CAP_SYS_ADMIN. It cannot be
// taken back; threads and processes that the caller starts later have it too.
func SetNoNewPrivs() error { return fromUnix(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) }
