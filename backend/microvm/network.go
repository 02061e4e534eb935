//go:build linux && (amd64 || arm64)

package microvm

import (
	"fmt"
	"os"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/sysabi"
)

// A link carries the packets of a cell's network between the guest and whoever serves it. In the guest they are those of a virtual link
// (TUN), as in every cell; here they go through a pair of sockets. The machine has no network card.
type link struct {
	theirs *os.File // for the one who serves the network
	ours   *os.File
}

var _ cell.Linked = (*machineCell)(nil)

// Link is where the packets of the cell's network come out, each with what the guest's link says of it.
func (c *machineCell) Link() cell.Link { return cell.Link{Device: c.link.theirs, Offload: true} }

// openLink makes the sockets, if the cell has a network.
func (c *machineCell) openLink() error {
	if !c.plan.Network.Device {
		return nil
	}
	a, b, err := sysabi.PacketPair()
	if err != nil {
		return fmt.Errorf("making the link of the cell's network: %w", err)
	}
	c.link = link{theirs: os.NewFile(uintptr(a), "link"), ours: os.NewFile(uintptr(b), "link")}
	go func() {
		buf := make([]byte, guest.MaxPacket)
		for {
			n, err := c.link.ours.Read(buf)
			if err != nil || n == 0 || c.host.Packet(buf[:n]) != nil {
				return
			}
		}
	}()
	return nil
}

// leave passes on a packet of the guest. One for which there is no room is lost, as on every link.
func (c *machineCell) leave(b []byte) {
	if raw, err := c.link.ours.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { sysabi.WriteNow(int(fd), b) })
	}
}
