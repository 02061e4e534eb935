package gate

import (
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// udpIdle ends a flow of datagrams: DNS, QUIC and NTP all answer, or say something, in less.
const udpIdle = 30 * time.Second

// datagram decides on the first datagram of a flow: true if it was taken, else the stack answers that the port is unreachable.
func (g *Gate) datagram(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	if !g.released.Load() {
		return false
	}
	at := addrPort(id)
	v := g.table.look(true, at)
	if v.rule == nil {
		g.journal.refuse(v, true, at, "", netip.Addr{})
		return false
	}
	if g.flows.u.Load() >= maxFlows {
		go g.upstream(v, true, at) // refuses and writes it; this is the device's own goroutine
		return false
	}
	var wq waiter.Queue
	r := udp.NewForwarderRequest(g.stack, id, pkt.Clone())
	ep, err := r.CreateEndpoint(&wq)
	if err != nil {
		return false
	}
	cell := gonet.NewUDPConn(&wq, ep)
	go func() {
		defer cell.Close()
		c, err := g.upstream(v, true, at)
		if err != nil {
			return
		}
		defer g.flows.done(c)
		v.rule.connections.Add(1)
		t := c.(*tracked)
		t.abort = func() { cell.Close() }
		g.relay(cell, t, v.rule)
	}()
	return true
}

// relay passes datagrams on both ways until nothing came for a while. Our socket is connected: the kernel takes replies from the dialled
// peer only.
func (g *Gate) relay(cell net.Conn, up *tracked, r *rule) {
	one := func(dst, src net.Conn, take func(int) (int, error)) {
		defer dst.SetReadDeadline(time.Unix(1, 0))
		buf := make([]byte, 64<<10)
		for {
			src.SetReadDeadline(time.Now().Add(udpIdle))
			n, err := src.Read(buf)
			if err != nil {
				// The other direction may still be alive.
				if isTimeout(err) && up.idle() < udpIdle {
					continue
				}
				return
			}
			up.touch()
			if m, err := take(n); err != nil || m < n {
				g.exceeded(r)
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		one(cell, up.Conn, r.in)
	}()
	one(up.Conn, cell, r.out)
	up.Conn.Close()
	<-done
}
