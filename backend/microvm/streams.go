//go:build linux && (amd64 || arm64)

package microvm

import (
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/sysabi"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// streams takes copies.
func (c *machineCell) streams(s cell.Streams) error {
	c.room = newRoom()
	if c.plan.Boot.Terminal {
		return c.newTerminal()
	}
	same := s.Out != nil && s.Out == s.Err
	for _, x := range []struct {
		from *os.File
		to   **os.File
	}{{s.In, &c.in}, {s.Out, &c.out}, {s.Err, &c.err}} {
		if x.from == nil || x.to == &c.err && same {
			continue
		}
		var err error
		if *x.to, err = copied(x.from, x.to == &c.in); err != nil {
			return fmt.Errorf("taking over the standard streams: %w", err)
		}
	}
	if same {
		c.err = c.out
	}
	return nil
}

// copied is a stream of ours. A pipe is opened anew, so that waiting for its other end can be called off, which the flag of a descriptor
// that is merely duplicated would do to its owner as well.
func copied(f *os.File, input bool) (*os.File, error) {
	if fi, err := f.Stat(); err == nil && fi.Mode()&os.ModeNamedPipe != 0 {
		how := os.O_WRONLY
		if input {
			how = os.O_RDONLY
		}
		if own, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), how|syscall.O_NONBLOCK, 0); err == nil {
			return own, nil
		}
	}
	fd, err := sysabi.DupAbove(int(f.Fd()), 3)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// closeOutputs gives the copies of the outputs back. Closing twice is no error.
func (c *machineCell) closeOutputs() {
	closeAll(c.out)
	if c.err != c.out {
		closeAll(c.err)
	}
}

// input sends standard input, no more than the guest has room for.
func (c *machineCell) input() {
	buf := make([]byte, guest.MaxData)
	for {
		n := c.room.wait(len(buf), c.over)
		if n == 0 {
			return
		}
		n, err := c.in.Read(buf[:n])
		if n > 0 {
			c.room.add(-n)
			if c.host.Input(buf[:n]) != nil {
				return
			}
		}
		if err != nil {
			c.host.Input(nil)
			return
		}
	}
}

// A room is what the guest will still take of standard input.
type room struct {
	mu    sync.Mutex
	bytes int
	more  chan struct{} // holds a token when something was added
}

func newRoom() *room { return &room{bytes: guest.Window, more: make(chan struct{}, 1)} }

// add gives credit. A guest that gives more than the window gives none.
func (r *room) add(n int) {
	r.mu.Lock()
	r.bytes = min(r.bytes+n, guest.Window)
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// wait returns how much may be sent, at most n; 0 when it is over.
func (r *room) wait(n int, over <-chan struct{}) int {
	for {
		r.mu.Lock()
		b := r.bytes
		r.mu.Unlock()
		if b > 0 {
			return min(n, b)
		}
		select {
		case <-r.more:
		case <-over:
			return 0
		}
	}
}
