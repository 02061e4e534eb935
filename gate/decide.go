package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/resolve"
)

// resolveTime bounds everything that is asked for one connection.
const resolveTime = 5 * time.Second

// A leads keeps what names led to.
type leads struct {
	mu   sync.Mutex
	name map[string]*lead
}

// A lead is what one name led to.
type lead struct {
	mu      sync.Mutex // held while it is asked, so that a hundred connections ask once
	addrs   []netip.Addr
	until   time.Time
	history []netip.Addr
	seen    bool // it led somewhere, or nowhere, before
}

// candidates returns the addresses that a connection to a target may be dialled to. The error is a refusal.
func (g *Gate) candidates(ctx context.Context, to *target) ([]netip.Addr, error) {
	if to.name == "" {
		return g.literal(to.addr)
	}
	g.leads.mu.Lock()
	l := g.leads.name[to.name]
	if l == nil {
		l = &lead{}
		g.leads.name[to.name] = l
	}
	g.leads.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.until) {
		return l.addrs, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	a, err := g.resolver.Addresses(ctx, to.name)
	if err != nil {
		return nil, refusal{reason: evidence.FlowUnresolved, err: err}
	}
	ttl := max(a.TTL, g.names.MinTTL)
	if g.names.MaxStale != 0 {
		ttl = max(min(ttl, g.names.MaxStale), g.names.MinTTL)
	}
	passed, err := g.pass(to.name, a, l, ttl)
	if err != nil {
		return nil, err
	}
	l.addrs, l.until = passed, time.Now().Add(ttl)
	return passed, nil
}

// A refusal is why a connection that the table allows is not made.
type refusal struct {
	reason string
	err    error
	lead   netip.Addr
}

func (r refusal) Error() string { return r.err.Error() }
func (r refusal) Unwrap() error { return r.err }

// pass applies the address filter and the rebinding policy to what a name led to.
func (g *Gate) pass(name string, a resolve.Answer, l *lead, ttl time.Duration) ([]netip.Addr, error) {
	var passed []netip.Addr
	var last error
	var lead netip.Addr
	for _, addr := range a.Addrs {
		addr = addr.Unmap()
		if r, blocked := g.filter.Blocked(addr); blocked && !(g.lists(name, addr) && !r.Never) {
			last = fmt.Errorf("%s leads to %s: %s (%s)", name, addr, r.What, r.Source)
			if !r.Never {
				lead = addr
			}
			continue
		}
		if !slices.Contains(passed, addr) {
			passed = append(passed, addr)
		}
	}
	if len(passed) == 0 {
		return nil, refusal{evidence.FlowBlocked, last, lead}
	}
	kept := g.rebind(name, a.Server.ID, passed, l)
	g.drift(name, a.Server.ID, kept, l, ttl)
	if len(kept) == 0 {
		return nil, refusal{reason: evidence.FlowRebound, err: fmt.Errorf("%s leads to addresses that its document does not list", name)}
	}
	return kept, nil
}

// lists reports whether the document lists an address for a name.
func (g *Gate) lists(name string, addr netip.Addr) bool {
	return slices.ContainsFunc(g.names.Addresses, func(x authority.NameAddress) bool {
		return x.Name == name && x.Prefix.Contains(addr)
	})
}

// literal checks an address that a rule names. The rule is its own grant, except where nobody can mean it.
func (g *Gate) literal(addr netip.Addr) ([]netip.Addr, error) {
	if r, blocked := g.filter.Blocked(addr); blocked && r.Never && !slices.ContainsFunc(g.names.Addresses, func(x authority.NameAddress) bool {
		return x.Prefix.IsSingleIP() && x.Prefix.Addr() == addr
	}) {
		return nil, refusal{reason: evidence.FlowBlocked, err: fmt.Errorf("%s is %s (%s)", addr, r.What, r.Source)}
	}
	return []netip.Addr{addr}, nil
}

// rebind applies the rebinding policy: how many addresses a name may have had, and which.
func (g *Gate) rebind(name, resolver string, addrs []netip.Addr, l *lead) []netip.Addr {
	p := g.names
	if !p.Policy {
		return addrs
	}
	var entries []string
	for _, x := range p.Addresses {
		if x.Name == name {
			entries = append(entries, x.Name+":"+prefixText(x.Prefix))
		}
	}
	var novel, violating []netip.Addr
	for _, a := range addrs {
		if !slices.Contains(l.history, a) {
			novel = append(novel, a)
		}
		if len(p.Addresses) > 0 && !g.lists(name, a) {
			violating = append(violating, a)
		}
	}
	slices.SortFunc(novel, netip.Addr.Compare)
	before, all := len(l.history), len(l.history)+len(novel)
	ev := evidence.Rebind{Hostname: name, ResolverID: resolver, Previous: before, Cumulative: all, Max: p.Novel, Trust: g.journal.trust, ObservedAt: time.Now().Truncate(time.Second), Allowed: entries}
	var surplus []netip.Addr
	if p.Novel > 0 && all > p.Novel && len(novel) > 0 {
		ev.NovelIP = novel[0].String()
		g.journal.append(evidence.SourceSupervisor, ev)
		surplus = novel[max(0, min(len(novel), p.Novel-before)):]
	}
	if !p.RejectNovel {
		return addrs
	}
	var kept []netip.Addr
	for _, a := range addrs {
		switch {
		case slices.Contains(violating, a):
			ev.Rejected, ev.NovelIP = true, a.String()
			g.journal.append(evidence.SourceSupervisor, ev)
		case !slices.Contains(surplus, a): // that there is one too many is what the event above says
			kept = append(kept, a)
		}
	}
	return kept
}

func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// drift writes that a name leads to other addresses than before, if its document wants to know.
func (g *Gate) drift(name, resolver string, addrs []netip.Addr, l *lead, ttl time.Duration) {
	was, is := texts(l.addrs), texts(addrs)
	for _, a := range addrs {
		if !slices.Contains(l.history, a) {
			l.history = append(l.history, a)
		}
	}
	same := l.seen && slices.Equal(was, is)
	l.seen = true
	if same || !g.cfg.Drift {
		return
	}
	missing := func(in, from []string) (list []string) {
		for _, s := range in {
			if !slices.Contains(from, s) {
				list = append(list, s)
			}
		}
		return list
	}
	previous := "empty"
	if len(was) > 0 {
		previous = digest(was)
	}
	g.journal.append(evidence.SourceSupervisor, evidence.Drift{Hostname: name, ResolverID: resolver, Previous: was, Current: is, Added: missing(is, was),
		Removed: missing(was, is), PreviousDigest: previous, CurrentDigest: digest(is), TTLSeconds: int64(ttl / time.Second), Trust: g.journal.trust,
		ObservedAt: time.Now().Truncate(time.Second)})
}

func texts(addrs []netip.Addr) []string {
	var s []string
	for _, a := range addrs {
		s = append(s, a.String())
	}
	slices.Sort(s)
	return s
}

// digest is the documented one of a set of addresses.
func digest(sorted []string) string {
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// leadOf is the address that a grant could let pass.
func leadOf(err error) netip.Addr {
	var r refusal
	if errors.As(err, &r) {
		return r.lead
	}
	return netip.Addr{}
}

// reasonOf is the reason code of a refusal.
func reasonOf(err error) string {
	var r refusal
	if errors.As(err, &r) {
		return r.reason
	}
	return evidence.FlowUnreached
}
