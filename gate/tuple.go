package gate

import (
	"net/netip"
	"strconv"
	"sync"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
)

// A target is what an address in the cell means: one granted name, or one granted literal address.
type target struct {
	name   string     // "" for a literal
	addr   netip.Addr // stand-in, or the literal itself
	listed bool       // the allow-list has it, or there is none
	rules  []*rule
	front  bool // TLS on it may carry any granted name (cdnAuthority)
}

// String is the target as people write it.
func (t *target) String() string {
	if t.name != "" {
		return t.name
	}
	return t.addr.String()
}

// A table is the closed set of what may be reached. Targets are added when a name under a wildcard is asked for the first time; no
// rule ever is.
type table struct {
	mu      sync.Mutex
	names   map[string]*target
	addrs   map[netip.Addr]*target
	rules   []*rule
	policy  authority.Names
	next    netip.Addr     // stand-in
	perWild map[string]int // names given out under each wildcard
	labels  int            // bytes of all of them
	wild    int
}

// newTable makes the table of a document.
func newTable(rules []authority.Rule, names authority.Names, standIns netip.Prefix) *table {
	t := &table{names: map[string]*target{}, addrs: map[netip.Addr]*target{}, policy: names, next: standIns.Addr(), perWild: map[string]int{}}
	for i, r := range rules {
		x := newRule(r, "authority.egressRules["+strconv.Itoa(i)+"]")
		t.rules = append(t.rules, x)
		if a := r.Address(); a.IsValid() {
			to := t.addrs[a]
			if to == nil {
				to = &target{addr: a, listed: true}
				t.addrs[a] = to
			}
			to.rules = append(to.rules, x)
			continue
		}
		to := t.add(r.Name())
		to.rules = append(to.rules, x)
	}
	for _, p := range names.Allow {
		if p[0] != '*' {
			t.add(p)
		}
	}
	return t
}

// add gives a name its stand-in. Numbers are never used twice in a run.
func (t *table) add(name string) *target {
	if to := t.names[name]; to != nil {
		return to
	}
	t.next = t.next.Next() // the first of the prefix stays free: it looks like a network's address
	to := &target{name: name, addr: t.next, listed: len(t.policy.Allow) == 0 || authority.MatchesAny(name, t.policy.Allow), front: authority.MatchesAny(name, t.policy.Fronting)}
	t.names[name], t.addrs[to.addr] = to, to
	return to
}

// Bounds of names under wildcards: what a program could carry out as questions is bounded by them.
const (
	maxPerWild   = 64
	maxWild      = 256
	maxWildBytes = 8 << 10
)

// byName returns the target of a name, which it makes if a wildcard covers it. Full says that a wildcard does, and that no more names are
// given out.
func (t *table) byName(name string) (to *target, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if to := t.names[name]; to != nil {
		if !to.listed {
			return nil, false
		}
		return to, false
	}
	for _, p := range t.policy.Allow {
		if p[0] != '*' || !authority.Matches(name, p) {
			continue
		}
		if t.perWild[p] >= maxPerWild || t.wild >= maxWild || t.labels+len(name) > maxWildBytes {
			return nil, true
		}
		t.perWild[p]++
		t.wild++
		t.labels += len(name)
		return t.add(name), false
	}
	return nil, false
}

// granted reports whether a name is one that a connection may name: in the allow-list, or in a rule where there is no list.
func (t *table) granted(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if to := t.names[name]; to != nil {
		return to.listed
	}
	return authority.MatchesAny(name, t.policy.Allow)
}

// A verdict is what the table says of a destination.
type verdict struct {
	to     *target
	rule   *rule  // nil: refused
	reason string // of an evidence.FlowDecision
	ref    string
}

// look decides on a destination.
func (t *table) look(udp bool, at netip.AddrPort) verdict {
	t.mu.Lock()
	to := t.addrs[at.Addr()]
	t.mu.Unlock()
	direct := at.Port() == 53 && t.policy.NoDirectDNS // declared resolvers are answered by the gate itself, and never come here
	if to != nil && !direct {
		for _, r := range to.rules {
			if r.Port == at.Port() && (udp && r.UDP() || !udp && r.TCP()) {
				if !to.listed {
					return verdict{to, nil, evidence.FlowNotListed, r.ref}
				}
				return verdict{to, r, evidence.FlowRule, r.ref}
			}
		}
	}
	p := t.policy
	switch {
	case direct:
		return verdict{to, nil, evidence.FlowDirectDNS, evidence.RefDirectDNS}
	case udp && at.Port() == 853 && p.NoDoQ:
		return verdict{to, nil, evidence.FlowDoQ, evidence.RefDoQ}
	case udp && at.Port() == 443 && p.NoHTTP3:
		return verdict{to, nil, evidence.FlowHTTP3, evidence.RefHTTP3}
	case to != nil:
		return verdict{to, nil, evidence.FlowNoPort, evidence.RefDefault}
	}
	return verdict{nil, nil, evidence.FlowDefault, evidence.RefDefault}
}
