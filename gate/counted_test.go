package gate

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// advertisement is a router's, RFC 4861 section 4.2, with a prefix to make addresses of; it is whole, and its checksum is right.
func advertisement(src, dst string) []byte {
	m := []byte{134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}
	m = append(m, 3, 4, 64, 0xc0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0, 0, 0)
	m = append(m, netip.MustParseAddr("2001:db9:bad::").AsSlice()...)
	p := six(src, dst, protoICMPv6, m)
	p[7] = 255
	binary.BigEndian.PutUint16(p[42:], sum6(p))
	return p
}

// What a guest's kernel can send and no program should is dropped, and counted by reason; nothing is dialled for it, and nothing comes back: in
// particular no router is announced to the cell, whatever it asks or says itself.
func TestWhatIsDroppedIsCounted(t *testing.T) {
	for _, frames := range []bool{false, true} {
		c := newCell(t, frames, nowhere, echo)
		to := c.at("echo.example").String()
		tcp := make([]byte, 20)
		header.TCP(tcp).Encode(&header.TCPFields{SrcPort: 4242, DstPort: 7, Flags: header.TCPFlagSyn, DataOffset: 20, WindowSize: 1024})
		solicitation := six("fe80::1", "ff02::2", protoICMPv6, []byte{133, 0, 0, 0, 0, 0, 0, 0})
		solicitation[7] = 255
		binary.BigEndian.PutUint16(solicitation[42:], sum6(solicitation))
		packets := []struct {
			why    string
			packet []byte
		}{
			{dropFragment, four(cellAddr.String(), to, protoTCP, tcp, func(b []byte) { b[6] = 0x20 })},
			{dropFragment, four(cellAddr.String(), to, protoTCP, tcp, func(b []byte) { b[7] = 1 })}, // overlaps the header
			{dropOptions, four(cellAddr.String(), to, protoTCP, append([]byte{131, 3, 4, 0}, tcp...), func(b []byte) { b[0] = 0x46 })},
			{dropHops, four(cellAddr.String(), to, protoTCP, tcp, func(b []byte) { b[8] = 1 })},
			{dropSource, four("198.18.0.3", to, protoTCP, tcp, nil)},
			{dropGroup, four(cellAddr.String(), "224.0.0.1", protoUDP, tcp[:8], nil)},
			{dropProtocol, four(cellAddr.String(), gateAddr.String(), protoICMP, []byte{5, 1, 0, 0, 8, 8, 8, 8}, nil)}, // redirect
			{dropProtocol, four(cellAddr.String(), gateAddr.String(), protoICMP, []byte{3, 4, 0, 0, 0, 0, 2, 0}, nil)}, // too big
			{dropProtocol, four(cellAddr.String(), "192.0.2.1", protoICMP, []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, nil)}, // echo
			{dropProtocol, four(cellAddr.String(), to, 132, tcp, nil)},                                                 // SCTP
			{dropTruncated, four(cellAddr.String(), to, protoTCP, tcp[:19], nil)},
		}
		if !frames { // on a card they are neighbour discovery, which has its own reader
			packets = append(packets, []struct {
				why    string
				packet []byte
			}{
				{dropGroup, solicitation},
				{dropGroup, advertisement(cellAddr6.String(), "ff02::1")},
				{dropProtocol, advertisement(cellAddr6.String(), "2001:db9::7")},
				{dropSource, advertisement("fe80::1", cellAddr6.String())},
			}...)
		}
		heard := make(chan []byte, 100)
		c.mu.Lock()
		c.hear = func(b []byte) { heard <- append([]byte(nil), b...) }
		c.mu.Unlock()
		want := map[string]int64{}
		put := func(kind uint16, p []byte) {
			if frames {
				head := make([]byte, frameHead)
				frameTo(head, gateMAC(), kind)
				copy(head[6:], "\x02\x00\x00\x00\x00\x01")
				p = append(head, p...)
			}
			c.link.Write(p)
		}
		for _, x := range packets {
			want[x.why]++
			kind := uint16(typeIPv4)
			if x.packet[0]>>4 == 6 {
				kind = typeIPv6
			}
			put(kind, x.packet)
		}
		if frames {
			put(typeIPv6, solicitation)
			put(typeIPv6, advertisement(cellAddr6.String(), "ff02::1"))
			put(typeIPv6, advertisement(cellAddr6.String(), "2001:db9::7"))
			put(0x88cc, make([]byte, 50)) // LLDP
			want[dropType]++
		}
		// The last one has a reply, so that all before it have been looked at.
		put(typeIPv4, headed(four(cellAddr.String(), gateAddr.String(), protoICMP, []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, nil)))
		select {
		case b := <-heard:
			if frames {
				b = b[frameHead:]
			}
			if b[9] != protoICMP || b[20] != 0 {
				t.Errorf("the cell was sent %x, want a reply to its echo", b)
			}
		case <-time.After(patience):
			t.Fatal("the gate did not reply to an echo")
		}
		if got := c.gate.Use().Dropped; !maps.Equal(got, want) {
			t.Errorf("dropped were %v, want %v", got, want)
		}
		if n := len(c.rec.list); n != 0 {
			t.Errorf("%d events were written", n)
		}
	}
}
