package gate

import (
	"context"
	"errors"
	"slices"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/resolve"
	"cellos.io/cellos/gate/wire"
)

// Times of questions that no connection waits for.
const (
	refreshTime = 2 * time.Second // per name
	hostTime    = 3 * time.Second // per declared host
	maxTargets  = 24              // of a DNSResolution
)

// A refresher asks for the document's names without a connection that needs them, and has written what changed. It keeps to itself what it
// has seen: what a connection is dialled to is asked when it is made.
type refresher struct {
	*Gate
	names []string
	leads map[string]*lead
}

// newRefresher takes the names of the allow-list, or those of the rules where there is none. What a wildcard covers is not known before
// somebody asks.
func (g *Gate) newRefresher() *refresher {
	r := &refresher{Gate: g, leads: map[string]*lead{}}
	list := slices.Clone(g.names.Allow)
	if len(list) == 0 {
		for _, x := range g.cfg.Rules {
			if !x.Address().IsValid() {
				list = append(list, x.Name())
			}
		}
	}
	for _, n := range list {
		if n[0] != '*' && r.leads[n] == nil {
			r.names, r.leads[n] = append(r.names, n), &lead{}
		}
	}
	return r
}

// tick asks for every name that is due. A resolver that fails changes nothing.
func (r *refresher) tick(ctx context.Context, now time.Time) {
	resolver := ""
	if list := r.Gate.names.Resolvers; len(list) > 0 {
		resolver = list[0].ID
	}
	for _, n := range r.names {
		l := r.leads[n]
		age := now.Sub(l.until) // here until is when it was asked
		if l.seen && age < r.Gate.names.MinTTL && (r.Gate.names.MaxStale == 0 || age < r.Gate.names.MaxStale) {
			continue
		}
		one, cancel := context.WithTimeout(ctx, refreshTime)
		a, err := r.resolver.Addresses(one, n)
		cancel()
		if err != nil && !errors.Is(err, resolve.ErrNotFound) {
			continue
		}
		for i, x := range a.Addrs {
			a.Addrs[i] = x.Unmap()
		}
		kept := r.rebind(n, resolver, a.Addrs, l)
		r.drift(n, resolver, kept, l, max(a.TTL, r.Gate.names.MinTTL))
		l.addrs, l.until = kept, now
	}
}

// refresh asks again and again until the gate ends.
func (g *Gate) refresh(every time.Duration) {
	r := g.newRefresher()
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		r.tick(g.ctx, time.Now())
		select {
		case <-g.ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Ask puts questions before there is a cell: a gate that is asked is not opened.
func (g *Gate) Ask(q wire.Question, rec Recorder) error {
	g.journal = newJournal(rec, g.cfg.Trust, g.cfg.Trust, g.fail, g.cfg.Denied)
	if q.Hosts {
		for _, r := range g.cfg.Rules {
			if err := g.journal.append(evidence.SourceSupervisor, g.resolution(r)); err != nil {
				return err
			}
		}
	}
	if q.Refresh {
		g.newRefresher().tick(g.ctx, time.Now())
	}
	return g.journal.rec.Sync()
}

// resolution is what a declared host leads to now. That it leads nowhere, or that nobody knows, has no targets.
func (g *Gate) resolution(h authority.Rule) evidence.DNSResolution {
	d := evidence.DNSResolution{FQDN: h.Host, KeysetID: g.cfg.Trust.KeysetID, IssuerKid: g.cfg.Trust.IssuerKid, PolicyDigest: g.cfg.Trust.PolicyDigest}
	a := resolve.Answer{TTL: 300 * time.Second} // what is documented for every host; true for none but an address
	if addr := h.Address(); addr.IsValid() {
		a.Addrs = append(a.Addrs, addr)
	} else {
		ctx, cancel := context.WithTimeout(g.ctx, hostTime)
		defer cancel()
		a, _ = g.resolver.Addresses(ctx, h.Name())
	}
	d.ResolvedAt = time.Now()
	for _, x := range a.Addrs[:min(len(a.Addrs), maxTargets)] {
		x = x.Unmap()
		t := evidence.ResolvedTarget{Address: x.String(), Family: "inet", Port: int(h.Port)}
		if x.Is6() {
			t.Family = "inet6"
		}
		d.Targets, d.TTLSeconds = append(d.Targets, t), int64(a.TTL/time.Second)
	}
	return d
}
