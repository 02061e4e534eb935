package plan

import (
	"fmt"
	"net/netip"
	"strings"

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
		p.can(s, LayerNet, LayerGate)
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

// networkProbes tries what must be refused. The gate serves the device already, and lets nothing pass before release.
func (p *planner) networkProbes() {
	n := p.p.Network
	if n.OnHost || strings.Contains(p.base(), "net-none") {
		return
	}
	to := func(s string) (Operand, Operand) {
		b := sockaddr(netip.MustParseAddrPort(s))
		return data(b...), num(uint64(len(b)))
	}
	try := func(layer, what string, want []sysabi.Errno, family, kind uint64, at string) {
		p.deny(layer, "opening a socket", nil, "socket", num(family), num(kind|sysabi.SOCK_CLOEXEC), num(0))
		addr, size := to(at)
		p.deny(layer, what, want, "connect", previous(), addr, size)
	}
	unreachable, refused := []sysabi.Errno{sysabi.ENETUNREACH}, []sysabi.Errno{sysabi.ECONNREFUSED}
	if !n.Device {
		p.deny(LayerNet, "opening a socket of the cell's own network", nil, "socket", num(sysabi.AF_INET), num(sysabi.SOCK_DGRAM|sysabi.SOCK_CLOEXEC), num(0))
		// 192.0.2.1: RFC 5737, documentation; port 9: discard.
		addr, size := to("192.0.2.1:9")
		p.deny(LayerNet, "reaching an address outside", unreachable, "connect", previous(), addr, size)
		return
	}
	for _, x := range []struct{ what, at string }{
		{"reaching an address outside", "192.0.2.1:9"},
		{"reaching a cloud's metadata service", "169.254.169.254:80"},
		{"reaching a resolver outside", "9.9.9.9:53"},
		{"reaching the gate on another port", GateAddress().String() + ":9"},
		{"reaching a stand-in of no name", "198.19.255.254:443"},
	} {
		if !p.grants(x.at) {
			try(LayerGate, x.what, refused, sysabi.AF_INET, sysabi.SOCK_STREAM, x.at)
		}
	}
	try(LayerNet, "reaching the host's loopback", refused, sysabi.AF_INET, sysabi.SOCK_STREAM, "127.0.0.1:9")
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
