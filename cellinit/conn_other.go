//go:build !linux

package cellinit

import (
	"errors"
	"fmt"
	"time"
)

// Conn is the supervisor's end of the conversation; on this system there is none.
type Conn struct{}

// NewConn refuses: PID 1 of a cell is a Linux program.
func NewConn(int) (*Conn, error) {
	return nil, fmt.Errorf("talking to PID 1 of a cell needs Linux: %w", errors.ErrUnsupported)
}

// Send refuses.
func (c *Conn) Send(Message) error { return errors.ErrUnsupported }

// Receive refuses.
func (c *Conn) Receive() (Message, error) { return nil, errors.ErrUnsupported }

// ReceiveLoaded refuses.
func (c *Conn) ReceiveLoaded() (Message, error) { return nil, errors.ErrUnsupported }

// SetDeadline refuses.
func (c *Conn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// Close does nothing.
func (c *Conn) Close() error { return nil }
