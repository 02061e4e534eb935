package gate

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/gate/wire"
)

// FuzzFrame: whatever a card sends, what the gate answers goes to that card, from the gate's own, and is no longer than a packet may be.
func FuzzFrame(f *testing.F) {
	packet := four("198.18.0.1", "198.19.0.1", protoUDP, make([]byte, 8), nil)
	head := []byte{2, 0xce, 0x11, 5, 0, 2, 2, 0, 0, 0, 0, 1}
	f.Add(append(append(head[:12:12], 8, 0), packet...))
	f.Add(append(append(head[:12:12], 8, 6), make([]byte, 28)...))
	f.Add(append(append(head[:12:12], 0x86, 0xdd), six("fdce:1105:c0de::1", "ff02::1", protoICMPv6, append([]byte{135}, make([]byte, 31)...))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &ethernet{cell: cellAddr, cell6: cellAddr6}
		packet, reply, why := e.take(parts(b))
		if packet != nil && (reply != nil || why != "") || len(packet) > len(b) {
			t.Errorf("packet %x, reply %x, why %q", packet, reply, why)
		}
		us := gateMAC()
		if reply != nil && (len(reply) < frameHead+28 || len(reply) > 128 || mac(reply[6:12]) != us || reply[0]&1 != 0) {
			t.Errorf("the reply is %x", reply)
		}
	})
}

// FuzzStack: packets of a cell, as many as there are, do not break the stack behind the filter, and nothing is dialled that was not granted.
func FuzzStack(f *testing.F) {
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp[2:], 7)
	tcp[12], tcp[13] = 5<<4, 2 // a SYN
	seed := func(packets ...[]byte) (b []byte) {
		for _, p := range packets {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
		}
		return b
	}
	f.Add(seed(four("198.18.0.1", "198.19.0.1", protoTCP, tcp, nil), four("198.18.0.1", "198.19.0.1", protoTCP, tcp, nil)))
	f.Add(seed(four("198.18.0.1", "198.18.0.2", protoICMP, []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, nil), six("fdce:1105:c0de::1", "2001:db9::7", protoTCP, tcp)))
	f.Add(seed(four("198.18.0.1", "198.18.0.2", protoUDP, append([]byte{0, 1, 0, 53, 0, 40, 0, 0}, ask("echo.example", 1, nil)...), nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Skip(err)
		}
		ours, theirs := os.NewFile(uintptr(fds[0]), "cell"), os.NewFile(uintptr(fds[1]), "gate")
		defer ours.Close()
		g, err := New(Config{Config: wire.Config{Rules: []authority.Rule{{Host: "echo.example", Port: 7}, {Host: "2001:db9::7", Port: 7}}, Names: authority.Names{Types: authority.DefaultTypes()},
			Cell: cellAddr, Cell6: cellAddr6, Gate: gateAddr, StandIns: netip.MustParsePrefix("198.19.0.0/16"), MTU: 1500},
			Hosts: map[string][]netip.Addr{"echo.example": {public}}, Dial: nowhere})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Open(Link{Device: theirs}, &records{}); err != nil {
			t.Fatal(err)
		}
		g.Release()
		for len(b) >= 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			if p := g.device.take(nil, b[2:2+n]); p != nil {
				g.device.deliver(p[0]>>4, buffer.MakeWithData(p))
			}
			b = b[2+n:]
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
