//go:build linux && (amd64 || arm64)

package microvm

import (
	"fmt"
	"sync"
	"time"
)

// A watchdog ends a machine whose guest says nothing although it is asked. While we do not listen, because whoever reads the command's
// output does not, the guest cannot be heard, and no time passes for it; and none does while this process is stopped, because time is
// counted in questions.
type watchdog struct {
	patience time.Duration

	mu      sync.Mutex
	waiting bool // somebody listens
	unheard int  // questions since something was heard, or since somebody listens
	asked   chan struct{}
	done    chan struct{}
	started bool
	stopped bool
	hang    bool // the guest was given up
}

// questions are asked within the patience.
const questions = 12

func newWatchdog(patience time.Duration) *watchdog {
	return &watchdog{patience: patience, done: make(chan struct{}), asked: make(chan struct{}, 1)}
}

// listening says that somebody waits for the guest now.
func (w *watchdog) listening() {
	w.mu.Lock()
	w.waiting, w.unheard = true, 0
	w.mu.Unlock()
}

// heard says that the waiting has ended.
func (w *watchdog) heard() {
	w.mu.Lock()
	w.waiting, w.unheard = false, 0
	w.mu.Unlock()
}

// start asks, until stop.
func (w *watchdog) start(c *machineCell) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started || w.stopped {
		return
	}
	w.started = true
	go func() { // writing may have to wait: a guest that hangs reads nothing
		for {
			select {
			case <-w.asked:
				if c.host.Ping() != nil {
					return
				}
			case <-w.done:
				return
			}
		}
	}()
	go w.watch(c)
}

func (w *watchdog) watch(c *machineCell) {
	tick := time.NewTicker(w.patience / questions)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-c.over:
			return
		case <-tick.C:
		}
		w.mu.Lock()
		if w.waiting {
			w.unheard++
		}
		w.hang = w.unheard > questions
		hang := w.hang
		w.mu.Unlock()
		if hang {
			c.hangUp()
			return
		}
		select {
		case w.asked <- struct{}{}:
		default:
		}
	}
}

// stop ends the asking. Stopping twice is no error.
func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.stopped = true
		close(w.done)
	}
}

// verdict is the error of a guest that was given up; nil if it was not.
func (w *watchdog) verdict() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.hang {
		return nil
	}
	return &EndError{Reason: "guest_hang", Text: fmt.Sprintf("the guest has not answered for %v", w.patience)}
}

// hangUp closes the channel, which ends the listening.
func (c *machineCell) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
	}
}
