package gate

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const nic tcpip.NICID = 1

// Sizes of the stack, in bytes. What connections may have in flight is shared out among them: see flows.share.
//
// The window is half the receive buffer. It is never less than a packet: a Linux that has no room for one waits for its persist timer.
const (
	maxBuffer  = 1 << 20 // of a connection in each direction
	minSend    = 16 << 10
	minReceive = 128 << 10
	maxBuffers = 2 << 20 // of all connections together, in each direction
	synBacklog = 128
)

// makeStack makes the stack on the device, and what in it does not need the link.
func (g *Gate) makeStack() error {
	var err error
	if g.stack, err = newStack(); err != nil {
		return err
	}
	if err := attach(g.stack, g.device); err != nil {
		return err
	}
	at := []netip.AddrPort{netip.AddrPortFrom(g.cfg.Gate, 53)}
	for _, r := range g.names.Resolvers {
		if to, err := netip.ParseAddrPort(r.Endpoint); err == nil && !to.Addr().IsLoopback() && (r.Protocol == "do53-udp" || r.Protocol == "do53-tcp") {
			at = append(at, to)
		}
	}
	for _, a := range at {
		if err := own(g.stack, a.Addr()); err != nil {
			return err
		}
		s, err := listen(g.stack, a)
		if err != nil {
			return err
		}
		g.resolvers = append(g.resolvers, s)
	}
	forwarder := tcp.NewForwarder(g.stack, maxBuffer, synBacklog, g.accept)
	g.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, func(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
		return g.syn(id, pkt) && forwarder.HandlePacket(id, pkt)
	})
	g.stack.SetTransportProtocolHandler(udp.ProtocolNumber, g.datagram)
	return nil
}

// look says why a packet of the cell is dropped, "" if it is not.
func (g *Gate) look(b []byte) string {
	why := packetFilter{g.cfg.Cell, g.cfg.Cell6, g.cfg.Gate}.look(b)
	if why == "" {
		g.reuse(b)
	}
	return why
}

// newStack makes a TCP/IP stack that has no device yet.
func newStack() (*stack.Stack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	sack, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(false)
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: maxBuffer, Max: maxBuffer}
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: maxBuffer, Max: maxBuffer}
	// TIME-WAIT is for segments that a network delivers late (RFC 9293 section 3.6.1); this link has none of those. See reuse.
	wait := tcpip.TCPTimeWaitTimeoutOption(time.Millisecond)
	// What is closed here is over for both sides: it need not wait for a cell that does not close its own.
	linger := tcpip.TCPLingerTimeoutOption(100 * time.Millisecond)
	// Without RACK: after a tail loss probe (RFC 8985 section 7) this stack may not arm the retransmission timer, and then a probe that is
	// lost as well is never sent again. The timer doubles only so far: the other end is a process away, and waits as long as the sweep does.
	recovery, longest, retries := tcpip.TCPRecovery(0), tcpip.TCPMaxRTOOption(time.Second), tcpip.TCPMaxRetriesOption(idleTime/time.Second)
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &rcv, &snd, &wait, &linger, &recovery, &longest, &retries} {
		if err := check("setting up TCP", s.SetTransportProtocolOption(tcp.ProtocolNumber, o)); err != nil {
			return nil, err
		}
	}
	// Refusals are answers, each of them: a program that waits for one hangs.
	s.SetICMPLimit(1e9)
	s.SetICMPBurst(1 << 30)
	return s, nil
}

// attach puts the stack behind a device. It takes packets to every address: what it does with them is decided by the handlers.
func attach(s *stack.Stack, d *device) error {
	if err := check("attaching the device", s.CreateNIC(nic, d)); err != nil {
		return err
	}
	if err := check("taking all packets", s.SetPromiscuousMode(nic, true)); err != nil {
		return err
	}
	if err := check("answering for all addresses", s.SetSpoofing(nic, true)); err != nil {
		return err
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
	return nil
}

func check(what string, err tcpip.Error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s", what, err)
}

// own gives the gate an address on the link.
func own(s *stack.Stack, a netip.Addr) error {
	proto := header.IPv4ProtocolNumber
	if a.Is6() {
		proto = header.IPv6ProtocolNumber
	}
	err := s.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: proto, AddressWithPrefix: toStack(a).WithPrefix()}, stack.AddressProperties{})
	if _, dup := err.(*tcpip.ErrDuplicateAddress); err != nil && !dup {
		return fmt.Errorf("taking the address %s on the cell's link: %s", a, err)
	}
	return nil
}

func toStack(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

// addrPort is the destination that a packet names.
func addrPort(id stack.TransportEndpointID) netip.AddrPort {
	a, _ := netip.AddrFromSlice(id.LocalAddress.AsSlice())
	return netip.AddrPortFrom(a, id.LocalPort)
}

// resolverSockets are where a resolver answers on the link.
type resolverSockets struct {
	udp net.PacketConn
	tcp net.Listener
}

func listen(s *stack.Stack, at netip.AddrPort) (r resolverSockets, err error) {
	proto := header.IPv4ProtocolNumber
	if at.Addr().Is6() {
		proto = header.IPv6ProtocolNumber
	}
	full := tcpip.FullAddress{NIC: nic, Addr: toStack(at.Addr()), Port: at.Port()}
	r.udp, err = gonet.DialUDP(s, &full, nil, proto)
	if err != nil {
		return r, fmt.Errorf("answering names at %s: %w", at, err)
	}
	r.tcp, err = gonet.ListenTCP(s, full, proto)
	if err != nil {
		r.udp.Close()
		return r, fmt.Errorf("answering names at %s: %w", at, err)
	}
	return r, nil
}
