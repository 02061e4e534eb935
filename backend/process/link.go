//go:build linux && (amd64 || arm64)

package process

import (
	"fmt"
	"os"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/sysabi"
)

var _ cell.Linked = (*processCell)(nil)

// Link is the cell's end of its network.
func (c *processCell) Link() cell.Link { return c.link }

// takeLink copies the network device and the sockets that PID 1 holds for the supervisor. PID 1 closes its own before the command
// starts.
func (c *processCell) takeLink() error {
	take := func(n int, name string) (*os.File, error) {
		fd, err := sysabi.PidfdTake(c.proc.PidFD(), n)
		if err != nil {
			return nil, fmt.Errorf("taking over the cell's %s: %w", name, err)
		}
		// Non-blocking before os.NewFile: the runtime then waits for it in its poller, and closing ends a read.
		if err := sysabi.SetNonblock(fd, true); err != nil {
			sysabi.CloseFD(fd)
			return nil, fmt.Errorf("taking over the cell's %s: %w", name, err)
		}
		return os.NewFile(uintptr(fd), name), nil
	}
	var err error
	if n := c.plan.Held.Device; n >= 0 {
		c.link.Offload = true
		if c.link.Device, err = take(n, "network device"); err != nil {
			return err
		}
	}
	for _, s := range c.plan.Network.Sockets {
		f, err := take(s.FD, "socket at "+s.At.String())
		if err != nil {
			return err
		}
		c.link.Sockets = append(c.link.Sockets, f)
	}
	return nil
}

// files are those of the link.
func files(l cell.Link) []*os.File { return append([]*os.File{l.Device}, l.Sockets...) }
