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
	b, null, err := readTrusted(path, MaxInstructions*InstructionSize)
	var long *tooLong
	switch {
	case errors.As(err, &long):
		return nil, &lengthError{long.size}
	case err != nil:
		return nil, err
	case null:
		return nil, &lengthError{0} // the reference finds it empty
	}
	return b, checkLength(int64(len(b)))
}

// ReadPolicy reads a file of at most max bytes with the same caution as ReadFile: a policy in any format, or a program.
func ReadPolicy(path string, max int) ([]byte, error) {
	b, null, err := readTrusted(path, max)
	if null {
		return nil, errors.New("it is a device, not a regular file")
	}
	return b, err
}

type tooLong struct {
	size int64
	max  int
}

func (e *tooLong) Error() string { return fmt.Sprintf("it has %d bytes, more than %d", e.size, e.max) }

// readTrusted says with null that the file is /dev/null.
func readTrusted(path string, max int) (b []byte, null bool, err error) {
	fd, st, err := sysabi.OpenCautiously(path)
	if errors.Is(err, sysabi.ELOOP) {
		return nil, false, errors.New("it is a symbolic link; name the file itself")
	}
	if err != nil {
		return nil, false, err
	}
	defer sysabi.CloseFD(fd)
	if st.Null {
		return nil, true, nil
	}
	if err := trusted(st, sysabi.EffectiveUser()); err != nil {
		return nil, false, err
	}
	if st.Size > int64(max) {
		return nil, false, &tooLong{st.Size, max}
	}
	b = make([]byte, min(st.Size, int64(max))+1) // one more, to see a file that grows
	n := 0
	for {
		m, err := sysabi.ReadFD(fd, b[n:])
		if err != nil {
			return nil, false, err
		}
		if n += m; m == 0 {
			return b[:n], false, nil
		}
		if n > max {
			return nil, false, &tooLong{int64(n), max}
		}
		if n == len(b) {
			b = append(b, make([]byte, len(b))...)
		}
	}
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
