package gate

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func testFilter() packetFilter {
	return packetFilter{netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("fdce:1105:c0de::1"), netip.MustParseAddr("198.18.0.2")}
}

// four builds an IPv4 packet; change may spoil it.
func four(src, dst string, proto byte, payload []byte, change func([]byte)) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], netip.MustParseAddr(src).AsSlice())
	copy(b[16:], netip.MustParseAddr(dst).AsSlice())
	b = append(b, payload...)
	if change != nil {
		change(b)
	}
	return b
}

func six(src, dst string, next byte, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], netip.MustParseAddr(src).AsSlice())
	copy(b[24:], netip.MustParseAddr(dst).AsSlice())
	return append(b, payload...)
}

func TestPackets(t *testing.T) {
	const cell, cell6 = "198.18.0.1", "fdce:1105:c0de::1"
	tcp, echo := make([]byte, 20), []byte{8, 0, 0, 0, 0, 1, 0, 1}
	for name, x := range map[string]struct {
		packet []byte
		want   string
	}{
		"TCP":                 {four(cell, "192.0.2.1", 6, tcp, nil), ""},
		"UDP":                 {four(cell, "192.0.2.1", 17, tcp[:8], nil), ""},
		"echo to the gate":    {four(cell, "198.18.0.2", 1, echo, nil), ""},
		"echo elsewhere":      {four(cell, "192.0.2.1", 1, echo, nil), dropProtocol},
		"redirect":            {four(cell, "198.18.0.2", 1, []byte{5, 0, 0, 0, 0, 0, 0, 0}, nil), dropProtocol},
		"unreachable":         {four(cell, "198.18.0.2", 1, []byte{3, 4, 0, 0, 0, 0, 2, 0}, nil), dropProtocol},
		"SCTP":                {four(cell, "192.0.2.1", 132, tcp, nil), dropProtocol},
		"don't fragment":      {four(cell, "192.0.2.1", 6, tcp, func(b []byte) { b[6] = 0x40 }), ""},
		"first fragment":      {four(cell, "192.0.2.1", 6, tcp, func(b []byte) { b[6] = 0x20 }), dropFragment},
		"later fragment":      {four(cell, "192.0.2.1", 6, tcp, func(b []byte) { b[7] = 1 }), dropFragment},
		"options":             {four(cell, "192.0.2.1", 6, tcp, func(b []byte) { b[0] = 0x46 }), dropOptions},
		"foreign source":      {four("198.18.0.2", "192.0.2.1", 6, tcp, nil), dropSource},
		"multicast":           {four(cell, "224.0.0.1", 17, tcp, nil), dropGroup},
		"broadcast":           {four(cell, "255.255.255.255", 17, tcp, nil), dropGroup},
		"TTL 1":               {four(cell, "192.0.2.1", 6, tcp, func(b []byte) { b[8] = 1 }), dropHops},
		"short TCP":           {four(cell, "192.0.2.1", 6, tcp[:19], nil), dropTruncated},
		"wrong length":        {four(cell, "192.0.2.1", 6, tcp, func(b []byte) { b[3]++ }), dropTruncated},
		"nothing":             {nil, dropTruncated},
		"version 5":           {[]byte{0x50, 0}, dropVersion},
		"IPv6":                {six(cell6, "2001:db8::1", 6, tcp), ""},
		"IPv6 hop-by-hop":     {six(cell6, "2001:db8::1", 0, tcp), dropOptions},
		"IPv6 routing":        {six(cell6, "2001:db8::1", 43, tcp), dropOptions},
		"IPv6 fragment":       {six(cell6, "2001:db8::1", 44, tcp), dropFragment},
		"router solicitation": {six("fe80::1", "ff02::2", 58, tcp), dropGroup},
		"router advert":       {six("fe80::1", cell6, 58, tcp), dropSource},
		"IPv6 foreign source": {six("fe80::1", "2001:db8::1", 6, tcp), dropSource},
	} {
		if got := testFilter().look(x.packet); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(four("198.18.0.1", "192.0.2.1", 6, make([]byte, 20), nil))
	f.Add(six("fdce:1105:c0de::1", "2001:db8::1", 17, make([]byte, 8)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if testFilter().look(b) != "" {
			return
		}
		// What passes is whole, from the cell, and of a protocol that the gate speaks.
		switch {
		case b[0] == 0x45 && int(binary.BigEndian.Uint16(b[2:])) == len(b) && b[6]&0xbf == 0 && b[7] == 0 && netip.AddrFrom4([4]byte(b[12:16])) == testFilter().cell && (b[9] == 6 || b[9] == 17 || b[9] == 1):
		case b[0]>>4 == 6 && int(binary.BigEndian.Uint16(b[4:]))+40 == len(b) && (b[6] == 6 || b[6] == 17):
		default:
			t.Fatalf("% x passes", b)
		}
	})
}
