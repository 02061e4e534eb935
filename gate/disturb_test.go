package gate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
)

var echo = authority.Rule{Host: "echo.example", Port: 7}

// What upstream does to a connection is what the cell sees, and the event says it.
func TestUpstreams(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peers := make(chan *net.TCPConn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			peers <- c.(*net.TCPConn)
		}
	}()
	release := make(chan struct{})
	dial := func(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
		switch to.Port() {
		case 1: // nobody is there
			return nil, syscall.ECONNREFUSED
		case 2: // nobody answers
			select {
			case <-ctx.Done():
			case <-release:
			}
			return nil, context.DeadlineExceeded
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}
	host := "up.example"
	c := newCell(t, false, dial, authority.Rule{Host: host, Port: 1}, authority.Rule{Host: host, Port: 2}, authority.Rule{Host: host, Port: 3})
	if _, err := c.dial(t, host, 1); !refused(err) {
		t.Errorf("where nobody is: %v, want a refusal", err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := c.dial(t, host, 2)
		waiting <- err
	}()
	// While one connection waits, another goes on.
	conn, err := c.dial(t, host, 3)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	peer := <-peers
	peer.SetLinger(0)
	peer.Close() // RST
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a reset from upstream arrived as %v", err)
	}
	// Half-open: the cell closes its side and still reads.
	if conn, err = c.dial(t, host, 3); err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	peer = <-peers
	conn.Write([]byte("last words"))
	conn.CloseWrite()
	if b, err := io.ReadAll(peer); string(b) != "last words" || err != nil {
		t.Errorf("upstream read %q, %v", b, err)
	}
	peer.Write([]byte("answer"))
	peer.Close()
	if b, err := io.ReadAll(conn); string(b) != "answer" || err != nil {
		t.Errorf("the cell read %q, %v", b, err)
	}
	// The cell vanishes in the middle: upstream is told.
	if conn, err = c.dial(t, host, 3); err != nil {
		t.Fatal(err)
	}
	peer = <-peers
	c.gate.flows.close(func(*tracked) bool { return true }) // as the sweep of what is idle does
	peer.SetReadDeadline(time.Now().Add(patience))
	if _, err := peer.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("upstream was told %v", err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the cell was told %v", err)
	}
	close(release)
	if err := <-waiting; !refused(err) {
		t.Errorf("where nobody answers: %v, want a refusal", err)
	}
	if got, want := c.rec.flows(false), []string{evidence.FlowUnreached, evidence.FlowUnreached}; !slices.Equal(got, want) {
		t.Errorf("refused for %q, want %q", got, want)
	}
}

// raw sends an IPv4 packet with a TCP segment of the cell, whose checksums are right.
func (c *cell) raw(to netip.Addr, src, dst uint16, flags header.TCPFlags) {
	b := four(cellAddr.String(), to.String(), protoTCP, make([]byte, 20), nil)
	ip := header.IPv4(b)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	s := header.TCP(b[20:])
	s.Encode(&header.TCPFields{SrcPort: src, DstPort: dst, SeqNum: uint32(src), Flags: flags, DataOffset: 20, WindowSize: 1024})
	s.SetChecksum(^s.CalculateChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, toStack(cellAddr), toStack(to), 20)))
	c.link.Write(b)
}

// A storm of SYNs, to what is granted and to what is not, fills nothing that others need.
func TestSYNFlood(t *testing.T) {
	var mu sync.Mutex
	dials, most := 0, 0
	echoes := echoServer(t)
	stuck := make(chan struct{})
	c := newCell(t, false, func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		if to.Port() == 7 {
			return echoes(ctx, network, to)
		}
		mu.Lock()
		dials++
		most = max(most, dials)
		mu.Unlock()
		<-stuck
		return nil, syscall.ETIMEDOUT
	}, echo, authority.Rule{Host: "echo.example", Port: 9})
	conn, err := c.dial(t, "echo.example", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const storm = 20000
	for i := range storm {
		c.raw(c.at("echo.example"), uint16(1024+i), 9, header.TCPFlagSyn)
		c.raw(netip.MustParseAddr("192.0.2.1"), uint16(1024+i), 80, header.TCPFlagSyn)
	}
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write([]byte("still here"))
	if b := make([]byte, 10); true {
		if _, err := io.ReadFull(conn, b); err != nil || string(b) != "still here" {
			t.Errorf("another connection read %q, %v", b, err)
		}
	}
	close(stuck)
	u := c.gate.Use()
	mu.Lock()
	defer mu.Unlock()
	if most > synBacklog || most > maxConns {
		t.Errorf("%d dials at once", most)
	}
	if u.Dropped["SYN backlog full"] == 0 || u.Refused[evidence.FlowDefault] != storm {
		t.Errorf("the account has %d dropped and %d refused", u.Dropped["SYN backlog full"], u.Refused[evidence.FlowDefault])
	}
}

// Half a connection, resets, and segments of none: a port of the cell means what it says each time.
func TestStraySegments(t *testing.T) {
	c := newCell(t, false, echoServer(t), echo)
	to := c.at("echo.example")
	for i := range uint16(500) {
		c.raw(to, 2000+i, 7, header.TCPFlagAck)
		c.raw(to, 2000+i, 7, header.TCPFlagRst)
		c.raw(to, 2000+i, 7, header.TCPFlagSyn|header.TCPFlagAck)
		c.raw(to, 2000+i, 7, header.TCPFlagSyn|header.TCPFlagRst)
		c.raw(to, 2000+i, 7, 0)
	}
	conn, err := c.dial(t, "echo.example", 7)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := c.rec.flows(true); len(got) != 1 {
		t.Errorf("%d connections were made, want 1", len(got))
	}
}

// Packets as large as the link takes pass in both directions, larger ones are cut by who sends them.
func TestMTU(t *testing.T) {
	c := newCell(t, false, echoServer(t), echo)
	conn, err := c.dial(t, "echo.example", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	for _, n := range []int{1, 1448, 1460, 1461, 9000, 65535} {
		sent := bytes.Repeat([]byte{byte(n)}, n)
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, n)
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	big := four(cellAddr.String(), c.at("echo.example").String(), protoTCP, make([]byte, 3000), nil)
	binary.BigEndian.PutUint16(big[22:], 7)
	c.link.Write(big)
	for end := time.Now().Add(patience); c.gate.device.dropped.all()[dropLong] == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a packet above the MTU was not dropped")
		}
	}
}
