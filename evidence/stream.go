package evidence

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Output is a sink and what its failure means.
type Output struct {
	// Name says in errors which sink it was: "<name> emit: <cause>". The documented ones are "primary sink" and
	// "jsonl sink"; the run's own record is "run record".
	Name string
	Sink Sink

	// BestEffort lets the run go on when the sink fails. The zero value is a required sink: its failure fails the
	// stream for good.
	BestEffort bool
	// OnError is told of every event that a best-effort sink did not take; nil: nobody is. It is called under the
	// stream's lock and must not append.
	OnError func(e Event, err error)
}

// Config is what Open needs. Run.ID and at least one output are required.
type Config struct {
	Run     Run
	Outputs []Output // in this order; after the failure of a required one the rest is not tried

	// Signer signs every event (attribute dssematerial) and chains them (cellosprev). Nil: neither.
	Signer Signer
	// Head is the first event's cellosprev: DocumentDigest of the document's bytes as read. Required with Signer.
	Head string

	// After continues a chain whose writer died: the last event that it wrote, as ParseEvent read it. Head is not used then.
	After *Event

	// Redact, when given, rewrites data before anything is hashed, signed or written. It returns canonical JSON.
	Redact func(eventType string, data []byte) ([]byte, error)
	// Wrap, when given, puts the finished event into a transport event (the documented event signing): it gets the eight
	// documented members and returns the event that goes out. Chain and signature are those of the outer event.
	Wrap func(inner Event) (Event, error)

	Durable bool             // fsync after every event, not only in Sync and Close
	Now     func() time.Time // nil: time.Now
	NewID   func() string    // nil: NewID
}

// ErrFinished is returned by Append after the closing event.
var ErrFinished = errors.New("the event stream is closed")

// ErrTooLong is returned, wrapped, for an event above MaxLine. Nothing was written, and the stream goes on.
var ErrTooLong = errors.New("longer than 1 MiB")

// SinkError is the failure of a required sink. Every later call on the stream returns it again.
type SinkError struct {
	Sink string
	Err  error
}

func (e *SinkError) Error() string { return e.Sink + " emit: " + e.Err.Error() }
func (e *SinkError) Unwrap() error { return e.Err }

// Stream is the one writer of a run's events. Its methods may be called concurrently; events get their place in the
// order in which the calls take the lock.
type Stream struct {
	mu       sync.Mutex
	c        Config
	seq      uint64
	prev     string // cellosprev of the next event
	err      error  // the failure that ended the stream
	finished bool
	line     []byte // reused
}

// Open returns a stream that has written nothing yet. The stream owns the sinks: Close closes them.
func Open(c Config) (*Stream, error) {
	switch {
	case c.Run.ID == "":
		return nil, errors.New("opening an event stream: no run identity")
	case len(c.Outputs) == 0:
		return nil, errors.New("opening an event stream: no sink")
	case c.After != nil && (c.After.Count != 0 || c.After.Run != c.Run.ID || c.After.Sequence == 0):
		return nil, errors.New("opening an event stream: the event to continue after does not allow it")
	case c.Signer != nil && c.Head == "" && c.After == nil:
		return nil, errors.New("opening an event stream: signing needs the digest of the document")
	}
	c.Outputs = slices.Clone(c.Outputs)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = NewID
	}
	s := &Stream{c: c, prev: c.Head}
	if c.After != nil {
		s.seq = c.After.Sequence
		var err error
		if s.prev, err = c.After.PayloadDigest(); err != nil && c.Signer != nil {
			return nil, fmt.Errorf("opening an event stream: continuing after event %d: %w", s.seq, err)
		}
	}
	return s, nil
}

// Append writes one event to every sink and returns it. With an error the event is not part of the run: after a
// [*SinkError] nothing more can be written.
func (s *Stream) Append(source string, p Payload) (Event, error) { return s.append(source, p, false) }

// Finish appends the closing event, which carries the count of events. Nothing can be appended after it.
func (s *Stream) Finish(source string, p Payload) (Event, error) { return s.append(source, p, true) }

func (s *Stream) append(source string, p Payload, closing bool) (Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return Event{}, s.err
	}
	if s.finished {
		return Event{}, ErrFinished
	}
	e := Event{ID: s.c.NewID(), Source: source, Type: p.Type(), Time: s.c.Now(), Data: p.AppendData(nil, &s.c.Run)}
	sealed, next, err := s.seal(e, closing)
	if err != nil {
		return Event{}, fmt.Errorf("sealing event %s: %w", p.Type(), err)
	}
	s.line = append(sealed.AppendJSON(s.line[:0]), '\n')
	if len(s.line)-1 > MaxLine {
		return Event{}, fmt.Errorf("event %s of %d bytes: %w", p.Type(), len(s.line)-1, ErrTooLong)
	}
	if err := s.write(sealed); err != nil {
		return Event{}, err
	}
	s.seq, s.prev, s.finished = sealed.Sequence, next, closing
	return sealed, nil
}

func (s *Stream) write(e Event) error {
	for _, out := range s.c.Outputs {
		_, err := out.Sink.Write(s.line)
		if err == nil && s.c.Durable {
			err = out.Sink.Sync()
		}
		if err == nil {
			continue
		}
		if !out.BestEffort {
			s.err = &SinkError{out.Name, err}
			return s.err
		}
		if out.OnError != nil {
			out.OnError(e, err)
		}
	}
	return nil
}

// Sync makes what was appended so far survive a crash of the machine, in every sink that can promise it.
func (s *Stream) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, out := range s.c.Outputs {
		if err := out.Sink.Sync(); err != nil && !out.BestEffort {
			s.err = &SinkError{out.Name, err}
			return s.err
		}
	}
	return nil
}

// Err returns the failure that ended the stream, or nil.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Len returns how many events were written.
func (s *Stream) Len() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

// Close closes the sinks, and syncs them first when Config.Durable asks for it. It does not write a closing event: a stream
// that was not finished is an open chain. Closing twice is no error.
func (s *Stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	outs := s.c.Outputs
	s.c.Outputs = nil
	var errs []error
	for _, out := range outs {
		if s.c.Durable {
			if err := out.Sink.Sync(); err != nil && !out.BestEffort {
				errs = append(errs, &SinkError{out.Name, err})
			}
		}
		if err := out.Sink.Close(); err != nil && !out.BestEffort {
			errs = append(errs, &SinkError{out.Name, err})
		}
	}
	return errors.Join(errs...)
}
