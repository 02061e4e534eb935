//go:build unix

package record

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of flock(2), which belongs to the open file: it ends with the last process that has the
// descriptor, however that process ends. errLive: someone else has it.
func lock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLive
		default:
			return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}

// owner returns the user id that a file belongs to.
func owner(i os.FileInfo) (int, bool) {
	st, ok := i.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
