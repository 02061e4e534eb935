package authority

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cellos.io/cellos/document"
	"cellos.io/cellos/document/format"
)

// A Rule lets the command reach one host on one port.
type Rule struct {
	Host     string // as the document writes it
	Port     uint16
	Protocol string // as the document writes it; "" if it names none
	Budget   Budget
	Inject   []Injection // secrets that the gate puts into its requests; it opens the TLS of a rule that has any
	From     string      // spec.authority.egressRules[2]
}

// Name is the host in the form in which names are compared: lower case, an address in canonical form.
func (r Rule) Name() string { return format.HostKey(r.Host) }

// Address is the host, if it is a literal address; else the zero value.
func (r Rule) Address() netip.Addr {
	a, _ := netip.ParseAddr(r.Name())
	return a.Unmap()
}

// Kind is the protocol in lower case; that of a rule that names none is tcp.
func (r Rule) Kind() string {
	if r.Protocol == "" {
		return "tcp"
	}
	return strings.ToLower(r.Protocol)
}

// UDP and TCP say which transports a rule grants.
func (r Rule) UDP() bool { return r.Kind() == "udp" || r.Kind() == "dns-acknowledged" }

// TCP reports whether TCP is granted.
func (r Rule) TCP() bool { return r.Kind() != "udp" }

// String is the rule as the flag --net takes it: "api.example.com:443", "192.0.2.1:53/udp".
func (r Rule) String() string {
	host := r.Host
	if strings.Contains(r.Name(), ":") {
		host = "[" + r.Name() + "]"
	}
	s := fmt.Sprintf("%s:%d", host, r.Port)
	if k := r.Kind(); k != "tcp" {
		s += "/" + k
	}
	return s
}

// A Budget bounds the use of a rule in a run. Zero means no limit.
type Budget struct {
	BytesOut, BytesIn, Connections, Requests, PerSecond uint64
	End                                                 bool // the cell ends when it is used up
}

// Names says which names may be asked for, whom the answers come from, and which addresses they may lead to.
type Names struct {
	Allow     []string // name patterns, lower case; with any, a name must match one to be reached
	Types     []string // DNS types that may be asked for
	Resolvers []Resolver
	Fronting  []string // name patterns whose TLS connections may carry any granted name

	MinTTL, MaxStale time.Duration // how long an answer is used at least and at most; 0: as the answer says
	Addresses        []NameAddress // addresses that names may lead to although they are private
	Novel            int           // addresses that a name may have in a run; 0: no bound
	RejectNovel      bool          // those above Novel, and those that Addresses does not list, are not used

	NoDirectDNS, NoDoQ, NoHTTP3 bool // rules for these are refused
	Policy                      bool // the document has a rebinding policy
}

// A Resolver answers the supervisor's questions.
type Resolver struct {
	ID, Endpoint, Protocol string // Protocol: do53-udp do53-tcp dot doh
	From                   string // spec.authority.dnsAuthority.resolvers[0]
}

// A NameAddress lets a name lead to the addresses of a prefix.
type NameAddress struct {
	Name   string
	Prefix netip.Prefix
}

// DefaultTypes may be asked for where the document names none.
func DefaultTypes() []string { return []string{"A", "AAAA", "CNAME", "HTTPS"} }

// Matches reports whether a name fits a pattern: is equal, or lies at any depth below what follows "*.". Both are in lower case.
func Matches(name, pattern string) bool {
	if rest, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(name) > len(rest) && strings.HasSuffix(name, rest)
	}
	return name == pattern
}

// MatchesAny reports whether a name fits one of the patterns.
func MatchesAny(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return Matches(name, p) })
}

func (a *Authority) network(d *document.Authority) {
	for i, r := range d.EgressRules {
		rule := Rule{Host: r.Host, Port: r.Port, Inject: injections(i, r.Inject), From: fmt.Sprintf("spec.authority.egressRules[%d]", i)}
		if r.Protocol != nil {
			rule.Protocol = *r.Protocol
		}
		if b := r.Budget; b != nil {
			rule.Budget = Budget{value(b.BytesOut), value(b.BytesIn), value(b.Connections), value(b.Requests), value(b.PerSecond),
				b.OnExceed != nil && *b.OnExceed == document.ExceedEnd}
		}
		a.Network = append(a.Network, rule)
	}
}

func (a *Authority) names(d *document.Authority) {
	n := &a.Names
	n.Types = DefaultTypes()
	if c := d.CDNAuthority; c != nil {
		for _, p := range c.Providers {
			if p.AcceptFronting {
				n.Fronting = append(n.Fronting, strings.ToLower(p.HostnamePattern))
			}
		}
	}
	dns := d.DNSAuthority
	if dns == nil {
		return
	}
	const at = "spec.authority.dnsAuthority"
	for _, p := range dns.HostnameAllowlist {
		n.Allow = append(n.Allow, strings.ToLower(p))
	}
	if len(dns.AllowedQueryTypes) > 0 {
		n.Types = slices.Clone(dns.AllowedQueryTypes)
	}
	for i, r := range dns.Resolvers {
		from := fmt.Sprintf("%s.resolvers[%d]", at, i)
		n.Resolvers = append(n.Resolvers, Resolver{r.ResolverID, r.Endpoint, r.Protocol, from})
		if r.DNSSEC != nil && r.DNSSEC.Validate {
			a.Demands = append(a.Demands, Demand{from + ".dnssec.validate", "validating DNSSEC"})
		}
		if r.Protocol == "doq" {
			a.Demands = append(a.Demands, Demand{from + ".protocol", "asking over QUIC"})
		}
	}
	if p := dns.RefreshPolicy; p != nil {
		n.MinTTL, n.MaxStale = time.Duration(value(p.MinTTLSeconds))*time.Second, time.Duration(value(p.MaxStaleSeconds))*time.Second
	}
	if p := dns.RebindingPolicy; p != nil {
		n.Policy, n.Novel, n.RejectNovel = true, int(p.MaxNovelIPsPerHostname), p.RejectOnRebind
		for _, s := range p.ResponseIPAllowlist {
			name, address, _ := strings.Cut(s, ":")
			prefix, err := netip.ParsePrefix(address)
			if ip, err2 := netip.ParseAddr(address); err != nil && err2 == nil {
				prefix = netip.PrefixFrom(ip, ip.BitLen())
			}
			n.Addresses = append(n.Addresses, NameAddress{strings.ToLower(name), prefix})
		}
	}
	n.NoDirectDNS, n.NoDoQ, n.NoHTTP3 = dns.BlockDirectWorkloadDNS, dns.BlockUDPDoQ, dns.BlockUDPHTTP3
}
