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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
)

var echo = authority.Rule{Host: "echo.example", Port: 7}

// A link that loses packets and swaps them, both ways, is slower and no worse.
func TestLossAndReorder(t *testing.T) {
	c := newCell(t, false, echoServer(t), echo)
	c.keep = make(chan []byte, 1)
	c.disturb(23)
	conn, err := c.dial(t, "echo.example", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	sent := make([]byte, 200<<10)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	go conn.Write(sent)
	got := make([]byte, len(sent))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came back: %v", n, len(sent), err)
	}
	if got := c.rec.flows(true); len(got) != 1 {
		t.Errorf("one connection was decided on %d times", len(got))
	}
}

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

// Two cells have the same addresses and nothing of each other.
func TestTwoCells(t *testing.T) {
	server := func(says string) func(context.Context, string, netip.AddrPort) (net.Conn, error) {
		return func(context.Context, string, netip.AddrPort) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { theirs.Write([]byte(says)); theirs.Close() }()
			return ours, nil
		}
	}
	one := newCell(t, false, server("one"), authority.Rule{Host: "one.example", Port: 7})
	two := newCell(t, false, server("two"), authority.Rule{Host: "two.example", Port: 7})
	if one.at("one.example") != two.at("two.example") {
		t.Fatal("the stand-ins differ, so that this test shows nothing")
	}
	for range 20 {
		for want, c := range map[string]*cell{"one": one, "two": two} {
			conn, err := c.dial(t, want+".example", 7)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			if b, err := io.ReadAll(conn); string(b) != want || err != nil {
				t.Errorf("cell %s was answered %q, %v", want, b, err)
			}
			conn.Close()
		}
	}
	if to, _ := one.gate.table.byName("two.example"); to != nil {
		t.Error("a name of one cell has an address in the other")
	}
}

// A cell has as many connections at once as it may, more are refused at once and said so, and it has as many again when some have ended.
func TestTooManyConnections(t *testing.T) {
	c := newCell(t, false, echoServer(t), echo)
	c.gate.paces = rate.NewLimiter(rate.Inf, 1)
	var all []net.Conn
	for len(all) < maxConns {
		conn, err := c.dial(t, "echo.example", 7)
		if err != nil {
			t.Fatalf("connection %d: %v", len(all), err)
		}
		all = append(all, conn)
	}
	for range 50 {
		if _, err := c.dial(t, "echo.example", 7); !refused(err) {
			t.Fatalf("one too many: %v, want a refusal", err)
		}
	}
	alive := all[0]
	alive.SetDeadline(time.Now().Add(patience))
	alive.Write([]byte("x"))
	if _, err := io.ReadFull(alive, make([]byte, 1)); err != nil {
		t.Errorf("a connection of before: %v", err)
	}
	for _, conn := range all[1:] {
		conn.Close()
	}
	for end := time.Now().Add(patience); c.gate.flows.n.Load() > 1 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	conn, err := c.dial(t, "echo.example", 7)
	if err != nil {
		t.Fatalf("when others had ended: %v", err)
	}
	conn.Close()
	u := c.gate.Use()
	if u.Refused[evidence.FlowLimit] != 50 || u.Peak != maxConns {
		t.Errorf("the account has %d refusals and a peak of %d", u.Refused[evidence.FlowLimit], u.Peak)
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
	c.link.Write(big) // longer than the link's packets: cut off, and dropped
	for end := time.Now().Add(patience); c.gate.device.dropped.all()[dropTruncated] == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a packet above the MTU was not dropped")
		}
	}
}

// 1000 clients that begin to say who they want and stop: no more than may be at once are there, each is ended, and the event says why.
func TestSlowClients(t *testing.T) {
	if testing.Short() {
		t.Skip("waits ten seconds, as the gate does")
	}
	c := newCell(t, false, echoServer(t), authority.Rule{Host: "web.example", Port: 443, Protocol: "https"})
	c.gate.paces = rate.NewLimiter(rate.Inf, 1)
	hello := append([]byte{0x16, 3, 1, 0x10, 0, 1, 0, 0x0f, 0xfc}, make([]byte, 91)...)
	var ends sync.WaitGroup
	var mu sync.Mutex
	turned, cut := 0, 0
	for range 1000 {
		conn, err := c.dial(t, "web.example", 443)
		if refused(err) {
			turned++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(hello)
		ends.Go(func() {
			defer conn.Close()
			conn.SetReadDeadline(time.Now().Add(patience))
			_, err := conn.Read(make([]byte, 1))
			var op *net.OpError
			if errors.As(err, &op) && op.Err.Error() == (&tcpip.ErrConnectionReset{}).String() {
				mu.Lock()
				cut++
				mu.Unlock()
			}
		})
	}
	ends.Wait()
	u := c.gate.Use()
	if turned+cut != 1000 || turned < 1000-2*maxConns || int64(turned) != u.Refused[evidence.FlowLimit] || int64(cut) != u.Refused[codeTimeout] || u.Peak > maxConns {
		t.Errorf("%d were refused and %d cut off; the account has %d, %d, and %d at once", turned, cut, u.Refused[evidence.FlowLimit], u.Refused[codeTimeout], u.Peak)
	}
	if n := u.Rules[0].BytesSent; n != 0 {
		t.Errorf("%d bytes went to the server", n)
	}
}

// A clock that somebody sets ends nothing: what is idle is measured on one that nobody sets. Reading back what was kept of it without that
// clock would show in a difference of decades.
func TestIdleHasItsOwnClock(t *testing.T) {
	var f flows
	x := &tracked{}
	if !f.begin(x, false, 1) {
		t.Fatal("not begun")
	}
	x.begun = x.begun.Add(-time.Hour)
	if d := x.idle(); d < time.Hour || d > 2*time.Hour {
		t.Errorf("idle for %v, want an hour", d)
	}
	x.touch()
	if d := x.idle(); d < 0 || d > time.Hour/2 {
		t.Errorf("idle for %v after a byte", d)
	}
	// Round takes the clock that can be set alone, as a sum over it would: the difference must come from the other.
	if x.begun == x.begun.Round(0) {
		t.Error("the beginning has no monotonic reading")
	}
}

// A port of the cell can be used again soon, also where the other side ended the connection before: within the time of a SYN that is sent
// again, and not only after the minute of TIME-WAIT.
func TestPortsAreUsedAgain(t *testing.T) {
	c := newCell(t, false, func(context.Context, string, netip.AddrPort) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { theirs.Write([]byte("bye")); theirs.Close() }()
		return ours, nil
	}, echo)
	wait := tcpip.TCPTimeWaitTimeoutOption(time.Millisecond)
	c.SetTransportProtocolOption(header.TCPProtocolNumber, &wait) // of the cell's own stack
	end := time.Now().Add(patience / 2)                           // of the five; TIME-WAIT is a minute
	for n := 0; n < 5; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		conn, err := gonet.DialTCPWithBind(ctx, c.Stack, tcpip.FullAddress{NIC: nic, Addr: toStack(cellAddr), Port: 4242},
			tcpip.FullAddress{NIC: nic, Addr: toStack(c.at("echo.example")), Port: 7}, header.IPv4ProtocolNumber)
		cancel()
		again := refused(err) || err != nil && strings.Contains(err.Error(), (&tcpip.ErrPortInUse{}).String())
		if again && time.Now().Before(end) {
			time.Sleep(10 * time.Millisecond) // the end of the one before is not over yet
			n--
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		if b, err := io.ReadAll(conn); string(b) != "bye" || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
		conn.Close()
	}
}
