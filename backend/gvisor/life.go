//go:build linux && (amd64 || arm64)

package gvisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

var _ cell.Linked = (*gvisorCell)(nil)

// errGone says that gVisor ended, or the command's PID 1 in it.
var errGone = errors.New("gVisor is gone")

// Release starts the command.
func (c *gvisorCell) Release(ctx context.Context) error {
	if !c.released {
		return errors.New("releasing the command: the cell was not measured")
	}
	err := c.conn.Start(ctx)
	var f *cellinit.CommandError
	switch {
	case err == nil:
		c.started = time.Now()
		return nil
	case errors.As(err, &f):
		return process.StartError(c.plan, err)
	}
	return c.lost("releasing the command", err)
}

// Signal tells the command's PID 1 to send a signal.
func (c *gvisorCell) Signal(n int, every bool) error { return c.conn.Signal(n, every) }

// Wait returns how the command ended. When it returns, every process of the cell but the PIDs 1 and gVisor's own has ended.
func (c *gvisorCell) Wait() (cell.Outcome, error) {
	msg, err := c.conn.Await(context.Background())
	if err != nil {
		o := cell.Outcome{Code: -1, Signal: sysabi.SIGKILL, Started: c.started, Duration: time.Since(c.started)}
		err = c.lost("waiting for the command", err)
		if c.ended(time.Second) { // its memory is the cell's: the kernel may have ended gVisor itself
			o.User, o.System, o.MaxRSS, o.Group = c.end.User, c.end.System, c.end.MaxRSS, c.end.Group
		}
		if o.OutOfMemory() {
			err = nil
		}
		return o, err
	}
	end, ok := msg.(cellinit.Exit)
	if !ok {
		return cell.Outcome{}, fmt.Errorf("waiting for the command: unexpected answer %T", msg)
	}
	// Nothing is left to do in the cell, and gVisor holds the command's streams open: it goes at once.
	c.outer.Signal(sysabi.SIGKILL, true)
	o := cell.Outcome{
		Code: end.Code, Signal: end.Signal, Started: c.started, Duration: time.Since(c.started),
		User: end.All.User, System: end.All.System, MaxRSS: end.All.MaxRSS, Read: end.All.InBlocks, Written: end.All.OutBlocks,
	}
	if g, ok := c.outer.(interface{ Counted() *cell.Usage }); ok {
		o.Group = g.Counted()
	}
	return o, nil
}

// ended waits for the end of runsc, and reports whether it came.
func (c *gvisorCell) ended(patience time.Duration) bool {
	select {
	case <-c.over:
		return true
	case <-time.After(patience):
		return false
	}
}

// lost explains an end of gVisor that nobody asked for, with the last lines of what runsc said.
func (c *gvisorCell) lost(doing string, err error) error {
	if !errors.Is(err, cellinit.ErrGone) {
		if text := c.said.last(); text != "" && errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s: %w; runsc said: %s", doing, err, text)
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	how := ""
	if c.over != nil && c.ended(2*time.Second) {
		switch {
		case c.end.OutOfMemory():
			return hinted{fmt.Errorf("%s: %w: the cell's memory of %d bytes was used up", doing, errGone, c.end.Group.Memory), "gVisor's kernel needs some of it; raise the limit"}
		case c.endErr != nil || c.end.Signal != 0:
			how = fmt.Sprintf(", runsc was ended by signal %d", c.end.Signal)
		default:
			how = fmt.Sprintf(", runsc ended with status %d", c.end.Code)
		}
	}
	text := c.said.last()
	if log := c.log(); log != "" {
		if text != "" {
			text += "; "
		}
		text += log
	}
	if text != "" {
		how += "; it said: " + text
	}
	return hinted{fmt.Errorf("%s: %w%s", doing, errGone, how), hint(text)}
}

// Terminal returns the master side of the cell's terminal.
func (c *gvisorCell) Terminal() cell.Terminal { return c.outer.Terminal() }

// Changes returns the folder of changes.
func (c *gvisorCell) Changes() *os.File { return c.outer.Changes() }

// Link is the cell's end of its network, which gVisor's own stack has a packet socket on.
func (c *gvisorCell) Link() cell.Link {
	if l, ok := c.outer.(cell.Linked); ok {
		return l.Link()
	}
	return cell.Link{}
}

// PID returns the host's number of the outer cell's PID 1.
func (c *gvisorCell) PID() int { return c.outer.PID() }

// Destroy ends the outer cell, and with it everything: it is a pid namespace.
func (c *gvisorCell) Destroy() cell.Residue {
	c.destroy.Do(func() {
		if c.outer != nil {
			c.residue = c.outer.Destroy()
		}
		if c.over != nil {
			<-c.over
		}
		if c.conn != nil {
			c.conn.Close()
		}
		if c.said != nil {
			c.said.close()
		}
	})
	return c.residue
}

// Open opens a regular file as the command saw it, for exports: the same that the process backend does, where gVisor had the cell's root.
func (c *gvisorCell) Open(name string) (fs.File, error) {
	o, ok := c.outer.(interface {
		Open(string) (fs.File, error)
	})
	if !ok || !path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") {
		return nil, fmt.Errorf("opening %s: a path that is not absolute, or leads upwards", name)
	}
	file, err := o.Open(plan.SandboxCell + name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, cmp.Or(errors.Unwrap(err), err)) // its own words have the path in the outer cell
	}
	return file, nil
}
