// Package delivery makes an evidence sink of whatever carries lines to a server: it collects, delivers, tries again, and keeps in a
// folder what cannot be delivered.
//
//	sink := delivery.New(transport, delivery.Config{Patience: 10 * time.Second, Spool: dir})
//
// A sink delivers on the goroutine of its caller; [Aside] puts one on a goroutine of its own, for those that must not hold the run up.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"cellos.io/cellos/evidence/deadletter"
)

// Transport carries lines to a server.
type Transport interface {
	// Deliver hands over lines, each with its line feed, in order. n of them are delivered: whoever gets them has them. A line that
	// was delivered although Deliver does not know may come again; the event's id says so.
	Deliver(ctx context.Context, lines [][]byte) (n int, err error)
	Close() error
}

// Permanent marks an error that trying again does not mend.
func Permanent(err error) error { return &permanent{err} }

// After marks an error for which the server names the time after which it wants to be asked again.
func After(err error, pause time.Duration) error { return &later{err, pause} }

type permanent struct {
	error
}

func (p *permanent) Unwrap() error { return p.error }

type later struct {
	error
	pause time.Duration
}

func (l *later) Unwrap() error { return l.error }

// Config says how much a sink does for an event.
type Config struct {
	Patience time.Duration   // how long a delivery is tried; 0: one try
	Spool    *deadletter.Dir // what is not delivered then is kept here, and counts as taken; nil: it is an error
	Context  context.Context // ends what is under way; nil: nothing does
}

// maxHeld is how many bytes are collected at most before they are delivered.
const maxHeld = 4 << 20

// Sink is an evidence.Flusher over a transport. It is used by one goroutine at a time.
type Sink struct {
	t     Transport
	c     Config
	lines [][]byte
	held  int
	down  bool // the last delivery ended in the spool: do not be patient again
}

// New returns a sink over t, which it closes.
func New(t Transport, c Config) *Sink {
	if c.Context == nil {
		c.Context = context.Background()
	}
	return &Sink{t: t, c: c}
}

// Write takes a line along.
func (s *Sink) Write(line []byte) (int, error) {
	if s.held+len(line) > maxHeld {
		if err := s.Flush(); err != nil {
			return 0, err
		}
	}
	s.lines = append(s.lines, append([]byte(nil), line...))
	s.held += len(line)
	return len(line), nil
}

// Flush delivers.
func (s *Sink) Flush() error {
	if len(s.lines) == 0 {
		return nil
	}
	err := s.deliver()
	if err != nil && s.c.Spool != nil {
		s.down = true
		err = s.spool(err)
	} else if err == nil {
		s.down = false
	}
	return err
}

// deliver tries until everything is delivered, or patience ends.
func (s *Sink) deliver() error {
	until := time.Now().Add(s.c.Patience)
	if s.down {
		until = time.Now()
	}
	// From a tenth of a second, doubled up to two, and up to half of it by chance: many cells that lost one server do not come back at once.
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		n, err := s.t.Deliver(s.c.Context, s.lines)
		s.drop(n)
		if len(s.lines) == 0 {
			return nil
		}
		if err == nil {
			err = errors.New("the transport stopped half-way")
		}
		var p *permanent
		if errors.As(err, &p) || s.c.Context.Err() != nil {
			return err
		}
		if n > 0 {
			pause = 100 * time.Millisecond
		}
		wait := pause + rand.N(pause/2)
		var l *later
		if errors.As(err, &l) {
			wait = max(wait, l.pause)
		}
		if time.Now().Add(wait).After(until) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-s.c.Context.Done():
			return err
		}
	}
}

func (s *Sink) drop(n int) {
	for _, l := range s.lines[:n] {
		s.held -= len(l)
	}
	s.lines = s.lines[:copy(s.lines, s.lines[n:])]
}

// spool keeps what could not be delivered for cause.
func (s *Sink) spool(cause error) error {
	for len(s.lines) > 0 {
		if err := s.c.Spool.Put(s.lines[0], cause); err != nil {
			return fmt.Errorf("%w; and it cannot be kept: %w", cause, err)
		}
		s.drop(1)
	}
	return nil
}

// Sync delivers: what the server has, the server keeps.
func (s *Sink) Sync() error { return s.Flush() }

// Close delivers what is left, and closes the transport.
func (s *Sink) Close() error { return errors.Join(s.Flush(), s.t.Close()) }
