package gate

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	link "gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/wire"
)

// patience bounds every wait of a test.
const patience = 60 * time.Second

// records is a Recorder that keeps what is written.
type records struct {
	mu   sync.Mutex
	list []evidence.Payload
	err  error
}

func (r *records) Append(_ string, p evidence.Payload) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, p)
	return r.err
}

func (r *records) Ahead(source string, p evidence.Payload) error { return r.Append(source, p) }

func (r *records) Sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// flows lists the reasons of decisions on connections.
func (r *records) flows(allow bool) (reasons []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.list {
		if d, ok := p.(evidence.FlowDecision); ok && d.Allow == allow {
			reasons = append(reasons, d.Reason)
		}
	}
	return reasons
}

// A cell is the other end of a gate's link: a TCP/IP stack in this process, on a socket that carries packets or frames.
type cell struct {
	*stack.Stack
	gate *Gate
	rec  *records
	link *os.File

	mu   sync.Mutex
	lose func() bool  // whether the next packet, in either direction, is lost
	hear func([]byte) // in place of the cell's stack, what comes from the gate; nil: the stack does
	seen func([]byte) // every packet to the gate; nil: nobody looks
	keep chan []byte  // packets to the gate that are kept back one by one, so that they come out of order
}

var (
	cellAddr  = netip.MustParseAddr("198.18.0.1")
	gateAddr  = netip.MustParseAddr("198.18.0.2")
	cellAddr6 = netip.MustParseAddr("fdce:1105:c0de::1")
	public    = netip.MustParseAddr("93.184.216.34") // names lead here; Dial goes elsewhere
)

// newCell opens a gate with rules, all of whose names lead to one address, and dial in place of the host's network. The gate has been
// released.
func newCell(t *testing.T, frames bool, dial func(context.Context, string, netip.AddrPort) (net.Conn, error), rules ...authority.Rule) *cell {
	t.Helper()
	hosts := map[string][]netip.Addr{}
	for _, r := range rules {
		if !r.Address().IsValid() {
			hosts[r.Host] = []netip.Addr{public}
		}
	}
	const mtu = 1500
	g, err := New(Config{Config: wire.Config{Rules: rules, Names: authority.Names{Types: authority.DefaultTypes()}, Cell: cellAddr, Cell6: cellAddr6, Gate: gateAddr,
		StandIns: netip.MustParsePrefix("198.19.0.0/16"), MTU: mtu}, Hosts: hosts, Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &cell{gate: g, rec: &records{}, link: os.NewFile(uintptr(fds[0]), "cell"), lose: func() bool { return false }}
	theirs := os.NewFile(uintptr(fds[1]), "gate")
	if err := g.Open(Link{Device: theirs, Ethernet: frames}, c.rec); err != nil {
		t.Fatal(err)
	}
	g.Release()
	c.Stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	ch := channel.New(1024, mtu, "\x02\x00\x00\x00\x00\x01")
	var ep stack.LinkEndpoint = ch
	if frames {
		ch.LinkEPCapabilities |= stack.CapabilityResolutionRequired
		ep = link.New(ch)
	}
	must := func(err tcpip.Error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// As newStack does, and for its reasons.
	recovery, longest := tcpip.TCPRecovery(0), tcpip.TCPMaxRTOOption(time.Second)
	must(c.SetTransportProtocolOption(tcp.ProtocolNumber, &recovery))
	must(c.SetTransportProtocolOption(tcp.ProtocolNumber, &longest))
	must(c.CreateNIC(nic, ep))
	must(c.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: header.IPv4ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: toStack(cellAddr), PrefixLen: 30}}, stack.AddressProperties{}))
	must(c.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: header.IPv6ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: toStack(cellAddr6), PrefixLen: 128}}, stack.AddressProperties{}))
	c.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, Gateway: toStack(gateAddr), NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
	ctx, cancel := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	ends.Go(func() {
		for {
			pkt := ch.ReadContext(ctx)
			if pkt == nil {
				return
			}
			v := pkt.ToView()
			c.send(v.AsSlice())
			v.Release()
			pkt.DecRef()
		}
	})
	ends.Go(func() {
		b := make([]byte, 1<<16)
		for {
			n, err := c.link.Read(b)
			if err != nil {
				return
			}
			c.mu.Lock()
			hear := c.hear
			c.mu.Unlock()
			if hear != nil {
				hear(b[:n])
				continue
			}
			if c.lost() {
				continue
			}
			proto := header.IPv4ProtocolNumber
			if !frames && b[0]>>4 == 6 {
				proto = header.IPv6ProtocolNumber
			}
			pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b[:n])})
			ch.InjectInbound(proto, pkt)
			pkt.DecRef()
		}
	})
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("closing the gate: %v", err)
		}
		theirs.Close()
		cancel()
		c.link.Close()
		ends.Wait()
		c.Destroy()
	})
	return c
}

// at is the address that stands for a name.
func (c *cell) at(name string) netip.Addr {
	if a, err := netip.ParseAddr(name); err == nil {
		return a
	}
	to, _ := c.gate.table.byName(name)
	return to.addr
}

// dial connects out of the cell.
func (c *cell) dial(t *testing.T, name string, port uint16) (*gonet.TCPConn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	proto, a := header.IPv4ProtocolNumber, c.at(name)
	if a.Is6() {
		proto = header.IPv6ProtocolNumber
	}
	return gonet.DialContextTCP(ctx, c.Stack, tcpip.FullAddress{NIC: nic, Addr: toStack(a), Port: port}, proto)
}

// refused reports whether a connection met a reset: at once, not by waiting.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Err.Error() == (&tcpip.ErrConnectionRefused{}).String()
}

// echoServer answers on the loopback interface with what it gets; it is what a test's Dial leads to.
func echoServer(t *testing.T) func(context.Context, string, netip.AddrPort) (net.Conn, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 64<<10)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					if _, err := c.Write(b[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}
}

// nowhere dials nothing, and knows what may be dialled.
func nowhere(_ context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if to.Port() != 7 || to.Addr() != public && to.Addr() != netip.MustParseAddr("2001:db9::7") {
		panic("dialled " + network + " " + to.String())
	}
	return nil, syscall.ECONNREFUSED
}
