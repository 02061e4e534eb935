package cell

import "os"

// A Link is how a cell's network reaches the supervisor, whatever the backend.
type Link struct {
	// Device gives one packet a read and takes one a write: IP packets (TUN), or Ethernet frames (TAP). Non-blocking; nil: none.
	Device   *os.File
	Ethernet bool
	// Sockets lie in the cell's network, in the order of Plan.Network.Sockets.
	Sockets []*os.File
}

// A Linked cell has a network that somebody must serve from Build on: what the probes of the boundary try is answered by it. The files
// are the cell's to close.
type Linked interface{ Link() Link }
