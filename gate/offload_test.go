package gate

import (
	"encoding/binary"
	"testing"
)

// A checksum that the cell's kernel left to the device is not looked at; one that was made is, and a packet whose checksum is wrong is dropped.
func TestTakeOffload(t *testing.T) {
	tcp := append(make([]byte, 20), "hello"...)
	tcp[12] = 5 << 4
	udp := append([]byte{0, 1, 0, 2, 0, 13, 0, 0}, "hello"...)
	right := func(b []byte) []byte { return finished(t, b) }
	wrong := func(b []byte) []byte { b = finished(t, b); b[len(b)-1]++; return b }
	for name, x := range map[string]struct {
		flags  byte
		packet []byte
		why    string
	}{
		"TCP, left":         {needsSum, four("198.18.0.1", "198.19.0.1", protoTCP, tcp, nil), ""},
		"TCP, made":         {0, right(four("198.18.0.1", "198.19.0.1", protoTCP, tcp, nil)), ""},
		"TCP, wrong":        {0, wrong(four("198.18.0.1", "198.19.0.1", protoTCP, tcp, nil)), dropSum},
		"TCP over IPv6":     {0, right(six("fdce:1105:c0de::1", "2001:db9::7", protoTCP, tcp)), ""},
		"TCP over 6, wrong": {0, wrong(six("fdce:1105:c0de::1", "2001:db9::7", protoTCP, tcp)), dropSum},
		"UDP, made":         {0, right(four("198.18.0.1", "198.19.0.1", protoUDP, udp, nil)), ""},
		"UDP, wrong":        {0, wrong(four("198.18.0.1", "198.19.0.1", protoUDP, udp, nil)), dropSum},
		"UDP without one":   {0, headed(four("198.18.0.1", "198.19.0.1", protoUDP, udp, nil)), ""},
		"an echo":           {0, four("198.18.0.1", "198.19.0.1", protoICMP, make([]byte, 8), nil), ""},
		"IPv4's own, wrong": {0, four("198.18.0.1", "198.19.0.1", protoUDP, udp, func(b []byte) { headed(b); b[8]++ }), dropSum},
		"three bytes of IP": {0, []byte{0x45, 0, 0}, ""},
	} {
		head := make([]byte, offloadHead)
		head[0] = x.flags
		if why := takeOffload(head, x.packet); why != x.why {
			t.Errorf("%s: dropped for %q, want %q", name, why, x.why)
		}
	}
}

// finished has the kernel's part of the work done: the checksum from where the header says over the rest.
func finished(t *testing.T, b []byte) []byte {
	t.Helper()
	head := make([]byte, offloadHead)
	putOffload(head, b, len(b))
	if head[0] != needsSum {
		t.Fatalf("the checksum of %x is not left to the device", b)
	}
	start := int(binary.NativeEndian.Uint16(head[6:]))
	at := start + int(binary.NativeEndian.Uint16(head[8:]))
	binary.BigEndian.PutUint16(b[at:], internetSum(b[start:]))
	return headed(b)
}

// headed has the checksum of an IPv4 header made.
func headed(b []byte) []byte {
	if b[0]>>4 == 4 {
		binary.BigEndian.PutUint16(b[10:], internetSum(b[:20]))
	}
	return b
}

// internetSum is the checksum of RFC 1071.
func internetSum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i]) << 8
		if i+1 < len(b) {
			sum += uint32(b[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
