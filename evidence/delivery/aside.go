package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// depth is how many events wait for a sink aside before further ones are lost for it: the events of some fifty plain runs.
const depth = 1024

// Aside returns a sink whose deliveries hold nobody up: they happen on a goroutine of their own. What it cannot take because too much
// waits already, and what is not delivered at the end within the patience of c, goes to the spool of c, or is reported to lost, once
// for each cause. lost may be called by any goroutine.
func Aside(t Transport, c Config, lost func(error)) *Queue {
	ctx, cancel := context.WithCancel(context.Background())
	q := &Queue{lines: make(chan []byte, depth), done: make(chan struct{}), cancel: cancel, c: c, lost: lost}
	c.Context = ctx
	q.sink = New(t, c)
	go q.run()
	return q
}

// Queue is a sink that holds nobody up.
type Queue struct {
	lines  chan []byte
	done   chan struct{}
	cancel context.CancelFunc
	sink   *Sink
	c      Config
	lost   func(error)
	once   sync.Once
}

func (q *Queue) run() {
	defer close(q.done)
	for line := range q.lines {
		if _, err := q.sink.Write(line); err != nil {
			q.give(err)
		}
		if len(q.lines) == 0 {
			if err := q.sink.Flush(); err != nil {
				q.give(err)
			}
		}
	}
}

// give gives up what the sink holds.
func (q *Queue) give(err error) {
	n := len(q.sink.lines)
	q.sink.drop(n)
	q.lost(fmt.Errorf("%d events are lost: %w", n, err))
}

// Write never waits.
func (q *Queue) Write(line []byte) (int, error) {
	select {
	case q.lines <- append([]byte(nil), line...):
		return len(line), nil
	default:
	}
	err := fmt.Errorf("%d events are waiting already", depth)
	if q.c.Spool != nil {
		if kept := q.c.Spool.Put(line, err); kept == nil {
			return len(line), nil
		}
	}
	return 0, err
}

// Sync does nothing: nobody waits for a sink aside.
func (q *Queue) Sync() error { return nil }

// Close waits for what is under way, as long as the sink is patient.
func (q *Queue) Close() error {
	q.once.Do(func() {
		close(q.lines)
		over := time.AfterFunc(q.c.Patience+time.Second, q.cancel)
		<-q.done
		over.Stop()
		q.cancel()
		if err := q.sink.Close(); err != nil && !errors.Is(err, context.Canceled) {
			q.lost(err)
		}
	})
	return nil
}
