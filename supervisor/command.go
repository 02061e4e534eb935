package supervisor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/terminal"
)

// Times of an end that the supervisor brings about.
const (
	// A signal to the supervisor is passed on; a command that goes on nevertheless is killed after this time, unless its document sets one.
	signalGrace = 2 * time.Second
	// After SIGKILL to every process PID 1 has only to reap them.
	killTime = 5 * time.Second
	// Between the end of PID 1 and that of its network: the kernel takes namespaces down in the background.
	goneTime = 100 * time.Millisecond
)

// command releases the command and stays with it to its end.
func (l *life) command(ctx context.Context) error {
	// Nothing is released before everything so far is written and signed.
	if err := l.spawned(); err != nil {
		return err
	}
	if err := l.events.Sync(); err != nil {
		return err
	}
	if l.Durable {
		if err := l.dir.Sync(); err != nil {
			return err
		}
	}
	l.watchOpens()
	var joint *terminal.Joint
	if t := l.cell.Terminal(); t != nil {
		var err error
		if joint, err = terminal.Join(l.Streams.In, l.Streams.Out, t); err != nil {
			return err
		}
		defer joint.Close()
	}
	start, cancel := context.WithTimeoutCause(ctx, l.startTime(), fmt.Errorf("the command was not started after %v", l.startTime()))
	defer cancel()
	if l.Network != nil {
		if err := l.Network.Release(); err != nil {
			return networkLost(err)
		}
	}
	l.ran = true
	if err := l.cell.Release(start); err != nil {
		l.spawn = err
		var s *cell.StartError
		if errors.As(err, &s) {
			l.ran = false
		}
		return err
	}
	if l.Held != nil {
		l.release = l.events.Hold(l.held)
		defer l.release()
	}
	return l.watch(ctx, joint)
}

// watch waits for the end of the command, and brings it about when the time is over, when a signal asks for it, when it printed too
// much, or when the caller gives up.
func (l *life) watch(ctx context.Context, joint *terminal.Joint) error {
	ended := make(chan error, 1)
	go func() {
		var err error
		l.outcome, err = l.cell.Wait()
		if err != nil && l.outcome.Signal == 0 {
			l.outcome.Code = -1 // nobody knows how it ended
		}
		ended <- err
	}()
	output := make(chan struct{})
	l.why.mu.Lock()
	l.why.act = func() { l.why.once.Do(func() { close(output) }) } // full may be between its two looks at the lock
	if l.why.why == byOutput {
		l.why.act()
	}
	l.why.mu.Unlock()

	limits := l.Plan.Limits
	wall := time.NewTimer(limits.Wall)
	defer wall.Stop()
	var kill, dead <-chan time.Time
	end := func(sig int, grace time.Duration) {
		l.release() // a command that is ended is not stopped any more
		if grace > 0 {
			l.cell.Signal(sig, true)
			kill = time.After(grace)
			return
		}
		l.cell.Signal(int(syscall.SIGKILL), true)
		dead = time.After(killTime)
	}
	signals, done, failed := l.Signals, ctx.Done(), l.events.Failed()
	var lost <-chan struct{}
	if joint != nil {
		lost = joint.Lost()
	}
	for {
		select {
		case err := <-ended:
			return errors.Join(err, l.passOn(joint), l.limit(), l.groupLimit())
		case <-wall.C:
			if l.why.set(byTime, 0) {
				end(int(syscall.SIGTERM), limits.Grace)
			}
		case <-lost:
			// A pipe would bring SIGPIPE. A terminal whose other side goes away brings SIGHUP (termios(3), "modem disconnect").
			lost = nil
			if l.why.set(bySignal, int(syscall.SIGPIPE)) {
				end(int(syscall.SIGHUP), signalGrace)
			}
		case <-failed:
			failed = nil
			if l.why.set(byEvidence, 0) {
				end(int(syscall.SIGKILL), 0)
			}
		case <-output:
			output = nil
			end(int(syscall.SIGKILL), 0)
		case l.gone = <-l.lost():
			// The device goes with the cell, whose end may be known a moment later.
			select {
			case err := <-ended:
				return errors.Join(err, l.passOn(joint), l.limit())
			case <-time.After(goneTime):
			}
			if l.why.set(byNetwork, 0) {
				end(int(syscall.SIGKILL), 0)
			}
		case <-done:
			done = nil
			if l.why.set(byContext, 0) {
				end(int(syscall.SIGKILL), 0)
			}
		case s := <-signals:
			if s, ok := s.(syscall.Signal); ok {
				l.signalled(s, joint, end)
			}
		case <-kill:
			kill = nil
			end(0, 0)
		case <-dead:
			// PID 1 does not answer: the kernel ends a pid namespace with it.
			dead = nil
			l.cell.Destroy()
		}
	}
}

// passOn waits until everything that the command wrote was passed on. Whoever reads may take all the time that it wants, but not keep a
// cell that was ended, and not the one who asks for the end now.
func (l *life) passOn(joint *terminal.Joint) error {
	done := make(chan error, 1)
	go func() {
		var err error
		if joint != nil {
			err = joint.Drain()
		}
		done <- errors.Join(err, l.relay.Finish())
	}()
	var over <-chan time.Time
	if l.why.reason() != byItself {
		over = time.After(signalGrace)
	}
	lost := errors.New("passing on the command's output: nobody reads it; the rest is lost")
	for {
		select {
		case err := <-done:
			return err
		case <-over:
			return lost
		case s := <-l.Signals:
			switch s {
			case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
				l.why.set(bySignal, int(s.(syscall.Signal)))
				return lost
			case syscall.SIGTSTP:
				if l.Stop != nil {
					l.Stop()
				}
			}
		}
	}
}

// signalled does what the sender of a signal expects of a program that runs another one.
func (l *life) signalled(s syscall.Signal, joint *terminal.Joint, end func(int, time.Duration)) {
	switch s {
	case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
		if !l.why.set(bySignal, int(s)) {
			end(0, 0) // the second one
			return
		}
		grace := l.Plan.Limits.Grace
		if grace == 0 {
			grace = signalGrace
		}
		end(int(s), grace)
	case syscall.SIGWINCH:
		if joint != nil {
			joint.Resize()
		}
	case syscall.SIGTSTP:
		// The whole cell stops, then the supervisor, so that the shell gets its prompt; SIGCONT wakes both.
		l.cell.Signal(int(syscall.SIGSTOP), true)
		resume := func() {}
		if joint != nil {
			resume = joint.Suspend()
		}
		if l.Stop != nil {
			l.Stop()
		}
		resume()
		l.cell.Signal(int(syscall.SIGCONT), true)
	case syscall.SIGCONT:
		l.cell.Signal(int(syscall.SIGCONT), true)
	case syscall.SIGUSR1, syscall.SIGUSR2:
		l.cell.Signal(int(s), false)
	}
}
