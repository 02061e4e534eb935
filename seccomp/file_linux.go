package seccomp

import (
	"errors"
	"fmt"

	"cellos.io/cellos/sysabi"
)

// ReadFile reads a program's bytes from a file that nobody else can change. It opens the file once, without following a symbolic
// link or waiting for a FIFO, and refuses what is not a regular file, what belongs to neither root nor the caller, and what
// its group or others may write. It reads at most 32,769 bytes. Errors of the operating system are a sysabi.Errno.
func ReadFile(path string) ([]byte, error) {
	fd, st, err := sysabi.OpenCautiously(path)
	if errors.Is(err, sysabi.ELOOP) {
		return nil, errors.New("it is a symbolic link; name the file itself")
	}
	if err != nil {
		return nil, err
	}
	defer sysabi.CloseFD(fd)
	if st.Null {
		return nil, &lengthError{0} // the reference finds it empty
	}
	if err := trusted(st, sysabi.EffectiveUser()); err != nil {
		return nil, err
	}
	if st.Size > MaxInstructions*InstructionSize {
		return nil, &lengthError{st.Size}
	}
	b := make([]byte, MaxInstructions*InstructionSize+1)
	n := 0
	for n < len(b) {
		m, err := sysabi.ReadFD(fd, b[n:])
		if err != nil {
			return nil, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	if err := checkLength(int64(n)); err != nil {
		return nil, err
	}
	return b[:n], nil
}

func trusted(st sysabi.FileStatus, user uint32) error {
	switch st.Kind {
	case sysabi.KindRegular:
	case sysabi.KindDirectory:
		return sysabi.EISDIR
	case sysabi.KindFIFO:
		return errors.New("it is a FIFO, not a regular file")
	case sysabi.KindChar, sysabi.KindBlock:
		return errors.New("it is a device, not a regular file")
	default:
		return errors.New("it is not a regular file")
	}
	if st.Owner != 0 && st.Owner != user {
		return fmt.Errorf("it belongs to user %d; it must belong to root or to user %d", st.Owner, user)
	}
	if st.Mode&0o022 != 0 {
		return fmt.Errorf("its mode is %#o; nobody but its owner may write to it", st.Mode)
	}
	return nil
}
