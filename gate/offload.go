package gate

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Where the cell's kernel and the gate are the two ends of a device, nothing lies between them that could damage a packet: neither computes
// the checksum over its bytes, and the kernel does not cut what it sends into segments. They say so before each packet, in a struct
// virtio_net_hdr (include/uapi/linux/virtio_net.h; IFF_VNET_HDR of Documentation/networking/tuntap.rst): flags, kind of segments, and
// three numbers of 16 bits in the host's order, of which the last two say where the checksum begins and where it goes.
const (
	offloadHead = 10
	needsSum    = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM: the field has the sum of the pseudo header, the rest is left to the device
)

// dropSum is why a packet is dropped whose checksum the cell made itself, and wrong. Its kernel never does.
const dropSum = "bad checksum"

// takeOffload says why a packet of the cell is dropped for its checksum, "" if it is not. What the cell's kernel vouches for is believed;
// the stack is told so for all packets (CapabilityRXChecksumOffload), so every other one is looked at here.
func takeOffload(head, packet []byte) string {
	if head[0]&needsSum == 0 && !sound(packet) {
		return dropSum
	}
	return ""
}

// sound reports whether a packet's checksums hold. What is no packet of TCP or UDP is left to those who read it.
func sound(b []byte) bool {
	p, ok := transportOf(b, len(b))
	if !ok {
		return true
	}
	if b[0]>>4 == 4 && !header.IPv4(b).IsChecksumValid() {
		return false
	}
	if p.field == udpField && b[0]>>4 == 4 && binary.BigEndian.Uint16(p.bytes[udpField:]) == 0 {
		return true // none was made, RFC 768
	}
	return checksum.Checksum(p.bytes, p.pseudo(b)) == 0xffff
}

// putOffload makes the header of a packet to the cell, of which b has the beginning, its own headers at least, and size is the length.
func putOffload(head, b []byte, size int) {
	clear(head)
	p, ok := transportOf(b, size)
	if !ok {
		return // echo: the stack makes its checksum
	}
	binary.BigEndian.PutUint16(p.bytes[p.field:], p.pseudo(b))
	head[0] = needsSum
	binary.NativeEndian.PutUint16(head[6:], uint16(size-p.size))
	binary.NativeEndian.PutUint16(head[8:], uint16(p.field))
}

const tcpField, udpField = 16, 6 // where the checksum is, RFC 9293 section 3.1, RFC 768

// A transport is the part of a packet that a checksum of TCP or UDP is over.
type transport struct {
	bytes []byte
	field int
	size  int // of which bytes is the beginning
}

// transportOf finds it in a packet of size bytes that begins with b; false: there is none, or it is too short for one.
func transportOf(b []byte, size int) (t transport, ok bool) {
	var proto byte
	switch {
	case len(b) >= header.IPv4MinimumSize && b[0]>>4 == 4:
		n := int(b[0]&0xf) * 4
		if n < header.IPv4MinimumSize || n > len(b) {
			return t, false
		}
		proto, t.bytes = b[9], b[n:]
	case len(b) >= header.IPv6MinimumSize && b[0]>>4 == 6:
		proto, t.bytes = b[6], b[header.IPv6MinimumSize:]
	}
	switch proto {
	case protoTCP:
		t.field = tcpField
	case protoUDP:
		t.field = udpField
	default:
		return t, false
	}
	t.size = size - len(b) + len(t.bytes)
	return t, len(t.bytes) >= t.field+2
}

// pseudo is the sum over the pseudo header of packet b: addresses, protocol, length.
func (t transport) pseudo(b []byte) uint16 {
	addrs, proto := b[12:20], b[9]
	if b[0]>>4 == 6 {
		addrs, proto = b[8:40], b[6]
	}
	var n [4]byte
	binary.BigEndian.PutUint16(n[:], uint16(proto))
	binary.BigEndian.PutUint16(n[2:], uint16(t.size))
	return checksum.Checksum(n[:], checksum.Checksum(addrs, 0))
}
