// Package terminal joins the caller's terminal with a cell's own one.
//
//	t, err := terminal.Join(os.Stdin, os.Stdout, c.Terminal())
//	defer t.Close() // the caller's terminal is as it was
//
// Keys go to the cell as they are typed, also those that make signals: they act on the cell's terminal. The two are never the
// same device, so nothing that the command does to its terminal stays on the caller's.
package terminal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/term"

	"cellos.io/cellos/sysabi"
)

// A Joint is a terminal joined with a cell's. Its methods may be called concurrently.
type Joint struct {
	in, out *os.File
	cell    Far
	before  *term.State
	done    chan struct{}
	lost    chan struct{} // closed when nobody takes the output any more
	err     error         // why; read after done or lost
	close   sync.Once
}

// Is reports whether f is a terminal.
func Is(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// A Far is our side of a cell's terminal: a cell.Terminal.
type Far interface {
	io.ReadWriter
	Resize(rows, cols uint16) error
}

// Join puts the caller's terminal into raw mode and starts to copy. An input that is no terminal is passed on as it is, and then nothing has
// to be put back.
func Join(in, out *os.File, cell Far) (*Joint, error) {
	j := &Joint{in: in, out: out, cell: cell, done: make(chan struct{}), lost: make(chan struct{})}
	j.Resize()
	if term.IsTerminal(int(in.Fd())) {
		var err error
		if j.before, err = term.MakeRaw(int(in.Fd())); err != nil {
			return nil, fmt.Errorf("making the terminal raw: %w", err)
		}
	}
	go func() {
		last := lastByte{to: cell, b: '\n'}
		io.Copy(&last, in)
		if j.before == nil {
			// End of file: VEOF of a fresh terminal. Behind an unfinished line the first one only ends the line (termios(3)).
			if last.b != '\n' {
				cell.Write([]byte{4})
			}
			cell.Write([]byte{4})
		}
	}()
	go func() {
		defer close(j.done)
		to := taker{to: out}
		// EIO is how a terminal says that its other side is gone (ioctl_tty(2)).
		if io.Copy(&to, cell); to.err != nil {
			j.err = to.err
			close(j.lost)
			io.Copy(io.Discard, cell) // a full terminal would stop the command
		}
	}()
	return j, nil
}

// Resize gives the cell's terminal the size of the caller's, if that is a terminal.
func (j *Joint) Resize() {
	for _, f := range []*os.File{j.out, j.in} {
		if rows, cols, err := sysabi.WindowSize(int(f.Fd())); err == nil {
			j.cell.Resize(rows, cols)
			return
		}
	}
}

// Lost is closed when the output cannot be passed on any more: its reader is gone, or its disk is full. What follows is thrown away.
func (j *Joint) Lost() <-chan struct{} { return j.lost }

// Drain waits until everything that the cell wrote was passed on. Every process of the cell must have ended. A reader that went away is no
// error.
func (j *Joint) Drain() error {
	<-j.done
	if j.err != nil && !errors.Is(j.err, syscall.EPIPE) {
		return fmt.Errorf("passing on the command's output: %w", j.err)
	}
	return nil
}

// Suspend puts the caller's terminal back for a while; the returned function makes it raw again.
func (j *Joint) Suspend() (resume func()) {
	if j.before == nil {
		return func() {}
	}
	term.Restore(int(j.in.Fd()), j.before)
	return func() { term.MakeRaw(int(j.in.Fd())); j.Resize() }
}

// Close puts the caller's terminal back. Closing twice is no error.
func (j *Joint) Close() {
	j.close.Do(func() {
		if j.before != nil {
			term.Restore(int(j.in.Fd()), j.before)
		}
	})
}

// lastByte remembers the last byte that was written.
type lastByte struct {
	to io.Writer
	b  byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b = p[len(p)-1]
	}
	return l.to.Write(p)
}

// taker remembers why it could not write.
type taker struct {
	to  io.Writer
	err error
}

func (t *taker) Write(p []byte) (int, error) {
	n, err := t.to.Write(p)
	t.err = err
	return n, err
}
