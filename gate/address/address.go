// Package address says which addresses a name may not lead to: those that mean something on this host or in its own network, and
// not on the internet that a name was granted of.
//
//	if r, blocked := address.Blocked(ip); blocked {
//		return fmt.Errorf("%s is %s (%s)", ip, r.What, r.Source)
//	}
//
// An address inside an IPv6 address (IPv4-mapped, NAT64, 6to4, Teredo) is looked at as well: the packet would end there. Which
// addresses the host itself has is a fact of the host, not of this table; the caller adds them.
package address

import "net/netip"

// A Range is a block of addresses that a name may not lead to.
type Range struct {
	Prefix netip.Prefix
	What   string // "a private network"
	Source string // the document that sets it apart
	Never  bool   // not even for a name whose document lists the address: metadata services, and what is no host at all
}

// table is made where it is asked, so that a program that never dials pays nothing.
func table() []Range {
	p := netip.MustParsePrefix
	return []Range{
		{p("169.254.169.254/32"), "a cloud's metadata service", "AWS, Azure, Google Cloud, OpenStack: instance metadata", true},
		{p("fd00:ec2::254/128"), "a cloud's metadata service", "AWS: instance metadata over IPv6", true},
		{p("fd20:ce::254/128"), "a cloud's metadata service", "Google Cloud: metadata over IPv6", true},
		{p("100.100.100.200/32"), "a cloud's metadata service", "Alibaba Cloud: instance metadata", true},
		{p("168.63.129.16/32"), "a cloud's metadata service", "Azure: platform services", true},
		{p("192.0.0.192/32"), "a cloud's metadata service", "Oracle Cloud: instance metadata", true},
		{p("0.0.0.0/8"), "this network", "RFC 791 section 3.2, RFC 1122 section 3.2.1.3", true},
		{p("224.0.0.0/4"), "multicast", "RFC 5771", true},
		{p("240.0.0.0/4"), "reserved", "RFC 1112 section 4; 255.255.255.255: RFC 919", true},
		{p("ff00::/8"), "multicast", "RFC 4291 section 2.7", true},
		{p("::/128"), "the unspecified address", "RFC 4291 section 2.5.2", true},
		{p("198.18.0.0/15"), "for benchmarks, and the cell's own stand-ins", "RFC 2544", true},
		{p("10.0.0.0/8"), "a private network", "RFC 1918", false},
		{p("172.16.0.0/12"), "a private network", "RFC 1918", false},
		{p("192.168.0.0/16"), "a private network", "RFC 1918", false},
		{p("127.0.0.0/8"), "loopback", "RFC 1122 section 3.2.1.3", false},
		{p("169.254.0.0/16"), "link-local", "RFC 3927", false},
		{p("100.64.0.0/10"), "shared address space", "RFC 6598", false},
		{p("192.0.0.0/24"), "for protocols", "RFC 6890", false},
		{p("192.0.2.0/24"), "for documentation", "RFC 5737", false},
		{p("198.51.100.0/24"), "for documentation", "RFC 5737", false},
		{p("203.0.113.0/24"), "for documentation", "RFC 5737", false},
		{p("::1/128"), "loopback", "RFC 4291 section 2.5.3", false},
		{p("fe80::/10"), "link-local", "RFC 4291 section 2.5.6", false},
		{p("fc00::/7"), "a private network", "RFC 4193", false},
		{p("fec0::/10"), "site-local", "RFC 3879", false},
		{p("2001:db8::/32"), "for documentation", "RFC 3849", false},
		{p("3fff::/20"), "for documentation", "RFC 9637", false},
		{p("100::/64"), "for discarding", "RFC 6666", false},
	}
}

// A Filter is the table with the host's own addresses. The zero value has neither.
type Filter struct {
	ranges []Range
	own    map[netip.Addr]bool
}

// NewFilter returns a filter that also blocks the host's own addresses, of every interface.
func NewFilter(own []netip.Addr) *Filter {
	f := &Filter{ranges: table(), own: map[netip.Addr]bool{}}
	for _, a := range own {
		f.own[a.Unmap().WithZone("")] = true
	}
	return f
}

// Blocked says whether a name may not lead to an address, and why.
func (f *Filter) Blocked(a netip.Addr) (Range, bool) {
	a = a.WithZone("")
	if r, ok := f.look(a); ok {
		return r, true
	}
	if a.Is4In6() {
		return f.look(a.Unmap())
	}
	for _, inner := range embedded(a) {
		if r, ok := f.look(inner); ok {
			return Range{netip.PrefixFrom(a, a.BitLen()), r.What + " inside an IPv6 address", r.Source, r.Never}, true
		}
	}
	return Range{}, false
}

func (f *Filter) look(a netip.Addr) (Range, bool) {
	for _, r := range f.ranges {
		if r.Prefix.Contains(a) {
			return r, true
		}
	}
	if f.own[a] {
		return Range{netip.PrefixFrom(a, a.BitLen()), "an address of this host", "its network interfaces", false}, true
	}
	return Range{}, false
}

// embedded are the IPv4 addresses that a packet to a would end at, by the transition mechanisms that a network may still run.
func embedded(a netip.Addr) (inner []netip.Addr) {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	four := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	for _, x := range []struct {
		prefix string
		at     int
		flip   bool
	}{
		{"::/96", 12, false},          // IPv4-compatible, RFC 4291 section 2.5.5.1
		{"64:ff9b::/96", 12, false},   // NAT64, RFC 6052
		{"64:ff9b:1::/48", 12, false}, // local NAT64, RFC 8215, with a /96 inside
		{"2002::/16", 2, false},       // 6to4, RFC 3056
		{"2001::/32", 4, false},       // Teredo's server, RFC 4380
		{"2001::/32", 12, true},       // Teredo's client, all bits flipped
	} {
		if !netip.MustParsePrefix(x.prefix).Contains(a) {
			continue
		}
		v := four(x.at)
		if x.flip {
			f := v.As4()
			v = netip.AddrFrom4([4]byte{^f[0], ^f[1], ^f[2], ^f[3]})
		}
		inner = append(inner, v)
	}
	return inner
}
