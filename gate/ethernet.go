package gate

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
)

// An ethernet is the gate's end of a link that carries frames: the cell has a network card, and a kernel of its own that looks for
// neighbours. The gate is its only one. It answers for every address but the cell's, so that no guest has to be told which are behind it,
// and asks nothing: the cell's card is where the last frame came from.
//
// A frame is a destination, a source and a type (IEEE 802.3 clause 3, RFC 894), then a packet, and padding up to 60 bytes.
type ethernet struct {
	cell, cell6 netip.Addr
	peer        atomic.Pointer[mac]
}

type mac [6]byte

const (
	frameHead = 14
	typeIPv4  = 0x0800
	typeARP   = 0x0806
	typeIPv6  = 0x86dd
)

// gateMAC is the gate's address on Ethernet links: locally administered, RFC 7042 section 2.1.
func gateMAC() mac { return mac{0x02, 0xce, 0x11, 0x05, 0x00, 0x02} }

// Frames are dropped for reasons of their own.
const (
	dropForeign = "frame for another card"
	dropType    = "frame that is not IP"
)

// take looks at a frame of the cell, its head and its body: it has a packet for the stack, or gets a reply, or neither, with or without a
// reason. Both are valid until the frame's bytes change.
func (e *ethernet) take(f, body []byte) (packet, reply []byte, why string) {
	if len(f) < frameHead {
		return nil, nil, dropTruncated
	}
	to, from := mac(f[:6]), mac(f[6:12])
	if to != gateMAC() && to[0]&1 == 0 {
		return nil, nil, dropForeign
	}
	if from[0]&1 != 0 { // nobody sends as a group
		return nil, nil, dropSource
	}
	if p := e.peer.Load(); p == nil || *p != from {
		e.peer.Store(&from)
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case typeARP:
		return nil, e.arp(body), ""
	case typeIPv4:
		return unpad(body, 0), nil, ""
	case typeIPv6:
		packet = unpad(body, 40)
		if reply, ok := e.neighbour(packet); ok {
			return nil, reply, ""
		}
		return packet, nil, ""
	}
	return nil, nil, dropType
}

// unpad cuts a packet to the length that it says, if that is shorter. The length counts from after the first plus bytes.
func unpad(b []byte, plus int) []byte {
	at := 2
	if plus > 0 {
		at = 4
	}
	if len(b) < at+2 {
		return b
	}
	return b[:min(len(b), int(binary.BigEndian.Uint16(b[at:]))+plus)]
}

// put makes the head of a frame to the cell; false: the cell has not said anything yet.
func (e *ethernet) put(head []byte, version byte) bool {
	p := e.peer.Load()
	if p == nil {
		return false
	}
	kind := uint16(typeIPv4)
	if version == 6 {
		kind = typeIPv6
	}
	frameTo(head, *p, kind)
	return true
}

func frameTo(head []byte, to mac, kind uint16) {
	from := gateMAC()
	copy(head, to[:])
	copy(head[6:], from[:])
	binary.BigEndian.PutUint16(head[12:], kind)
}

// arp answers a question for an IPv4 neighbour, RFC 826. A host that looks whether its own address is taken (RFC 5227) gets no answer.
func (e *ethernet) arp(b []byte) []byte {
	// Ethernet, IPv4, their lengths, a request.
	if len(b) < 28 || string(b[:8]) != "\x00\x01\x08\x00\x06\x04\x00\x01" {
		return nil
	}
	if netip.AddrFrom4([4]byte(b[24:28])) == e.cell {
		return nil
	}
	us := gateMAC()
	r := make([]byte, frameHead+28)
	frameTo(r, mac(b[8:14]), typeARP)
	a := r[frameHead:]
	copy(a, "\x00\x01\x08\x00\x06\x04\x00\x02")
	copy(a[8:], us[:])
	copy(a[14:], b[24:28])
	copy(a[18:], b[8:18])
	return r
}

// neighbour takes messages of neighbour discovery, RFC 4861; ok says that this is one. A solicitation of the cell for another address than
// its own is answered. Nothing else means anything here: there are no routers, and what a cell says of others is its own affair.
func (e *ethernet) neighbour(p []byte) (reply []byte, ok bool) {
	const solicitation, advertisement = 135, 136
	if len(p) < 44 || p[0]>>4 != 6 || p[6] != protoICMPv6 || p[40] < 133 || p[40] > 137 {
		return nil, false
	}
	if p[40] != solicitation || p[41] != 0 || p[7] != 255 || len(p) < 64 || sum6(p) != 0 {
		return nil, true
	}
	src, target := netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[48:64]))
	if src.IsUnspecified() || src.IsMulticast() || target == e.cell6 || target.IsLinkLocalUnicast() || target.IsMulticast() {
		return nil, true // its own address, or one of the link that nobody has
	}
	us := gateMAC()
	r := make([]byte, frameHead+40+32)
	frameTo(r, *e.peer.Load(), typeIPv6)
	a := r[frameHead:]
	a[0], a[5], a[6], a[7] = 0x60, 32, protoICMPv6, 255
	copy(a[8:], p[48:64]) // from the target
	copy(a[24:], p[8:24])
	a[40], a[44] = advertisement, 0x60 // solicited, override
	copy(a[48:], p[48:64])
	a[64], a[65] = 2, 1 // option: target link-layer address, in units of 8 bytes
	copy(a[66:], us[:])
	binary.BigEndian.PutUint16(a[42:], sum6(a))
	return r, true
}

// sum6 is the checksum of an ICMPv6 packet, RFC 4443 section 2.3: over the addresses, the length, the protocol, and the message. With the
// checksum in place it is 0.
func sum6(p []byte) uint16 {
	sum := uint32(len(p)-40) + protoICMPv6
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(p[8:40])
	add(p[40:])
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
