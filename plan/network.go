package plan

import (
	"fmt"
	"net/netip"
	"strings"

	"cellos.io/cellos/authority"
)

// A Network is a cell's way out. The zero value is none: a loopback interface and nothing else.
//
//	cell                                       supervisor
//	lo                                         │
//	eth0 198.18.0.1/30 ── device (TUN, TAP) ── gate 198.18.0.2: names, decisions, connections of its own
//	sockets on lo, where the document puts a resolver there ── gate
//
// The addresses are from RFC 2544, which no network routes: 198.18.0.0/30 for the link, 198.19.0.0/16 for the stand-ins of names.
type Network struct {
	Device  bool       // there is a device; the gate must serve it
	MTU     int        // of the device, in bytes
	IPv6    []IPv6Host // literal addresses that are routed into the device; none: no IPv6 but link-local
	Sockets []Socket   // of the gate in the cell, in the order of Plan.Held
	OnHost  bool       // the host's own network, unfiltered
	Names   bool       // names are answered: /etc/resolv.conf is written

	hostResolv, hostHosts string
}

// IPv6Host is one address that a document names.
type IPv6Host = netip.Addr

// A Socket is made in the cell's network and served by the gate: a resolver that the document expects on the loopback interface.
type Socket struct {
	TCP bool // else UDP
	At  netip.AddrPort
	FD  int // number in the child until release
}

// The link of every cell. Cells do not see each other, so all have the same.
const (
	DeviceName = "eth0"
	devicePath = "/dev/net/tun"
	deviceMTU  = 65520 // the largest multiple of 8 below the largest packet: few packets for many bytes, and nothing is on a wire
)

// CellAddress, GateAddress and CellAddress6 are the two ends of the link.
func CellAddress() netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, 1}) }

// GateAddress is the gateway and the resolver of the cell.
func GateAddress() netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, 2}) }

// CellAddress6 is the cell's address where there is IPv6: a unique local one (RFC 4193).
func CellAddress6() netip.Addr { return netip.MustParseAddr("fdce:1105:c0de::1") }

// StandIns are the addresses that stand for names.
func StandIns() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 19, 0, 0}), 16) }

func (n Network) resolvConf() string {
	switch {
	case n.OnHost:
		return n.hostResolv
	case !n.Names:
		return ""
	case n.Device:
		return "nameserver " + GateAddress().String() + "\n"
	}
	for _, s := range n.Sockets {
		if s.At.Port() == 53 {
			return "nameserver " + s.At.Addr().String() + "\n"
		}
	}
	return ""
}

// reach decides what the network of the cell is, and refuses what no gate may do.
func (p *planner) reach() {
	a, n := p.a, &p.p.Network
	p.trust()
	if a.OnHost {
		n.OnHost, n.hostResolv, n.hostHosts = true, p.h.ResolvConf, p.h.Hosts
		return
	}
	p.reachable()
	n.Device = len(a.Network) > 0
	n.Names = n.Device || namesOnly(a)
	if p.sandbox != nil || p.guest {
		n.Device = n.Names // the gate has no sockets in a kernel of its own: it answers names over the link alone
	}
	if n.Device {
		n.MTU = deviceMTU
	}
	if n.Names && p.sandbox == nil && !p.guest {
		for _, r := range a.Names.Resolvers {
			at, err := netip.ParseAddrPort(r.Endpoint)
			if err == nil && at.Addr().IsLoopback() && strings.HasPrefix(r.Protocol, "do53") {
				n.Sockets = append(n.Sockets, Socket{At: at}, Socket{At: at, TCP: true})
			}
		}
	}
	if !n.Device {
		return
	}
	switch e := p.h.Entries[devicePath]; e.Kind {
	case Missing:
		if p.guest {
			p.refuse("spec.authority.egressRules", "the guest's kernel has no virtual links (tun)", "name another kernel with CELLOS_FIRECRACKER_KERNEL_IMAGE")
			break
		}
		p.refuse("spec.authority.egressRules", "this host has no "+devicePath, "modprobe tun; in a container, give it the device")
	case Unknown:
		p.refuse("spec.authority.egressRules", fmt.Sprintf("opening %s: %s", devicePath, e.Err), "chmod 0666 "+devicePath+", as most distributions do: it grants nothing by itself")
	}
}

// namesOnly reports whether a document lets names be asked for, whatever it lets be reached.
func namesOnly(a *authority.Authority) bool {
	return len(a.Names.Allow) > 0 && len(a.Names.Resolvers) > 0
}

// reachable refuses rules that are no grant of one destination.
func (p *planner) reachable() {
	names := p.a.Names
	for _, r := range p.a.Network {
		host, port := r.From+".host", r.From+".port"
		addr := r.Address()
		switch {
		case addr.IsValid() && StandInRange().Contains(addr):
			p.refuse(host, r.Host+" is one of the cell's own addresses", "name the host")
		case addr.IsValid() && addr.IsLoopback():
			p.refuse(host, r.Host+" would be the cell's own loopback interface, not the host's", "name the service, and let it lead there: --net NAME:PORT --private NAME=127.0.0.1")
		case addr.IsValid() && addr.Is4() && addr.As4()[0] == 0:
			p.refuse(host, r.Host+" is no host", "")
		case addr.IsValid() && addr.IsLinkLocalUnicast() && addr.Is6():
			p.refuse(host, r.Host+" means something else on every link", "")
		case addr.IsValid() && addr.Is6() && p.noIPv6:
			p.refuse(host, r.Host+" is an IPv6 address, and the guest's kernel has none", "boot a kernel with IPv6, or choose the process backend")
		case addr.IsValid():
			if addr.Is6() {
				p.p.Network.IPv6 = append(p.p.Network.IPv6, addr)
			}
		case strings.Contains(r.Name()[strings.LastIndexByte(r.Name(), '.')+1:], "_"):
			p.refuse(host, r.Host+" is the name of a service, not of a host", "")
		}
		kind := r.Kind()
		switch {
		case kind == "dns-acknowledged" && (r.Port != 53 || !addr.IsValid()):
			p.refuse(r.From, "dns-acknowledged is for port 53 of an address", "")
		case r.Port == 53 && kind != "dns-acknowledged":
			p.refuse(port, "port 53 carries anything to anybody through a resolver", `say "protocol": "dns-acknowledged" (--net ADDRESS:53/dns-acknowledged), or leave the rule out: names resolve without it`)
		case r.Port == 853 && kind != "dns-acknowledged":
			p.refuse(port, "port 853 carries questions that nobody can check", "leave the rule out: names resolve without it")
		case names.NoHTTP3 && r.Port == 443 && r.UDP():
			p.refuse(port, "UDP port 443 is what spec.authority.dnsAuthority.blockUdpHttp3 forbids", "")
		case names.NoDoQ && r.Port == 853 && r.UDP():
			p.refuse(port, "UDP port 853 is what spec.authority.dnsAuthority.blockUdpDoq forbids", "")
		}
	}
}

// StandInRange is everything that the cell's own addresses are from.
func StandInRange() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, 0}), 15)
}

// String is what the opening event says: none, names, or host.
func (n Network) String() string {
	switch {
	case n.OnHost:
		return "host"
	case n.Device || n.Names:
		return "names"
	}
	return "none"
}
