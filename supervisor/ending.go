package supervisor

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
)

// Why a command was ended by the supervisor.
const (
	byItself = iota
	byTime
	bySignal
	byOutput
	byContext
	byNetwork
	byEvidence
)

// An ending is the first reason to end the command.
type ending struct {
	mu   sync.Mutex
	why  int
	sig  int
	once sync.Once // act is called
	act  func()    // ends the command; set when it runs
}

func (e *ending) set(why, sig int) (first bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.why != byItself {
		return false
	}
	e.why, e.sig = why, sig
	return true
}

func (e *ending) reason() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.why
}

func (e *ending) signal() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sig
}

// full is what the relay calls when the output limit is reached.
func (e *ending) full() {
	if e.set(byOutput, 0) {
		e.mu.Lock()
		act := e.act
		e.mu.Unlock()
		if act != nil {
			act()
		}
	}
}

// limit is the error of a command that the supervisor ended at a limit.
func (l *life) limit() error {
	limits := l.Plan.Limits
	switch l.why.reason() {
	case byTime:
		if limits.WallFrom != "spec.lifetime.ttlSeconds" {
			return fmt.Errorf("command timed out after %d ms (%s)", limits.Wall.Milliseconds(), limits.WallFrom)
		}
		return fmt.Errorf("cell killed by TTL watchdog after %d ms (ttl_seconds=%d)", limits.Wall.Milliseconds(), int64(limits.Lifetime.Seconds()))
	case byOutput:
		return fmt.Errorf("the command printed more than %d bytes (spec.run.limits.outputBytes)", limits.Output)
	case byContext:
		return errors.New("the run was cancelled")
	case byNetwork:
		return networkLost(l.gone)
	case byEvidence:
		return fmt.Errorf("the command was ended, because its evidence cannot be written: %w", l.events.Err())
	case bySignal:
		if l.why.signal() == int(syscall.SIGPIPE) {
			return nil // the reader went away, and knows
		}
		return fmt.Errorf("ended by signal %d (%v) to the supervisor", l.why.signal(), syscall.Signal(l.why.signal()))
	}
	return nil
}
