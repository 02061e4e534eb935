package gate

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"testing"
	"time"

	"cellos.io/cellos/authority"
)

// A machine with a network card reaches what is granted, over IPv4 and over IPv6, and nothing else.
func TestEthernetCell(t *testing.T) {
	six := "2001:db9::7"
	c := newCell(t, true, echoServer(t), authority.Rule{Host: "echo.example", Port: 7}, authority.Rule{Host: six, Port: 7})
	for _, host := range []string{"echo.example", six} {
		conn, err := c.dial(t, host, 7)
		if err != nil {
			t.Fatalf("connecting to %s: %v", host, err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		sent := bytes.Repeat([]byte("frames "), 5000)
		go conn.Write(sent)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%s did not send everything back: %v", host, err)
		}
		conn.Close()
		if _, err := c.dial(t, host, 8); !refused(err) {
			t.Errorf("connecting to another port of %s: %v, want a refusal", host, err)
		}
	}
	if got := c.rec.flows(true); len(got) != 2 {
		t.Errorf("%d connections were allowed, want 2", len(got))
	}
	if got := c.rec.flows(false); len(got) != 2 {
		t.Errorf("%d connections were refused, want 2", len(got))
	}
}

// frame builds a frame of the cell's card.
func frame(to, kind, body string) []byte {
	b, err := hex.DecodeString(to + "020000000001" + kind + body)
	if err != nil {
		panic(err)
	}
	return b
}

// parts are a frame's head and body.
func parts(f []byte) (head, body []byte) {
	n := min(len(f), frameHead)
	return f[:n], f[n:]
}

const broadcastMAC, gateMACText = "ffffffffffff", "02ce11050002"

func TestFrames(t *testing.T) {
	e := &ethernet{cell: cellAddr, cell6: cellAddr6}
	packet := four("198.18.0.1", "198.19.0.1", protoUDP, make([]byte, 8), nil)
	solicit := func(src, target string, change func([]byte)) []byte {
		m := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, netip.MustParseAddr(target).AsSlice()...)
		m = append(m, 1, 1, 2, 0, 0, 0, 0, 1)
		p := six(src, "ff02::1:ff00:7", protoICMPv6, m)
		p[7] = 255
		binary.BigEndian.PutUint16(p[42:], sum6(p))
		if change != nil {
			change(p)
		}
		return frame("3333ff000007", "86dd", hex.EncodeToString(p))
	}
	arp := func(op, sender, target string) []byte {
		h := func(a string) string { return hex.EncodeToString(netip.MustParseAddr(a).AsSlice()) }
		return frame(broadcastMAC, "0806", "000108000604"+op+"020000000001"+h(sender)+"000000000000"+h(target)+"000000000000000000000000000000000000")
	}
	for name, x := range map[string]struct {
		frame  []byte
		packet []byte
		reply  string // hex
		why    string
	}{
		"a packet":                {frame(gateMACText, "0800", hex.EncodeToString(packet)), packet, "", ""},
		"a padded packet":         {frame(gateMACText, "0800", hex.EncodeToString(packet)+"000000000000"), packet, "", ""},
		"for another card":        {frame("020000000009", "0800", hex.EncodeToString(packet)), nil, "", dropForeign},
		"from a group":            {append([]byte{2, 0xce, 0x11, 5, 0, 2, 1, 0, 0, 0, 0, 1, 8, 0}, packet...), nil, "", dropSource},
		"cut":                     {frame(gateMACText, "08", ""), nil, "", dropTruncated},
		"IPX":                     {frame(gateMACText, "8137", "ffff"), nil, "", dropType},
		"VLAN":                    {frame(gateMACText, "8100", "00010800"+hex.EncodeToString(packet)), nil, "", dropType},
		"who has the gate":        {arp("0001", "198.18.0.1", "198.18.0.2"), nil, "020000000001" + gateMACText + "0806" + "0001080006040002" + gateMACText + "c6120002" + "020000000001c6120001", ""},
		"who has a stand-in":      {arp("0001", "198.18.0.1", "198.19.0.1"), nil, "020000000001" + gateMACText + "0806" + "0001080006040002" + gateMACText + "c6130001" + "020000000001c6120001", ""},
		"is my address taken":     {arp("0001", "0.0.0.0", "198.18.0.1"), nil, "", ""},
		"an ARP reply":            {arp("0002", "198.18.0.2", "198.18.0.1"), nil, "", ""},
		"ARP, cut":                {arp("0001", "198.18.0.1", "198.18.0.2")[:41], nil, "", ""},
		"is my IPv6 address mine": {solicit("::", cellAddr6.String(), nil), nil, "", ""},
		"a neighbour of the link": {solicit(cellAddr6.String(), "fe80::1", nil), nil, "", ""},
		"from another link":       {solicit(cellAddr6.String(), "2001:db9::7", func(p []byte) { p[7] = 64 }), nil, "", ""},
		"a bad checksum":          {solicit(cellAddr6.String(), "2001:db9::7", func(p []byte) { p[43]++ }), nil, "", ""},
		"a router advertisement":  {solicit(cellAddr6.String(), "2001:db9::7", func(p []byte) { p[40] = 134 }), nil, "", ""},
	} {
		packet, reply, why := e.take(parts(x.frame))
		if !bytes.Equal(packet, x.packet) || hex.EncodeToString(reply) != x.reply || why != x.why {
			t.Errorf("%s: packet %x, reply %x, dropped %q; want %x, %s, %q", name, packet, reply, why, x.packet, x.reply, x.why)
		}
	}
	_, reply, _ := e.take(parts(solicit(cellAddr6.String(), "2001:db9::7", nil)))
	if len(reply) != 86 {
		t.Fatalf("a solicitation got %x", reply)
	}
	if a := reply[frameHead:]; a[40] != 136 || sum6(a) != 0 || netip.AddrFrom16([16]byte(a[48:64])) != netip.MustParseAddr("2001:db9::7") || hex.EncodeToString(a[66:72]) != gateMACText {
		t.Errorf("a solicitation got %x", reply)
	}
}
