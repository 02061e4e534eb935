package gate

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/resolve"
	"cellos.io/cellos/gate/wire"
)

// standInTTL is how long programs may keep an answer, in seconds. It is true for the whole run; the bound is for those that keep
// answers from one run to the next.
const standInTTL = 60

// answer answers one DNS message of the cell; nil is no answer.
func (g *Gate) answer(msg []byte, tcp bool) []byte {
	q, err := parseQuestion(msg)
	now := time.Now()
	ev := evidence.DNSQuery{QueryID: evidence.NewID(), Name: q.name, QueryType: word(q.kind), Trust: g.journal.trust, ObservedAt: now}
	if err != nil {
		ev.Name, ev.QueryType, ev.Reason = "", "A", evidence.DNSMalformed
		g.journal.denied(evidence.SourceDNSProxy, ev.Reason, ev)
		return nil
	}
	refuse := func(reason string, code dnsmessage.RCode) []byte {
		n, none := int(code), 0
		ev.Reason, ev.RCode, ev.TargetCount = reason, &n, &none
		g.journal.denied(evidence.SourceDNSProxy, reason, ev, evidence.QueryRefused{Name: q.name, QueryType: ev.QueryType, Reason: reason})
		return q.reply(code, nil, 0, tcp)
	}
	if !g.queries.Allow() {
		return refuse(evidence.DNSTooMany, dnsmessage.RCodeRefused)
	}
	if !g.types[q.kind] {
		g.journal.ask(q.name, false)
		return refuse(evidence.DNSDeniedType, dnsmessage.RCodeRefused)
	}
	to, full := g.table.byName(q.name)
	g.journal.ask(q.name, to != nil)
	switch {
	case full:
		return refuse(evidence.DNSTooMany, dnsmessage.RCodeRefused)
	case to == nil:
		g.journal.deny(wire.Refused{Name: q.name, Reason: evidence.DNSNotAllowed})
		return refuse(evidence.DNSNotAllowed, dnsmessage.RCodeRefused)
	}
	resolver := "gate"
	if s := g.resolver.Servers(); len(s) > 0 && s[0].ID != "" {
		resolver = s[0].ID
	}
	permitted := evidence.QueryPermitted{Name: q.name, QueryType: ev.QueryType, Resolver: resolver}
	var body []dnsmessage.ResourceBody
	ttl := uint32(standInTTL)
	switch q.kind {
	case dnsmessage.TypeA:
		body = append(body, &dnsmessage.AResource{A: to.addr.As4()})
	case dnsmessage.TypeAAAA, dnsmessage.TypeCNAME, 64, 65:
		// The name is there, this type of it is not: no IPv6, no other name, no keys and hints that would hide or move the connection.
	default:
		if g.journal.allowed(evidence.SourceDNSProxy, permitted) != nil {
			return nil
		}
		return g.ask(q, ev, tcp)
	}
	ok, n := 0, len(body)
	ev.Allow, ev.Reason, ev.RCode, ev.TargetCount = true, evidence.DNSAllowed, &ok, &n
	if g.journal.noted(evidence.SourceDNSProxy, permitted, ev) != nil {
		return nil
	}
	return q.reply(dnsmessage.RCodeSuccess, body, ttl, tcp)
}

// ask puts the supervisor's own question for a record that has no stand-in, and encodes the answer anew. Names in it grant nothing.
func (g *Gate) ask(q question, ev evidence.DNSQuery, tcp bool) []byte {
	ctx, cancel := context.WithTimeout(g.ctx, resolveTime)
	defer cancel()
	list, a, err := g.resolver.Records(ctx, q.name, q.kind)
	code, reason := dnsmessage.RCodeSuccess, evidence.DNSAllowed
	switch {
	case errors.Is(err, resolve.ErrNotFound):
		code = dnsmessage.RCodeNameError
	case err != nil:
		code, reason = dnsmessage.RCodeServerFailure, evidence.DNSUpstream
	}
	var body []dnsmessage.ResourceBody
	ttl := uint32(standInTTL)
	for _, r := range list {
		body = append(body, r.Body)
		ttl = min(ttl, r.Header.TTL)
	}
	n, c, ms := len(body), int(code), a.Latency.Milliseconds()
	ev.Allow, ev.Reason, ev.RCode, ev.TargetCount, ev.LatencyMs, ev.Resolver = err == nil || code == dnsmessage.RCodeNameError, reason, &c, &n, &ms, a.Server.ID
	if ev.Allow {
		if g.journal.allowed(evidence.SourceDNSProxy, ev) != nil {
			return nil
		}
	} else {
		g.journal.denied(evidence.SourceDNSProxy, reason, ev)
	}
	return q.reply(code, body, ttl, tcp)
}

// allowedTypes are the types that may be asked for, as a set.
func allowedTypes(words []string) map[dnsmessage.Type]bool {
	set := map[dnsmessage.Type]bool{}
	for t, w := range typeWords() {
		if slices.Contains(words, w) {
			set[t] = true
		}
	}
	return set
}
