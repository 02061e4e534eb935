// Package delivery brings the secrets of one run to its command: in its environment, or over a socket that it asks while it runs.
//
//	s := delivery.Session{Mode: "runtimeBroker", Keys: keys, Broker: b, …}
//	err := s.Identity(ctx)                    // the workload identity first
//	vars, err := s.Deliver(ctx, uid)          // what the command finds in its environment
//	…
//	s.Withdraw()                              // the command has ended: the socket goes, every value is wiped
//	err = s.Revoke(ctx)                       // leases are given back
//
// The three modes are the document's: env hands the values over at the start; runtimeBroker takes them at the start and serves them on the
// socket; runtimeLeasedBroker asks the broker again at each request, under one lease.
package delivery

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/broker"
)

// The modes of delivery.
const (
	Env    = "env"
	Broker = "runtimeBroker"
	Leased = "runtimeLeasedBroker"
)

// The environment of a command that asks for its secrets.
const (
	ModeVariable   = "CELLOS_SECRET_DELIVERY"
	SocketVariable = "CELLOS_RUNTIME_SECRET_SOCKET"
	TokenVariable  = "CELLOS_RUNTIME_SECRET_TOKEN"
)

// A Session delivers the secrets of one run. Its fields are set before its first use, and it is used in the order above; Taken may be called
// at any time.
type Session struct {
	Mode   string
	Keys   []string      // as the document lists them; repeats do not count
	Broker broker.Broker // nil: there are no keys
	TTL    time.Duration // how long the socket gives a secret out

	Alias    string        // the key under which the workload identity is delivered; "": there is none
	Audience string        // what the broker is asked for in its place
	AliasTTL time.Duration // of the identity

	// Injected are the keys whose values are for the network gate: the command gets placeholders.
	Injected []string

	// Socket is the path of the socket on the host, in a folder that exists; it is the cell's user's to enter, and nobody else's. "": nothing of the
	// host listens, and the cell's requests come by Answer.
	Socket string
	At     string // the same path in the cell

	// Known is told of each value before anybody gets it; its error withholds the value. Nil: nobody is told. It may be called concurrently.
	Known func(secret.Value) error

	got   map[string]secret.Value // taken at the start
	gated []secret.Variable       // for the gate
	lease broker.Lease
	desk  *desk   // nil: nobody is answered
	serve *Server // nil: nobody listens

	mu     sync.Mutex
	taken  map[string]int64
	denied map[string]int64
}

// keys are the keys with the identity's first, each once.
func (s *Session) keys() []string {
	var list []string
	seen := map[string]bool{}
	for _, k := range append([]string{s.Alias}, s.Keys...) {
		if k != "" && !seen[k] {
			seen[k] = true
			list = append(list, k)
		}
	}
	return list
}

// asked is what the broker is asked for a key.
func (s *Session) asked(key string) string {
	if key == s.Alias && key != "" {
		return s.Audience
	}
	return key
}

// Identity gets the workload identity, if there is one; with leases, the lease on everything.
func (s *Session) Identity(ctx context.Context) error {
	if s.Alias == "" {
		return nil
	}
	if s.Mode == Leased {
		return s.prepare(ctx)
	}
	v, err := s.Broker.Resolve(ctx, s.Audience)
	if err != nil {
		return fmt.Errorf("identity %s unresolvable via %s broker: %w", s.Alias, s.Broker.Name(), err)
	}
	if v.Len() == 0 {
		return fmt.Errorf("identity %s unresolvable via %s broker (empty value for %s)", s.Alias, s.Broker.Name(), s.Audience)
	}
	return s.keep(s.Alias, v)
}

func (s *Session) keep(key string, v secret.Value) error {
	if err := s.known(key, v); err != nil {
		v.Wipe()
		return err
	}
	if s.got == nil {
		s.got = map[string]secret.Value{}
	}
	s.got[key] = v
	return nil
}

func (s *Session) known(key string, v secret.Value) error {
	if s.Known == nil {
		return nil
	}
	if err := s.Known(v); err != nil {
		return fmt.Errorf("secret %s: %w", key, err)
	}
	return nil
}

// Instant reports whether nobody is asked for anything: the command can ask for secrets, and none is granted to it.
func (s *Session) Instant() bool { return len(s.keys()) == 0 }

// prepare takes the lease.
func (s *Session) prepare(ctx context.Context) error {
	keys := s.keys()
	if len(keys) == 0 || s.lease != nil {
		return nil
	}
	what := "runtime leased broker prepare"
	if s.Alias != "" {
		what += fmt.Sprintf(" [%s -> %s]", s.Audience, s.Alias)
	}
	l, ok := s.Broker.(broker.Leaser)
	if !ok {
		return errors.New(what + ": runtimeLeasedBroker is not supported by this secret broker (" + s.Broker.Name() + "); use runtimeBroker or env")
	}
	for i, k := range keys {
		keys[i] = s.asked(k)
	}
	lease, err := l.Lease(ctx, keys)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	s.lease = lease
	return nil
}

// Deliver gets every other secret and returns what is added to the command's environment. In the runtime modes the socket is open when it
// returns; uid is the only user that it answers. The returned values are the session's.
func (s *Session) Deliver(ctx context.Context, uid uint32) ([]secret.Variable, error) {
	if s.Mode == Leased {
		if err := s.prepare(ctx); err != nil {
			return nil, err
		}
	} else if err := s.resolve(ctx); err != nil {
		return nil, err
	}
	if err := s.replace(ctx); err != nil {
		return nil, err
	}
	if s.Mode == Env {
		var vars []secret.Variable
		for _, k := range s.keys() {
			if err := s.got[k].Use(noNUL); err != nil {
				return nil, fmt.Errorf("secret %s: %w", k, err)
			}
			vars = append(vars, secret.Variable{Name: k, Value: s.got[k]})
			if !slices.Contains(s.Injected, k) {
				s.count(&s.taken, k)
			}
		}
		return vars, nil
	}
	token := secret.FromString(newToken())
	s.desk = s.open(token)
	if s.Socket != "" {
		var err error
		if s.serve, err = Listen(s.Socket, uid, s.desk.serve); err != nil {
			return nil, fmt.Errorf("start %s secret delivery session: %w", s.Mode, err)
		}
	}
	return []secret.Variable{
		{Name: ModeVariable, Value: secret.FromString(s.Mode)},
		{Name: SocketVariable, Value: secret.FromString(s.At)},
		{Name: TokenVariable, Value: token},
	}, nil
}

func noNUL(b []byte) error {
	if bytes.IndexByte(b, 0) >= 0 {
		return errors.New("it has a NUL byte, which no environment variable can have; use secretDelivery runtimeBroker")
	}
	return nil
}

// resolve gets the secrets that are taken at the start.
func (s *Session) resolve(ctx context.Context) error {
	for _, k := range s.keys() {
		if _, ok := s.got[k]; ok {
			continue
		}
		v, err := s.Broker.Resolve(ctx, k)
		if err != nil {
			return fmt.Errorf("secret %s unresolvable via %s broker: %w", k, s.Broker.Name(), err)
		}
		if v.Len() == 0 {
			return fmt.Errorf("secret %s unresolvable via %s broker", k, s.Broker.Name())
		}
		if err := s.keep(k, v); err != nil {
			return err
		}
	}
	return nil
}

// newToken is a random UUID of version 4.
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Answer answers a request that the cell passed on: the line, without its newline. Nil means that it gets no answer: it is no request, or
// nothing is delivered on request, not yet, or not any more. Whoever calls wipes the answer. It may be called concurrently, from when Deliver
// has returned; it does not wait longer than RequestTime.
func (s *Session) Answer(ctx context.Context, line []byte) []byte {
	if s.desk == nil {
		return nil
	}
	return s.desk.answer(ctx, line)
}

// Withdraw ends the delivery and wipes every value. Requests that are being answered are cut off.
func (s *Session) Withdraw() {
	if s.serve != nil {
		s.serve.Close()
		s.serve = nil
	}
	if s.desk != nil {
		s.desk.close()
	}
	for _, v := range s.got {
		v.Wipe()
	}
	for _, v := range s.gated {
		v.Value.Wipe()
	}
	s.got, s.gated = nil, nil
}

// Revoke gives the lease back, if there is one.
func (s *Session) Revoke(ctx context.Context) error {
	if s.lease == nil {
		return nil
	}
	return s.lease.Revoke(ctx)
}

// count adds one to the count of a key.
func (s *Session) count(m *map[string]int64, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *m == nil {
		*m = map[string]int64{}
	}
	if _, known := (*m)[key]; known || len(*m) < maxCounted {
		(*m)[key]++
	}
}

// maxCounted bounds the keys that are remembered: a command can ask for any.
const maxCounted = 1000

// Counts returns how often each secret was given out, and how often each key was asked for that the command was not granted.
func (s *Session) Counts() (taken, denied map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.taken), maps.Clone(s.denied)
}
