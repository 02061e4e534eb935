package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/time/rate"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/address"
	"cellos.io/cellos/gate/inject"
	"cellos.io/cellos/gate/resolve"
	"cellos.io/cellos/gate/wire"
)

// A Config is what a gate enforces, and with what.
type Config struct {
	wire.Config

	Hosts map[string][]netip.Addr // names that are known without asking
	Own   []netip.Addr            // addresses of the host, which no name may lead to
	// Bootstrap knows the addresses of servers that are called by a name; nil: there are none.
	Bootstrap *resolve.Resolver

	// Denied is told of every refusal, from any goroutine; nil: nobody.
	Denied func(wire.Refused)
	// Dial makes the connections; nil: the host's network.
	Dial func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)
}

// A Link is where the cell's packets come from, and the sockets in the cell on which names are answered. They stay the caller's to
// close, after Close.
type Link struct {
	Device   *os.File // non-blocking; nil: none
	Ethernet bool     // frames, not packets
	Offload  bool     // a struct virtio_net_hdr is before each packet, and checksums and segments are left to the device
	UDP      []net.PacketConn
	TCP      []net.Listener
}

// A Gate is the network of one cell. Its methods may be called concurrently.
type Gate struct {
	cfg      Config
	names    authority.Names
	table    *table
	types    map[dnsmessage.Type]bool
	resolver *resolve.Resolver
	filter   *address.Filter
	leads    leads
	queries  *rate.Limiter
	paces    *rate.Limiter
	journal  *journal
	dropped  counters

	ctx       context.Context // ends with the gate
	cancel    context.CancelFunc
	device    *device
	stack     *stack.Stack      // nil: there will be no link
	resolvers []resolverSockets // on the link
	flows     flows
	hands     hands
	released  atomic.Bool
	opener    *inject.Opener // nil: no rule injects anything

	failing sync.Once
	failed  chan error
	closing sync.Once
}

// Bounds of what one cell may do at once.
const (
	maxConns   = 256
	maxNew     = 100 // connections a second
	maxFlows   = 64  // UDP
	queryRate  = 50  // questions a second
	queryBurst = 100
)

// New makes a gate that serves nothing yet. What of it does not need the link is made here: a cell waits for Open.
func New(c Config) (*Gate, error) {
	if c.Denied == nil {
		c.Denied = func(wire.Refused) {}
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, to.String())
		}
	}
	g := &Gate{
		cfg: c, names: c.Names, table: newTable(c.Rules, c.Names, c.StandIns), types: allowedTypes(c.Names.Types),
		resolver: resolve.New(c.Servers, c.Hosts), filter: address.NewFilter(c.Own), leads: leads{name: map[string]*lead{}},
		hands: newHands(), queries: rate.NewLimiter(queryRate, queryBurst), paces: rate.NewLimiter(maxNew, maxNew), failed: make(chan error, 1),
	}
	g.resolver.Bootstrap = c.Bootstrap
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.device = newDevice(c.MTU, g.look, g.fail)
	if c.MTU == 0 { // there will be no link
		return g, nil
	}
	return g, g.makeStack()
}

// Open serves a link. Until Release everything is refused, and nothing of it is written: what comes then are the probes of the
// boundary.
func (g *Gate) Open(link Link, rec Recorder) error {
	l7 := g.cfg.Trust
	l7.IssuerKid = g.cfg.L7Kid
	g.journal = newJournal(rec, g.cfg.Trust, l7, g.fail, g.cfg.Denied)
	for _, pc := range link.UDP {
		go g.serveUDP(pc)
	}
	for _, l := range link.TCP {
		go g.serveTCP(l)
	}
	if link.Device == nil {
		return nil
	}
	if g.stack == nil {
		return errors.New("a link without the size of its packets")
	}
	if err := g.device.open(link, g.cfg.Cell, g.cfg.Cell6); err != nil {
		return err
	}
	for _, s := range g.resolvers {
		go g.serveUDP(s.udp)
		go g.serveTCP(s.tcp)
	}
	go g.device.serve()
	go g.sweep()
	return nil
}

// Release lets granted connections pass.
func (g *Gate) Release() {
	if g.released.Swap(true) || g.cfg.Every == 0 {
		return
	}
	go g.refresh(g.cfg.Every)
}

// fail says that the gate cannot go on. It lets nothing more pass.
func (g *Gate) fail(err error) {
	g.failing.Do(func() {
		g.cancel()
		g.failed <- err
	})
}

// Failed tells once why the gate cannot go on: its device is gone, nothing can be recorded, or a budget that ends the cell is used
// up. The cell must end then.
func (g *Gate) Failed() <-chan error { return g.failed }

// Close ends every connection and writes the account. It is safe to call twice.
func (g *Gate) Close() error {
	var err error
	g.closing.Do(func() {
		g.released.Store(false)
		g.cancel()
		g.flows.end()
		g.hands.end()
		for _, s := range g.resolvers {
			s.udp.Close()
			s.tcp.Close()
		}
		g.device.close()
		if g.stack != nil {
			g.stack.Destroy()
		}
		if g.journal == nil {
			return
		}
		g.journal.flush(0)
		err = g.journal.append(evidence.SourceSupervisor, g.Use())
	})
	return err
}

// Use is the account so far.
func (g *Gate) Use() evidence.NetworkUse {
	u := evidence.NetworkUse{Dropped: g.dropped.all(), Peak: g.flows.peak.Load()}
	if g.journal != nil {
		u.Refused, u.Names = g.journal.account()
	}
	for why, n := range g.device.dropped.all() {
		u.Dropped[why] += n
	}
	if g.stack != nil {
		s := g.stack.Stats()
		for why, n := range map[string]uint64{dropSum: s.TCP.ChecksumErrors.Value() + s.UDP.ChecksumErrors.Value(),
			"malformed": s.IP.MalformedPacketsReceived.Value(), "SYN backlog full": s.TCP.ForwardMaxInFlightDrop.Value()} {
			if n > 0 {
				u.Dropped[why] += int64(n)
			}
		}
	}
	for _, r := range g.table.rules {
		u.Rules = append(u.Rules, evidence.RuleUse{Ref: r.ref, Host: r.Name(), Port: int(r.Port), Protocol: r.Kind(), Connections: r.connections.Load(), Failed: r.failed.Load(),
			Requests: r.requests.Load(), BytesSent: r.sent.Load(), BytesReceived: r.received.Load()})
	}
	return u
}

// errSpent is what ends the cell when a budget says so.
func errSpent(r *rule) error {
	return fmt.Errorf("the budget of %s (%s) is used up", r.Rule.String(), r.ref)
}

var errReleased = errors.New("not released yet")
