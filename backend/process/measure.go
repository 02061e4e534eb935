//go:build linux && (amd64 || arm64)

package process

import (
	"context"
	"fmt"
	"os"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/sysabi"
)

// Measure looks at PID 1 through /proc while it makes its probes, takes over what it holds for the supervisor, and takes the results. From
// its first instruction on PID 1 changes nothing of what /proc shows here: the table before it did, and a probe that did would fail.
func (c *processCell) Measure(ctx context.Context) (cell.Boundary, error) {
	out, seen := c.look()
	if c.answers == nil {
		msg, err := c.conn.Await(ctx)
		if err != nil {
			return cell.Boundary{}, fmt.Errorf("measuring the boundary from inside: %w", err)
		}
		ready, ok := msg.(cellinit.Ready)
		if !ok || len(ready.Results) != len(c.plan.Boot.Probes) {
			return cell.Boundary{}, fmt.Errorf("measuring the boundary from inside: unexpected answer %T", msg)
		}
		c.answers = ready.Results
	}
	command, err := c.awaitFilters(ctx)
	if err == nil {
		err = seen
	}
	if err != nil {
		return cell.Boundary{}, err
	}
	if err := c.measureFilters(command, &out); err != nil {
		return cell.Boundary{}, err
	}
	outside := make(map[string]cell.View, len(out.layers))
	for name, s := range out.layers {
		outside[name] = cell.View{Saw: s.saw, Holds: s.holds}
	}
	b := cell.Judge(c.plan, c.answers, outside)
	b.Caps = out.status.caps
	return b, nil
}

// look is what Measure sees from outside, and keeps of the cell. Its error is told last: a PID 1 that has ended said why.
func (c *processCell) look() (out observation, err error) {
	if err := c.takeOver(); err != nil {
		return out, err
	}
	out, err = observe(c.proc.Pid(), c.plan, c.own)
	if err == nil {
		err = c.observeGroup(&out)
	}
	if err == nil {
		c.namespace, err = os.Open(fmt.Sprintf("/proc/%d/ns/pid", c.proc.Pid()))
	}
	if err != nil {
		return out, fmt.Errorf("measuring the boundary from outside: %w", err)
	}
	c.identity = out.identity
	if c.plan.Exports {
		if c.view, err = lookFrom(c.proc.Pid()); err != nil {
			return out, fmt.Errorf("keeping the cell's files for exports: %w", err)
		}
	}
	return out, nil
}

// takeOver copies the descriptors that PID 1 holds for the supervisor.
func (c *processCell) takeOver() error {
	for _, x := range []struct {
		n    int
		name string
		to   **os.File
	}{{c.plan.Held.Changes, "folder of changes", &c.changes}, {c.plan.Held.Terminal, "terminal", &c.terminal}, {c.plan.Held.State, "folder of notes", &c.state}} {
		if x.n < 0 || *x.to != nil { // there is none, or whoever built the cell handed it over
			continue
		}
		fd, err := sysabi.PidfdTake(c.proc.PidFD(), x.n)
		if err != nil {
			return fmt.Errorf("taking over the cell's %s: %w", x.name, err)
		}
		if x.to == &c.terminal {
			if err := sysabi.SetNonblock(fd, true); err != nil {
				return fmt.Errorf("taking over the cell's terminal: %w", err)
			}
		}
		*x.to = os.NewFile(uintptr(fd), x.name)
	}
	return nil
}
