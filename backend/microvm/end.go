//go:build linux && (amd64 || arm64)

package microvm

import (
	"cellos.io/cellos/guest"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// endTime is how long a monitor whose sockets are closed is waited for before an error is told without its last words.
const endTime = 10 * time.Second

// explain says why the guest was heard no more.
func (c *machineCell) explain(err error) error {
	if hang := c.life.verdict(); hang != nil {
		return hang
	}
	var protocol *guest.ProtocolError
	if errors.As(err, &protocol) {
		return &EndError{Reason: "protocol", Err: err}
	}
	var end *EndError
	if errors.As(err, &end) {
		return err
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	// The monitor ends a moment after its sockets do.
	patience, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	for _, done := range []<-chan struct{}{c.console.over(), c.left} {
		select {
		case <-done:
		case <-patience.Done():
		}
	}
	c.mu.Lock()
	text := c.goneText
	c.mu.Unlock()
	end = &EndError{Reason: "vmm_exited", Text: text}
	out := c.console.text()
	if i := strings.LastIndex(out, "Kernel panic"); i >= 0 {
		line, _, _ := strings.Cut(out[i:], "\n")
		end.Reason = "guest_panic"
		end.Text = "the guest's kernel says: " + guest.Clean(strings.TrimSpace(line), 200)
		if strings.Contains(line, "Out of memory") || strings.Contains(line, "System is deadlocked on memory") {
			end.Reason = "oom"
		}
		return end
	}
	if s := lastLine(out); s != "" {
		end.Text = strings.Trim(end.Text+"; it printed: "+s, "; ")
	}
	return end
}

// lastLine is the last line of the monitor's messages that says something.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return guest.Clean(strings.TrimSpace(lines[len(lines)-1]), 300)
}
