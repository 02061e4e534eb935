//go:build linux && (amd64 || arm64)

package microvm

import (
	"fmt"
	"os"
	"sync"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
)

// A machineTerminal is our side of a terminal that is in the guest: its bytes go through the channel as those of any input and output.
// Two pipes hold what was not read yet, as the kernel's buffers do.
type machineTerminal struct {
	printed *os.File // what the guest's terminal printed
	keys    *os.File // what is typed there

	mu         sync.Mutex
	host       *guest.Host // set when sizes can be sent; nil before
	sized      bool
	rows, cols uint16
}

var _ cell.Terminal = (*machineTerminal)(nil)

// Terminal is our side of the command's terminal.
func (c *machineCell) Terminal() cell.Terminal {
	if c.terminal == nil {
		return nil
	}
	return c.terminal
}

// newTerminal makes the cell's streams those of a terminal.
func (c *machineCell) newTerminal() (err error) {
	t := &machineTerminal{}
	if t.printed, c.out, err = os.Pipe(); err != nil {
		return fmt.Errorf("making a terminal: %w", err)
	}
	c.err = c.out
	c.terminal = t
	if c.in, t.keys, err = os.Pipe(); err != nil {
		return fmt.Errorf("making a terminal: %w", err)
	}
	return nil
}

// Read reads what was printed. It ends with io.EOF when everything that the cell printed was read and the command has ended.
func (t *machineTerminal) Read(b []byte) (int, error) { return t.printed.Read(b) }

// Write types.
func (t *machineTerminal) Write(b []byte) (int, error) { return t.keys.Write(b) }

// Resize sets the size of the window, now or, before the command is released, with its release.
func (t *machineTerminal) Resize(rows, columns uint16) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sized, t.rows, t.cols = true, rows, columns
	if t.host == nil {
		return nil
	}
	return t.host.Resize(rows, columns)
}

// release sends the size that was set before the command is released. A nil terminal has none.
func (t *machineTerminal) release(h *guest.Host) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.host = h
	if !t.sized {
		return nil
	}
	return h.Resize(t.rows, t.cols)
}

// close ends it. A nil terminal is none.
func (t *machineTerminal) close() {
	if t != nil {
		closeAll(t.printed, t.keys)
	}
}
