package cellinit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrGone says that PID 1 ended without telling how the command did.
var ErrGone = errors.New("the cell's first process is gone")

// A CommandError says that the command could not be started: what failed, at which of the candidates of Boot.
type CommandError struct{ Failed }

func (e *CommandError) Error() string {
	return fmt.Sprintf("%s for candidate %d: %v", e.Stage, e.Candidate, e.Errno)
}

func (e *CommandError) Unwrap() error { return e.Errno }

// Await is Receive until a context ends, whose cause is the error then. The end of the process is ErrGone.
func (c *Conn) Await(ctx context.Context) (Message, error) { return c.await(ctx, c.Receive) }

// AwaitLoaded waits until the command's process has loaded its filters. One that cannot is a *CommandError. Known says whether the message has
// to carry its sender: see ReceiveLoaded.
func (c *Conn) AwaitLoaded(ctx context.Context, known bool) (Loaded, error) {
	receive := c.Receive
	if known {
		receive = c.ReceiveLoaded
	}
	msg, err := c.await(ctx, receive)
	if err != nil {
		return Loaded{}, err
	}
	switch m := msg.(type) {
	case Loaded:
		return m, nil
	case Failed:
		return Loaded{}, &CommandError{m}
	}
	return Loaded{}, fmt.Errorf("unexpected answer %T", msg)
}

// Start releases the command, and returns when it is executed. One that cannot be is a *CommandError.
func (c *Conn) Start(ctx context.Context) error {
	if err := c.Send(Release{}); errors.Is(err, io.EOF) {
		return ErrGone
	} else if err != nil {
		return err
	}
	msg, err := c.Await(ctx)
	if err != nil {
		return err
	}
	switch m := msg.(type) {
	case Running:
		return nil
	case Failed:
		return &CommandError{m}
	}
	return fmt.Errorf("unexpected answer %T", msg)
}

// Signal has PID 1 send a signal to the command's process group, or to every process of the cell.
func (c *Conn) Signal(n int, every bool) error {
	if err := c.Send(Signal{Number: n, All: every}); err != nil {
		return fmt.Errorf("sending signal %d into the cell: %w", n, err)
	}
	return nil
}

func (c *Conn) await(ctx context.Context, receive func() (Message, error)) (Message, error) {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	msg, err := receive()
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return nil, ErrGone
	}
	return msg, err
}
