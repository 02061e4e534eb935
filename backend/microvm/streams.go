//go:build linux && (amd64 || arm64)

package microvm

import (
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/sysabi"
	"fmt"
	"os"
	"sync"
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
		fd, err := sysabi.DupAbove(int(x.from.Fd()), 3)
		if err != nil {
			return fmt.Errorf("taking over the standard streams: %w", err)
		}
		*x.to = os.NewFile(uintptr(fd), x.from.Name())
	}
	if same {
		c.err = c.out
	}
	return nil
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
