package gate

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
)

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

// A connection counts until the cell has taken what was sent to it: what waits for a cell that never reads is bounded, also where it says
// that it has nothing more to say, and the connection is over for the gate.
func TestNeverRead(t *testing.T) {
	says := make([]byte, 40<<10)
	c := newCell(t, false, func(context.Context, string, netip.AddrPort) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { theirs.Write(says); theirs.Close() }()
		return ours, nil
	}, echo)
	c.gate.paces = rate.NewLimiter(rate.Inf, 1)
	// No more than this is announced by the cell, and none of it read.
	small := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: 4 << 10, Max: 4 << 10}
	c.SetTransportProtocolOption(header.TCPProtocolNumber, &small)
	var all []net.Conn
	turned := 0
	for range 2 * maxConns {
		conn, err := c.dial(t, "echo.example", 7)
		if refused(err) {
			turned++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		conn.CloseWrite()
		all = append(all, conn)
	}
	if len(all) != maxConns || turned != maxConns {
		t.Errorf("%d connections were made, and %d refused", len(all), turned)
	}
	if n := len(c.gate.stack.RegisteredEndpoints()); n > maxConns+8 {
		t.Errorf("the stack has %d ends of connections", n)
	}
	if b, err := io.ReadAll(all[0]); len(b) != len(says) || err != nil {
		t.Errorf("one that reads at last got %d bytes, %v", len(b), err)
	}
	for _, conn := range all {
		conn.Close()
	}
	for end := time.Now().Add(patience); c.gate.flows.n.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are still there when the cell has ended all", c.gate.flows.n.Load())
		}
	}
}

// Buffers are shared out among the connections there are.
func TestShares(t *testing.T) {
	c := newCell(t, false, echoServer(t), echo)
	c.gate.paces = rate.NewLimiter(rate.Inf, 1)
	sizes := func() (send, receive int64) {
		c.gate.flows.mu.Lock()
		defer c.gate.flows.mu.Unlock()
		for x := range c.gate.flows.all {
			if x.ep != nil {
				send += x.ep.SocketOptions().GetSendBufferSize()
				receive += x.ep.SocketOptions().GetReceiveBufferSize()
			}
		}
		return send, receive
	}
	var all []net.Conn
	for len(all) < maxConns {
		conn, err := c.dial(t, "echo.example", 7)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
		if send, receive := sizes(); send > max(maxBuffers, int64(len(all))*minSend) || receive > max(maxBuffers, int64(len(all))*minReceive) {
			t.Fatalf("%d connections have %d and %d bytes", len(all), send, receive)
		}
	}
	for _, conn := range all[1:] {
		conn.Close()
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if send, receive := sizes(); send == maxBuffer && receive == maxBuffer {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the one that is left has %d and %d bytes", send, receive)
		}
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

// A port of the cell can be used again at once, for the same name and for another, also where the other side ended the connection before:
// no SYN is refused, and none has to be sent again.
func TestPortsAreUsedAgain(t *testing.T) {
	c := newCell(t, false, func(context.Context, string, netip.AddrPort) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { theirs.Write([]byte("bye")); theirs.Close() }()
		return ours, nil
	}, echo, authority.Rule{Host: "other.example", Port: 7})
	c.gate.paces = rate.NewLimiter(rate.Inf, 1)
	wait := tcpip.TCPTimeWaitTimeoutOption(time.Millisecond)
	c.SetTransportProtocolOption(header.TCPProtocolNumber, &wait) // of the cell's own stack
	var syns atomic.Int64
	c.seen = func(b []byte) {
		if b[0]>>4 == 4 && b[9] == protoTCP && header.TCP(b[20:]).Flags() == header.TCPFlagSyn {
			syns.Add(1)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const times = 200
	for n := 0; n < times; n++ {
		to := []string{"echo.example", "echo.example", "other.example"}[n%3]
		conn, err := gonet.DialTCPWithBind(ctx, c.Stack, tcpip.FullAddress{NIC: nic, Addr: toStack(cellAddr), Port: 4242},
			tcpip.FullAddress{NIC: nic, Addr: toStack(c.at(to)), Port: 7}, header.IPv4ProtocolNumber)
		if err != nil && strings.Contains(err.Error(), (&tcpip.ErrPortInUse{}).String()) && ctx.Err() == nil {
			runtime.Gosched() // the cell itself is not done with it
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
	if n := syns.Load(); n != times || len(c.rec.flows(true)) != times || len(c.rec.flows(false)) != 0 {
		t.Errorf("%d SYNs for %d connections; %d were allowed, and %d refused", n, times, len(c.rec.flows(true)), len(c.rec.flows(false)))
	}
}
