package supervisor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/sysabi"
)

// late is the first signal that asks for the end when the command has ended already, and only the record is left to be written.
type late struct {
	signal atomic.Int32
	hurry  chan struct{} // closed when it comes: nothing more is read for the record
	heeded int           // the signal, once the record says so
}

// heed is the error of a run whose record was cut short.
func (l *late) heed() error {
	l.heeded = int(l.signal.Load())
	if l.heeded == 0 {
		return nil
	}
	return fmt.Errorf("ended by signal %d (%v) to the supervisor, while the record was written", l.heeded, syscall.Signal(l.heeded))
}

// conclude writes the closing events, and hears what the supervisor is told meanwhile. The first signal that asks for the end cuts short
// what can be: the list of changed files. A second one does not wait for a sink or a cell that does not answer: the record stays open,
// as that of a supervisor that was killed, and whoever called ends the process, which ends the cell.
func (l *life) conclude() End {
	l.late.hurry = make(chan struct{})
	done := make(chan End, 1)
	record, id := l.dir.Path(), l.dir.ID()
	go func() {
		l.closing()
		l.dir.Close()
		done <- End{Code: l.code(), Err: l.err, Record: record, ID: id}
	}()
	for {
		select {
		case end := <-done:
			return end
		case s := <-l.Signals:
			switch s {
			case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
				n := s.(syscall.Signal)
				if l.late.signal.CompareAndSwap(0, int32(n)) {
					close(l.late.hurry)
					continue
				}
				return End{
					Code: ExitSignal + int(n), Record: record, ID: id,
					Err: fmt.Errorf("ended by a second signal (%d, %v) while the record was written: it is not closed", int(n), n),
				}
			case syscall.SIGTSTP:
				if l.Stop != nil {
					l.Stop()
				}
			}
		}
	}
}

// code is the supervisor's exit status.
func (l *life) code() int {
	var start *cell.StartError
	switch {
	case errors.As(l.spawn, &start):
		switch {
		case errors.Is(start.Err, sysabi.ENOENT), errors.Is(start.Err, sysabi.ENOTDIR):
			return ExitNotFound
		case start.Stage == "" && errors.Is(start.Err, sysabi.E2BIG):
			return ExitRefused
		case start.Stage == "":
			return ExitCannot
		}
		return ExitRefused
	case l.withheld && l.why.signal() != 0:
		return ExitSignal + l.why.signal()
	case l.spawn != nil, !l.ran && l.err != nil:
		return ExitRefused
	case l.why.reason() == byTime:
		return ExitTime
	case l.why.signal() != 0:
		return ExitSignal + l.why.signal()
	case l.outcome.Signal != 0:
		return ExitSignal + l.outcome.Signal
	case l.outcome.Code > 0:
		return l.outcome.Code
	case l.late.heeded != 0:
		return ExitSignal + l.late.heeded
	case l.err != nil:
		return ExitAfter
	}
	return 0
}
