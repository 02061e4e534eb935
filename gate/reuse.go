package gate

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// reuse makes room for a SYN whose ports had a connection before. The stack keeps that one for a moment in TIME-WAIT, and gives a SYN to a
// listener only, of which there are none: it would be lost, and the cell would send it again after a second. Nothing comes late on this
// link, so a SYN is a new connection (RFC 1122 section 4.2.2.13), and the old one is forgotten. The cell takes its reset for what it is,
// one of another connection (RFC 9293 section 3.10.7.3).
//
// The packet has passed the filter. It is called by the goroutine that delivers packets.
func (g *Gate) reuse(b []byte) {
	proto, size, head := header.IPv4ProtocolNumber, 4, header.IPv4MinimumSize
	at, kind := 12, b[9]
	if b[0]>>4 == 6 {
		proto, size, head = header.IPv6ProtocolNumber, 16, header.IPv6MinimumSize
		at, kind = 8, b[6]
	}
	if kind != protoTCP || header.TCP(b[head:]).Flags()&(header.TCPFlagSyn|header.TCPFlagAck|header.TCPFlagRst) != header.TCPFlagSyn {
		return
	}
	id := stack.TransportEndpointID{
		RemoteAddress: tcpip.AddrFromSlice(b[at : at+size]), RemotePort: binary.BigEndian.Uint16(b[head:]),
		LocalAddress: tcpip.AddrFromSlice(b[at+size : at+2*size]), LocalPort: binary.BigEndian.Uint16(b[head+2:]),
	}
	ep, ok := g.stack.FindTransportEndpoint(proto, tcp.ProtocolNumber, id, nic).(*tcp.Endpoint)
	if !ok || ep.EndpointState() == tcp.StateEstablished {
		return
	}
	ep.LockUser() // the cell may have been told of the end before the state changed
	ep.UnlockUser()
	if ep.EndpointState() == tcp.StateTimeWait {
		ep.Abort()
	}
}
