package evidence

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what Open needs. Run.ID and at least one output are required.
type Config struct {
	Run     Run
	Outputs []Output // in this order

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

	// Behind lets Append return when the event has its place in the chain. Signing and writing go on behind it, in order, on
	// one goroutine; Append waits only when 64 events are waiting. Sync, Finish and Close wait for all, so that a caller
	// must call Sync before it does what needs the evidence written. A failure is returned by the next call.
	Behind bool

	Durable bool             // fsync after every event
	Now     func() time.Time // nil: time.Now
	NewID   func() string    // nil: NewID
}

// ErrFinished is returned by Append after the closing event.
var ErrFinished = errors.New("the event stream is closed")

// ErrTooLong is returned, wrapped, for an event whose line would be above MaxLine. Nothing was written, and the stream goes on.
var ErrTooLong = errors.New("longer than 1 MiB")

// maxMaterial is the room that is kept in a line for dssematerial, in bytes: twice what an Ed25519 signature needs.
const maxMaterial = 2048

// Stream is the one writer of a run's events. Its methods may be called concurrently; events get their place in the
// order in which the calls take the lock.
type Stream struct {
	mu       sync.Mutex
	c        Config
	seq      uint64
	prev     string // cellosprev of the next event
	finished bool
	queue    chan job      // with Config.Behind
	idle     chan struct{} // closed when the writer behind has ended

	failure atomic.Pointer[error] // what failed the stream for good
	failed  chan struct{}         // closed with the first failure
	over    atomic.Bool           // nothing more can be written anywhere
	holding atomic.Pointer[holding]
	dead    []bool // required outputs that failed; used by write and flush only
	line    []byte // of the event that is written; used by write only
}

// job is an event that waits for its signature; or, with written, a question: is everything before it written?
type job struct {
	e       Event
	payload []byte
	written chan<- struct{}
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
	s := &Stream{c: c, prev: c.Head, failed: make(chan struct{}), dead: make([]bool, len(c.Outputs))}
	if c.After != nil {
		s.seq = c.After.Sequence
		var err error
		if s.prev, err = c.After.PayloadDigest(); err != nil && c.Signer != nil {
			return nil, fmt.Errorf("opening an event stream: continuing after event %d: %w", s.seq, err)
		}
	}
	if c.Behind {
		s.queue, s.idle = make(chan job, 64), make(chan struct{})
		go s.behind()
	}
	return s, nil
}

// Append writes one event to every sink and returns it (with Config.Behind, without Material). With an error the run is to be ended;
// after a [*SinkError] the events of its end go to the sinks that are left.
func (s *Stream) Append(source string, p Payload) (Event, error) { return s.append(source, p, false) }

// Finish appends the closing event, which carries the count of events. Nothing can be appended after it.
func (s *Stream) Finish(source string, p Payload) (Event, error) { return s.append(source, p, true) }

func (s *Stream) append(source string, p Payload, closing bool) (Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over.Load() {
		return Event{}, s.Err()
	}
	if s.finished {
		return Event{}, ErrFinished
	}
	e := Event{ID: s.c.NewID(), Source: source, Type: p.Type(), Time: s.c.Now(), Data: p.AppendData(make([]byte, 0, 512), &s.c.Run)}
	sealed, payload, err := s.seal(e, closing)
	if err != nil {
		return Event{}, fmt.Errorf("sealing event %s: %w", p.Type(), err)
	}
	if n := len(sealed.Data); n > MaxLine-maxMaterial-1024 { // 1024: more than all attributes together
		return Event{}, fmt.Errorf("event %s with %d bytes of data: %w", p.Type(), n, ErrTooLong)
	}
	if s.queue != nil {
		s.queue <- job{e: sealed, payload: payload}
	} else if err := s.sign(&sealed, payload); err != nil {
		return Event{}, err
	} else if s.write(sealed); s.over.Load() {
		return Event{}, s.Err()
	} else if s.flush(); s.over.Load() {
		return Event{}, s.Err()
	}
	s.seq, s.finished = sealed.Sequence, closing
	if payload != nil {
		s.prev = PayloadDigest(payload)
	}
	if closing {
		return sealed, s.drain()
	}
	return sealed, s.Err()
}

// behind signs and writes what Append has queued, and has it delivered whenever nothing is waiting: what comes in a burst goes out
// together. When nothing can be written any more it takes the rest without writing it.
func (s *Stream) behind() {
	defer close(s.idle)
	for j := range s.queue {
		switch {
		case j.written != nil:
			s.flush()
			close(j.written)
		case s.over.Load():
		default:
			if err := s.sign(&j.e, j.payload); err != nil {
				s.fail(err)
				s.over.Store(true)
				break
			}
			s.write(j.e)
			if len(s.queue) == 0 {
				s.flush()
			}
		}
	}
}

// drain waits until everything that was appended is written, and returns the stream's failure.
func (s *Stream) drain() error {
	if s.queue != nil {
		written := make(chan struct{})
		s.queue <- job{written: written}
		<-written
	}
	return s.Err()
}

// Sync returns when everything that was appended so far is written, and survives a crash of the machine in every sink that can
// promise it if Config.Durable is set.
func (s *Stream) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return s.Err() // Finish and Close have waited
	}
	return s.drain()
}

// Err returns the failure of the stream, or nil.
func (s *Stream) Err() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Len returns how many events were appended.
func (s *Stream) Len() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

// Close waits for what was appended and closes the sinks. With Config.Behind it returns the stream's failure too, which no
// other call may have returned. It does not write a closing event: a stream that was not finished is an open chain. Closing twice is no
// error.
func (s *Stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	var errs []error
	if s.queue != nil {
		close(s.queue)
		<-s.idle
		s.queue = nil
		errs = append(errs, s.Err())
	}
	outs := s.c.Outputs
	s.c.Outputs = nil
	for _, out := range outs {
		if err := out.Sink.Close(); err != nil && !out.BestEffort {
			errs = append(errs, &SinkError{out.Name, err})
		}
	}
	return errors.Join(errs...)
}
