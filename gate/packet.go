package gate

import (
	"encoding/binary"
	"net/netip"
)

// Why a packet is dropped before anybody looks at where it goes. Programs of a cell cannot make most of these: they have no raw
// sockets. What makes them is a backend whose guest has a kernel of its own.
const (
	dropTruncated = "truncated"
	dropLong      = "longer than the link's MTU"
	dropVersion   = "not IP"
	dropOptions   = "IP options"
	dropFragment  = "fragment"
	dropSource    = "foreign source"
	dropGroup     = "multicast or broadcast"
	dropProtocol  = "not TCP, UDP or echo"
	dropHops      = "no hops left"
)

// Numbers of the Assigned Internet Protocol Numbers registry.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// A packetFilter knows the two ends of the link.
type packetFilter struct{ cell, cell6, gate netip.Addr }

// look says why a packet is dropped, "" if it is not.
func (f packetFilter) look(b []byte) string {
	if len(b) < 1 {
		return dropTruncated
	}
	switch b[0] >> 4 {
	case 4:
		return f.four(b)
	case 6:
		return f.six(b)
	}
	return dropVersion
}

// four looks at a packet of RFC 791.
func (f packetFilter) four(b []byte) string {
	if len(b) < 20 || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return dropTruncated
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	switch {
	case b[0]&0xf != 5: // source routes, record route, and every other option
		return dropOptions
	case binary.BigEndian.Uint16(b[6:])&0xbfff != 0: // offset, more fragments, the reserved bit; all but "don't fragment"
		return dropFragment
	case src != f.cell:
		return dropSource
	case dst.IsMulticast() || dst.As4()[0] >= 240 || dst.As4()[0] == 0:
		return dropGroup
	case b[8] < 2: // a router would not pass it on
		return dropHops
	}
	return f.transport(b[9], b[20:], dst)
}

// six looks at a packet of RFC 8200. Extension headers are options and fragments by another name.
func (f packetFilter) six(b []byte) string {
	if len(b) < 40 || int(binary.BigEndian.Uint16(b[4:]))+40 != len(b) {
		return dropTruncated
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	switch {
	case dst.IsMulticast():
		return dropGroup
	case src != f.cell6:
		return dropSource
	case b[7] < 2:
		return dropHops
	}
	switch b[6] {
	case 0, 43, 60:
		return dropOptions
	case 44:
		return dropFragment
	}
	return f.transport(b[6], b[40:], dst)
}

func (f packetFilter) transport(proto byte, b []byte, dst netip.Addr) string {
	switch {
	case proto == protoTCP && len(b) >= 20, proto == protoUDP && len(b) >= 8:
		return ""
	case proto == protoTCP, proto == protoUDP:
		return dropTruncated
	case proto == protoICMP && len(b) >= 8 && b[0] == 8 && b[1] == 0 && dst == f.gate: // echo, RFC 792
		return ""
	}
	return dropProtocol
}
