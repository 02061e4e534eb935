package cell

import "os"

// A Link is how a cell's network reaches the supervisor, whatever the backend.
type Link struct {
	// Device gives one packet a read and takes one a write: IP packets (TUN), or Ethernet frames, which a TAP has and a socket of AF_UNIX
	// of type SOCK_SEQPACKET or SOCK_DGRAM whose other end is a machine's network card. The guest needs CellAddress/30 and a default
	// route by GateAddress of package plan; the gate is its neighbour for every address. Non-blocking; nil: none.
	Device   *os.File
	Ethernet bool
	// Offload says that a struct virtio_net_hdr is before each IP packet, and that checksums and segments are left to the device
	// (IFF_VNET_HDR, Documentation/networking/tuntap.rst).
	Offload bool
	// Sockets lie in the cell's network, in the order of Plan.Network.Sockets.
	Sockets []*os.File
}

// A Linked cell has a network that somebody must serve from Build on: what the probes of the boundary try is answered by it. The files
// are the cell's to close.
type Linked interface{ Link() Link }
