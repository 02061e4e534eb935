package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/sysabi"
)

// networkSays puts the network in words.
func (p *planner) networkSays() {
	a, n := p.a, p.p.Network
	if n.OnHost {
		p.can("reach everything that this host reaches, its loopback interface too: the network is the host's own and is not filtered")
		return
	}
	p.can("talk to itself on the loopback interface of its own network", LayerNet)
	for _, r := range a.Network {
		s := fmt.Sprintf("reach %s on port %d (%s)", r.Name(), r.Port, r.Kind())
		var more []string
		for _, x := range []struct {
			n    uint64
			unit string
		}{{r.Budget.BytesOut, "bytes out"}, {r.Budget.BytesIn, "bytes in"}, {r.Budget.Connections, "connections"}, {r.Budget.Requests, "requests"}, {r.Budget.PerSecond, "new connections a second"}} {
			if x.n != 0 {
				more = append(more, fmt.Sprintf("%d %s", x.n, x.unit))
			}
		}
		if len(more) > 0 {
			s += ", up to " + and(more)
			if r.Budget.End {
				s += "; above it the cell ends"
			}
		}
		for _, x := range r.Inject {
			s += fmt.Sprintf("; the gate opens its TLS and puts the secret %s into the header %s of each request", x.Secret, x.Header)
		}
		p.can(s, LayerNet, LayerGate)
	}
	if names := authority.Opened(a.Network); len(names) > 0 {
		p.can(fmt.Sprintf("see in %s the certificate of an authority that is made for this run, vouches for %s only, and is added to what programs trust", authority.TrustAt, and(names)), LayerGate, LayerMount)
	}
	for _, x := range a.Names.Addresses {
		p.can(fmt.Sprintf("reach %s at %s, if it is granted", x.Name, x.Prefix), LayerGate)
	}
	if n.Names {
		who := "the host's resolvers"
		if len(a.Names.Resolvers) > 0 {
			var ids []string
			for _, r := range a.Names.Resolvers {
				ids = append(ids, r.Protocol+" "+r.Endpoint)
			}
			who = and(ids)
		}
		p.can("ask for names; the supervisor answers, and asks "+who+" itself for granted ones", LayerGate)
		switch elsewhere := "ask for names anywhere but at " + GateAddress().String() + ", as /etc/resolv.conf says: "; {
		case p.sandbox != nil:
			p.cannot(elsewhere+"gVisor's loopback interface has no resolver", LayerKernel)
		case p.guest:
			p.cannot(elsewhere+"the guest's loopback interface has no resolver", LayerMachine)
		}
	}
}

// networkCannot says what the network does not let pass.
func (p *planner) networkCannot() {
	n := p.p.Network
	switch {
	case n.OnHost:
		return
	case !n.Device:
		p.cannot("reach any network, also not the host's loopback", LayerNet, LayerSeccomp)
		return
	}
	p.cannot("reach any other name, address or port, also not the host's loopback", LayerNet, LayerGate, LayerSeccomp)
	p.cannot("choose the address that a name leads to, or reach a private one that is not listed", LayerGate)
}

// A destination is one that no cell may reach.
type destination struct{ what, at string }

// destinations are those behind the gate that are tried.
func (p *planner) destinations() (list []destination) {
	for _, x := range []destination{
		{"reaching an address outside", "192.0.2.1:9"}, // RFC 5737, documentation; port 9: discard
		{"reaching a cloud's metadata service", "169.254.169.254:80"},
		{"reaching a resolver outside", "9.9.9.9:53"},
		{"reaching the gate on another port", GateAddress().String() + ":9"},
		{"reaching a stand-in of no name", "198.19.255.254:443"},
	} {
		if !p.grants(x.at) {
			list = append(list, x)
		}
	}
	return list
}

// askNetwork begins what networkProbes looks at: connections that nobody waits for, while the other probes are made and the gate gets ready.
// It returns where the sockets are among the probes. One destination is left for networkProbes, which waits: what it is told comes after
// the answers to all others, for the gate's and the kernel's side of the device are one queue each.
func (p *planner) askNetwork() (sockets []int) {
	if !p.probesNetwork() || !p.p.Network.Device {
		return nil
	}
	list := p.destinations()
	for _, x := range list[:max(len(list)-1, 0)] {
		sockets = append(sockets, len(p.p.Boot.Probes))
		p.connect(LayerGate, "asking for it: "+x.what, sysabi.EINPROGRESS, sysabi.SOCK_STREAM|sysabi.SOCK_NONBLOCK, x.at)
	}
	return sockets
}

// networkProbes tries what must be refused. The gate serves the device already, and lets nothing pass before release. Asked are the sockets
// of askNetwork; nil: every connection is waited for.
func (p *planner) networkProbes(asked []int) {
	if !p.probesNetwork() {
		return
	}
	if !p.p.Network.Device {
		p.deny(LayerNet, "opening a socket of the cell's own network", nil, "socket", num(sysabi.AF_INET), num(sysabi.SOCK_DGRAM|sysabi.SOCK_CLOEXEC), num(0))
		addr, size := address("192.0.2.1:9") // as in destinations
		p.deny(LayerNet, "reaching an address outside", []sysabi.Errno{sysabi.ENETUNREACH}, "connect", previous(), addr, size)
		return
	}
	list := p.destinations()
	for _, x := range list[len(asked):] {
		p.connect(LayerGate, x.what, sysabi.ECONNREFUSED, sysabi.SOCK_STREAM, x.at)
	}
	for i, at := range asked {
		addr, size := address(list[i].at)
		p.deny(LayerGate, list[i].what, []sysabi.Errno{sysabi.ECONNREFUSED}, "connect", Operand{Back: len(p.p.Boot.Probes) - at}, addr, size)
	}
	at := netip.MustParseAddrPort("127.0.0.1:9")
	for slices.ContainsFunc(p.p.Network.Sockets, func(s Socket) bool { return s.At == at }) { // names are answered there
		at = netip.AddrPortFrom(at.Addr(), at.Port()+1)
	}
	p.connect(LayerNet, "reaching the host's loopback", sysabi.ECONNREFUSED, sysabi.SOCK_STREAM, at.String())
}

// probesNetwork reports whether there is a network that probes can be made of.
func (p *planner) probesNetwork() bool {
	return !p.p.Network.OnHost && !strings.Contains(p.base(), "net-none")
}

// connect is a probe that opens a socket and connects it.
func (p *planner) connect(layer, what string, want sysabi.Errno, kind uint64, at string) {
	p.deny(layer, "opening a socket", nil, "socket", num(sysabi.AF_INET), num(kind|sysabi.SOCK_CLOEXEC), num(0))
	addr, size := address(at)
	p.deny(layer, what, []sysabi.Errno{want}, "connect", previous(), addr, size)
}

func address(at string) (addr, size Operand) {
	b := sockaddr(netip.MustParseAddrPort(at))
	return data(b...), num(uint64(len(b)))
}

// grants reports whether a rule or a resolver names exactly this destination.
func (p *planner) grants(at string) bool {
	to := netip.MustParseAddrPort(at)
	for _, r := range p.a.Network {
		if r.Address() == to.Addr() && r.Port == to.Port() {
			return true
		}
	}
	for _, r := range p.a.Names.Resolvers {
		if r.Endpoint == at {
			return true
		}
	}
	return false
}
