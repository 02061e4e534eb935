package gate

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"cellos.io/cellos/evidence"
)

// Times of a connection.
const (
	dialTime  = 10 * time.Second
	staggered = 250 * time.Millisecond // between two addresses of one name, RFC 8305 section 5
	idleTime  = 5 * time.Minute
)

// syn decides on a TCP segment that belongs to no connection: true if it may become one, else the stack answers with RST.
func (g *Gate) syn(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	flags := header.TCP(pkt.TransportHeader().Slice()).Flags()
	if flags&(header.TCPFlagSyn|header.TCPFlagAck|header.TCPFlagRst) != header.TCPFlagSyn || !g.released.Load() {
		return false
	}
	at := addrPort(id)
	v := g.table.look(false, at)
	if v.rule == nil {
		g.journal.refuse(v, false, at, "", netip.Addr{})
		return false
	}
	return true
}

// accept has a connection of the table's made. It is on a goroutine of the stack's own.
func (g *Gate) accept(r *tcp.ForwarderRequest) { g.hands.do(func() { g.connect(r) }) }

// connect makes a connection, or refuses it: a SYN-ACK comes only when the other side has answered.
func (g *Gate) connect(r *tcp.ForwarderRequest) {
	at := addrPort(r.ID())
	v := g.table.look(false, at)
	c, err := g.upstream(v, false, at)
	if err != nil {
		r.Complete(true)
		return
	}
	var wq waiter.Queue
	ep, terr := r.CreateEndpoint(&wq)
	r.Complete(false)
	if terr != nil { // the cell gave up meanwhile
		c.Close()
		g.flows.done(c)
		return
	}
	ep.SocketOptions().SetKeepAlive(true)
	f := &tcpFlow{gate: g, to: v.to, rule: v.rule, cell: gonet.NewTCPConn(&wq, ep), ep: ep, wq: &wq, up: c.(*tracked)}
	g.flows.opened(f.up, ep)
	v.rule.connections.Add(1)
	f.run()
	f.gone()
	g.flows.done(c)
}

// upstream decides, writes the decision, and dials. The connection counts among the cell's until flows.done.
func (g *Gate) upstream(v verdict, udp bool, at netip.AddrPort) (net.Conn, error) {
	refuse := func(reason string, err error) (net.Conn, error) {
		v.reason = reason
		g.journal.refuse(v, udp, at, err.Error(), leadOf(err))
		return nil, err
	}
	if v.rule == nil || !g.released.Load() || g.ctx.Err() != nil {
		return nil, errReleased
	}
	most := int64(maxConns)
	if udp {
		most = maxFlows
	}
	t := &tracked{}
	if !g.flows.begin(t, udp, most) {
		return refuse(evidence.FlowLimit, errors.New("too many connections at once"))
	}
	ok := false
	defer func() {
		if !ok {
			g.flows.done(t)
		}
	}()
	if !g.paces.Allow() {
		return refuse(evidence.FlowLimit, errors.New("too many new connections a second"))
	}
	if err := v.rule.begin(); err != nil {
		if errors.Is(err, errBudget) {
			g.exceeded(v.rule)
		}
		return refuse(evidence.FlowBudget, err)
	}
	addrs, err := g.candidates(g.ctx, v.to)
	if err != nil {
		return refuse(reasonOf(err), err)
	}
	if err := g.journal.decided(g.journal.flow(true, v.reason, v.ref, udp, v.to.String(), at.Port())); err != nil {
		return nil, err
	}
	network := "tcp"
	if udp {
		network = "udp"
	}
	c, err := g.dial(network, addrs, at.Port())
	if err != nil {
		v.rule.failed.Add(1)
		return refuse(evidence.FlowUnreached, err)
	}
	g.flows.connected(t, c)
	ok = true
	return t, nil
}

// exceeded ends the cell if the rule says so.
func (g *Gate) exceeded(r *rule) {
	if r.Budget.End && r.exceeded.CompareAndSwap(false, true) {
		g.fail(errSpent(r))
	}
}

// dial connects to the first address that answers.
func (g *Gate) dial(network string, addrs []netip.Addr, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.ctx, dialTime)
	defer cancel()
	if len(addrs) == 1 {
		return g.cfg.Dial(ctx, network, netip.AddrPortFrom(addrs[0], port))
	}
	type result struct {
		c   net.Conn
		err error
	}
	results := make(chan result)
	done := make(chan struct{})
	defer close(done)
	started, ended := 0, 0
	start := func() {
		to := netip.AddrPortFrom(addrs[started], port)
		started++
		go func() {
			c, err := g.cfg.Dial(ctx, network, to)
			select {
			case results <- result{c, err}:
			case <-done:
				if c != nil {
					c.Close()
				}
			}
		}()
	}
	start()
	var errs []error
	next := time.NewTimer(staggered)
	defer next.Stop()
	for {
		select {
		case r := <-results:
			if r.err == nil {
				return r.c, nil
			}
			ended++
			errs = append(errs, r.err)
			if started < len(addrs) {
				start()
			} else if ended == started {
				return nil, errors.Join(errs...)
			}
		case <-next.C:
			if started < len(addrs) {
				start()
				next.Reset(staggered)
			}
		}
	}
}
