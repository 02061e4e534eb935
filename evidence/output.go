package evidence

import (
	"sync/atomic"
	"time"
)

// Output is a sink and what its failure means.
type Output struct {
	// Name says in errors which sink it was: "<name> emit: <cause>". The documented ones are "primary sink" and
	// "jsonl sink"; the run's own record is "run record".
	Name string
	Sink Sink

	// BestEffort lets the run go on when the sink fails. The zero value is a required sink: its failure fails the stream for good.
	// A required sink that failed gets nothing more; the others get the rest of the run, so that their chains are closed
	// and say why.
	BestEffort bool
	// OnError is told of every event that a best-effort sink did not take; nil: nobody is. It must not use the stream.
	OnError func(e Event, err error)
}

// Flusher is a Sink whose Write only takes a line along: Flush delivers what it took, and returns when whoever gets it has it. A
// Flush that failed keeps what is not delivered, for the next one.
type Flusher interface {
	Sink
	Flush() error
}

// SinkError is the failure of a required sink. Every later call on the stream returns it again, also where the other sinks took the
// event.
type SinkError struct {
	Sink string
	Err  error
}

func (e *SinkError) Error() string { return e.Sink + " emit: " + e.Err.Error() }
func (e *SinkError) Unwrap() error { return e.Err }

// write gives one event to the sinks that are left. Failures it keeps.
func (s *Stream) write(e Event) {
	s.line = append(e.AppendJSON(s.line[:0]), '\n')
	for i, out := range s.c.Outputs {
		s.try(i, e, func() error {
			_, err := out.Sink.Write(s.line)
			if err == nil && s.c.Durable {
				err = out.Sink.Sync()
			}
			return err
		})
	}
}

// flush has delivered what the sinks took along.
func (s *Stream) flush() {
	for i, out := range s.c.Outputs {
		if f, ok := out.Sink.(Flusher); ok {
			s.try(i, Event{}, f.Flush)
		}
	}
}

// try does something with one output, and what its failure means.
func (s *Stream) try(i int, e Event, do func() error) {
	out := s.c.Outputs[i]
	if s.dead[i] {
		return
	}
	err := do()
	switch {
	case err == nil:
	case out.BestEffort && out.OnError != nil:
		out.OnError(e, err)
	case !out.BestEffort:
		if err = s.wait(&SinkError{out.Name, err}, do); err != nil {
			s.dead[i] = true
			s.fail(err)
			s.over.Store(!s.left())
		}
	}
}

// left reports whether a required sink is left.
func (s *Stream) left() bool {
	for i, out := range s.c.Outputs {
		if !out.BestEffort && !s.dead[i] {
			return true
		}
	}
	return false
}

func (s *Stream) fail(err error) {
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.failed)
	}
}

// Failed returns a channel that is closed when the stream has failed, which may be long before the next call on it.
func (s *Stream) Failed() <-chan struct{} { return s.failed }

// holding is what Hold has asked for.
type holding struct {
	told func(error)
	over chan struct{} // closed by the function that Hold returned
	done atomic.Bool
}

// Hold makes a required sink that fails be waited for, from now on: what it did not take is tried again until it does. Nothing that
// follows is written meanwhile, and Append waits when the queue is full. told is called with the failure when the waiting begins
// and with nil when it is over, and must not use the stream. The function that Hold returns ends this: what still waits then fails,
// and so does every later failure.
func (s *Stream) Hold(told func(error)) (release func()) {
	h := &holding{told: told, over: make(chan struct{})}
	s.holding.Store(h)
	return func() {
		if h.done.CompareAndSwap(false, true) {
			s.holding.CompareAndSwap(h, nil)
			close(h.over)
		}
	}
}

// wait tries again while the stream is held. It returns err, or nil when do succeeded.
func (s *Stream) wait(err error, do func() error) error {
	h := s.holding.Load()
	if h == nil {
		return err
	}
	h.told(err)
	defer h.told(nil)
	// From a thirtieth of a second, so that a short fault is a short stop, to a second.
	for pause := time.Second / 32; ; pause = min(2*pause, time.Second) {
		select {
		case <-h.over:
			return err
		case <-time.After(pause):
		}
		if do() == nil {
			return nil
		}
	}
}
