//go:build linux && (amd64 || arm64)

package microvm

import (
	"fmt"
	"os"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// ends are both ends of a monitor's standard streams.
type ends struct {
	control, manage, console *os.File // ours
	cell                     cell.Streams
}

// monitorEnds makes the streams that a command asks for. Its standard error is the console always.
func monitorEnds(cmd Command, ids plan.IDs) (e ends, err error) {
	defer func() {
		if err != nil {
			closeAll(e.control, e.manage, e.console)
			e.closeTheirs()
		}
	}()
	if e.console, e.cell.Err, err = os.Pipe(); err != nil {
		return e, fmt.Errorf("making the guest's console: %w", err)
	}
	if ids.ByParent {
		if err := e.cell.Err.Chown(int(ids.HostUID), int(ids.HostGID)); err != nil { // the monitor opens it by a name of its own
			return e, fmt.Errorf("making the guest's console: %w", err)
		}
	}
	if !cmd.Sockets {
		e.cell.Out = e.cell.Err
		return e, nil
	}
	if e.control, e.cell.In, err = socketPair(); err != nil {
		return e, err
	}
	e.manage, e.cell.Out, err = socketPair()
	return e, err
}

// closeTheirs closes the monitor's ends, of which its cell has copies.
func (e ends) closeTheirs() {
	closeAll(e.cell.In, e.cell.Err)
	if e.cell.Out != e.cell.Err {
		closeAll(e.cell.Out)
	}
}

func socketPair() (ours, theirs *os.File, err error) {
	a, b, err := sysabi.StreamPair()
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket for the monitor: %w", err)
	}
	return os.NewFile(uintptr(a), "monitor"), os.NewFile(uintptr(b), "monitor"), nil
}
