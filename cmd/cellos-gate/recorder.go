package main

import (
	"errors"
	"os"
	"sync"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/wire"
)

// A recorder tells the supervisor what is decided, in its order. It is a gate.Recorder.
//
// What nobody waits for is told a moment later, together with what comes meanwhile: a connection that has just been decided on is not held
// up by the work on its record, which on a busy machine would come first.
type recorder struct {
	conn *wire.Conn
	ring *os.File // of what is written ahead; nil: nothing is

	sending sync.Mutex // held while messages go out, so that their order is kept; before mu

	mu      sync.Mutex
	freed   sync.Cond // a slot of the ring is free, or err is set
	out     []outgoing
	later   bool   // flush will come
	put     uint64 // number of the last that was written ahead
	chained uint64 // and of the last that is in the chain
	err     error
	id      uint64
	waiting map[uint64]chan error
}

// outgoing is a message that waits; encoded already, if it was written ahead.
type outgoing struct {
	body    []byte
	source  string
	payload evidence.Payload
	message *wire.Message
}

const (
	linger  = 2 * time.Millisecond // a connection and its first answer are over by then
	maxWait = 256                  // messages that wait; whoever brings more sends them
)

func newRecorder(c *wire.Conn) *recorder {
	r := &recorder{conn: c, waiting: map[uint64]chan error{}}
	r.freed.L = &r.mu
	return r
}

// Append implements gate.Recorder.
func (r *recorder) Append(source string, p evidence.Payload) error {
	r.mu.Lock()
	return r.add(outgoing{source: source, payload: p})
}

// send is Append for what is no event.
func (r *recorder) send(m wire.Message) error {
	r.mu.Lock()
	return r.add(outgoing{message: &m})
}

// add queues a message. Precondition: r.mu is held; it is given back.
func (r *recorder) add(o outgoing) error {
	r.out = append(r.out, o)
	full, err := len(r.out) >= maxWait, r.err
	if !r.later && !full {
		r.later = true
		time.AfterFunc(linger, r.flush)
	}
	r.mu.Unlock()
	if full && err == nil {
		r.flush()
	}
	return err
}

// flush sends what waits.
func (r *recorder) flush() {
	r.sending.Lock()
	defer r.sending.Unlock()
	r.mu.Lock()
	list := r.out
	r.out, r.later = nil, false
	r.mu.Unlock()
	var b []byte
	var err error
	for _, o := range list {
		body := o.body
		if body == nil && err == nil {
			m := o.message
			if m == nil {
				var x wire.Message
				x, err = wire.Of(o.source, o.payload)
				m = &x
			}
			if err == nil {
				body, err = m.Encode()
			}
		}
		if body != nil {
			b = wire.AppendMessage(b, body)
		}
	}
	if len(b) > 0 {
		err = errors.Join(err, r.conn.Put(b))
	}
	if err != nil {
		r.fail(err)
	}
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	r.freed.Broadcast()
	for id, done := range r.waiting {
		done <- err
		delete(r.waiting, id)
	}
}

// Sync implements gate.Recorder.
func (r *recorder) Sync() error {
	done := make(chan error, 1)
	r.mu.Lock()
	if r.err != nil {
		defer r.mu.Unlock()
		return r.err
	}
	r.id++
	id := r.id
	r.waiting[id] = done
	r.mu.Unlock()
	r.send(wire.Message{Kind: wire.Sync, ID: id})
	r.flush()
	return <-done
}

// Ahead implements gate.Recorder.
func (r *recorder) Ahead(source string, p evidence.Payload) error {
	m, err := wire.Of(source, p)
	if err != nil {
		return err
	}
	r.mu.Lock()
	for r.ring != nil && r.err == nil && r.put-r.chained >= wire.Slots {
		r.freed.Wait()
	}
	if r.ring != nil && r.err == nil {
		m.Ahead = r.put + 1
		var body []byte
		if body, err = wire.PutAhead(r.ring, m); err == nil {
			r.put++
			return r.add(outgoing{body: body})
		}
	}
	if r.err != nil {
		err = r.err
	}
	r.mu.Unlock()
	if err != nil && !errors.Is(err, wire.ErrNoSlot) {
		return err
	}
	if err := r.Append(source, p); err != nil {
		return err
	}
	return r.Sync()
}

// written takes the supervisor's word that something is in the chain.
func (r *recorder) written(m wire.Message) {
	if m.Error != "" {
		r.fail(errors.New(m.Error))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chained = max(r.chained, m.Ahead)
	r.freed.Broadcast()
	if done := r.waiting[m.ID]; done != nil {
		delete(r.waiting, m.ID)
		done <- nil
	}
}
