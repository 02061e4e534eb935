package cell

import (
	"os"

	"cellos.io/cellos/sysabi"
)

// MasterOf makes a Terminal of the master side of a pseudoterminal of this kernel; nil of nil.
func MasterOf(f *os.File) Terminal {
	if f == nil {
		return nil
	}
	return master{f}
}

type master struct{ *os.File }

func (m master) Resize(rows, cols uint16) error {
	conn, err := m.SyscallConn()
	if err != nil {
		return err
	}
	if e := conn.Control(func(fd uintptr) { err = sysabi.SetWindowSize(int(fd), rows, cols) }); e != nil {
		return e
	}
	return err
}
