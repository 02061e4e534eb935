// Package resolve asks the DNS for a name that was granted: its own question, with its own id and port, to the resolvers of the
// document or of the host. Nothing of what a cell sent is in it.
//
//	r := resolve.New(servers)
//	a, err := r.Addresses(ctx, "api.example.com") // a.Addrs, a.TTL
//
// An answer is taken only from the server that was asked, on the socket that asked, with the same id and the same question
// (RFC 5452 section 9.1). Aliases are followed inside one answer, eight at most. DNSSEC is not validated.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"cellos.io/cellos/gate/wire"
)

// A Server answers questions.
type Server = wire.Server

// A Transport carries a question to a server.
type Transport = wire.Transport

// An Answer is what a name leads to.
type Answer struct {
	Addrs   []netip.Addr
	Chain   []string      // the aliases that were followed
	TTL     time.Duration // the least of all records used; 0 when there are no addresses
	Server  Server
	Latency time.Duration
}

// Errors that a caller tells apart.
var (
	ErrNotFound = errors.New("no such name")
	ErrServer   = errors.New("the resolver failed")
	ErrChain    = errors.New("more than 8 aliases, or a loop of them")
	errTimeout  = errors.New("no answer")
)

// maxChain bounds aliases: no real name needs more, and each is a chance for a loop.
const maxChain = 8

// A Resolver asks servers in their order. Its methods may be called concurrently.
type Resolver struct {
	servers []Server
	hosts   map[string][]netip.Addr
	// Bootstrap knows the addresses of servers that are called by a name; nil: there are none.
	Bootstrap *Resolver
	// Wait bounds one question to one server; 0 means 2 s.
	Wait time.Duration
}

// New returns a Resolver. Hosts are names that are known without asking (hosts(5)); it may be nil.
func New(servers []Server, hosts map[string][]netip.Addr) *Resolver {
	return &Resolver{servers: servers, hosts: hosts}
}

// Servers are those that are asked.
func (r *Resolver) Servers() []Server { return r.servers }

// Addresses asks for the IPv4 and IPv6 addresses of a name. A name without addresses is ErrNotFound.
func (r *Resolver) Addresses(ctx context.Context, name string) (Answer, error) {
	if a := r.hosts[name]; len(a) > 0 {
		return Answer{Addrs: a, TTL: time.Minute}, nil
	}
	type result struct {
		Answer
		err error
	}
	got := make(chan result, 1)
	go func() {
		a, err := r.addresses(ctx, name, dnsmessage.TypeAAAA)
		got <- result{a, err}
	}()
	a, err := r.addresses(ctx, name, dnsmessage.TypeA)
	six := <-got
	switch {
	case err != nil && six.err != nil:
		return Answer{Server: a.Server, Latency: a.Latency}, err
	case err != nil:
		a = six.Answer
	case six.err == nil:
		a.Addrs = append(a.Addrs, six.Addrs...)
		if len(six.Addrs) > 0 {
			a.TTL = min(a.TTL, six.TTL)
		}
		a.Latency = max(a.Latency, six.Latency)
	}
	if len(a.Addrs) == 0 {
		return a, ErrNotFound
	}
	return a, nil
}

func (r *Resolver) addresses(ctx context.Context, name string, t dnsmessage.Type) (Answer, error) {
	m, a, err := r.ask(ctx, name, t)
	if err != nil {
		return a, err
	}
	a.Addrs, a.Chain, a.TTL, err = follow(m, name, t)
	if err == nil && len(a.Addrs) == 0 {
		return a, ErrNotFound
	}
	return a, err
}

// Records asks for records of a type, and returns those of the answer section that have it.
func (r *Resolver) Records(ctx context.Context, name string, t dnsmessage.Type) ([]dnsmessage.Resource, Answer, error) {
	m, a, err := r.ask(ctx, name, t)
	if err != nil {
		return nil, a, err
	}
	var list []dnsmessage.Resource
	for _, x := range m.Answers {
		if x.Header.Type == t && x.Header.Class == dnsmessage.ClassINET {
			list = append(list, x)
		}
	}
	return list, a, nil
}

// follow walks from the name asked for along its aliases to addresses. Records of other names mean nothing.
func follow(m *dnsmessage.Message, name string, t dnsmessage.Type) (addrs []netip.Addr, chain []string, ttl time.Duration, err error) {
	least := uint32(1<<32 - 1)
	at := strings.ToLower(name) + "."
	for hops := 0; ; hops++ {
		next := ""
		for _, x := range m.Answers {
			if strings.ToLower(x.Header.Name.String()) != at || x.Header.Class != dnsmessage.ClassINET {
				continue
			}
			switch b := x.Body.(type) {
			case *dnsmessage.AResource:
				if t == dnsmessage.TypeA {
					addrs, least = append(addrs, netip.AddrFrom4(b.A)), min(least, x.Header.TTL)
				}
			case *dnsmessage.AAAAResource:
				if t == dnsmessage.TypeAAAA {
					addrs, least = append(addrs, netip.AddrFrom16(b.AAAA)), min(least, x.Header.TTL)
				}
			case *dnsmessage.CNAMEResource:
				next, least = strings.ToLower(b.CNAME.String()), min(least, x.Header.TTL)
			}
		}
		if len(addrs) > 0 || next == "" {
			break
		}
		if hops == maxChain {
			return nil, chain, 0, ErrChain
		}
		chain = append(chain, strings.TrimSuffix(next, "."))
		at = next
	}
	if len(addrs) == 0 {
		return nil, chain, 0, nil
	}
	return addrs, chain, time.Duration(least) * time.Second, nil
}

// ask puts one question to the servers in their order until one answers.
func (r *Resolver) ask(ctx context.Context, name string, t dnsmessage.Type) (*dnsmessage.Message, Answer, error) {
	if len(r.servers) == 0 {
		return nil, Answer{}, fmt.Errorf("%w: there is none", ErrServer)
	}
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return nil, Answer{}, fmt.Errorf("%w: %q is too long", ErrNotFound, name)
	}
	q := dnsmessage.Question{Name: n, Type: t, Class: dnsmessage.ClassINET}
	wait := r.Wait
	if wait == 0 {
		wait = 2 * time.Second
	}
	var errs []error
	var last Answer
	for _, s := range r.servers {
		began := time.Now()
		ctx, cancel := context.WithTimeout(ctx, wait)
		m, err := r.exchange(ctx, s, q)
		cancel()
		last = Answer{Server: s, Latency: time.Since(began)}
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", s.Endpoint, err))
			continue
		case m.RCode == dnsmessage.RCodeNameError:
			return nil, last, ErrNotFound
		case m.RCode != dnsmessage.RCodeSuccess:
			errs = append(errs, fmt.Errorf("%s: answered %s", s.Endpoint, strings.TrimPrefix(m.RCode.String(), "RCode")))
			continue
		}
		return m, last, nil
	}
	return nil, last, fmt.Errorf("%w: %w", ErrServer, errors.Join(errs...))
}
