//go:build linux && (amd64 || arm64)

package gvisor

import (
	"context"
	"errors"
	"fmt"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
)

// Measure joins three views: the probes that the command's PID 1 made inside gVisor, the outer cell with its own probes, and gVisor's
// processes on the host as /proc shows them now that the kernel stands.
func (c *gvisorCell) Measure(ctx context.Context) (cell.Boundary, error) {
	if !c.wall.Holds() {
		b := c.wall // what does not hold keeps gVisor from being started at all
		b.Caps = cell.Caps{}
		return b, nil
	}
	msg, err := c.conn.Await(ctx)
	if err != nil {
		return cell.Boundary{}, c.lost("starting gVisor", err)
	}
	ready, ok := msg.(cellinit.Ready)
	if !ok || len(ready.Results) != len(c.plan.Boot.Probes) {
		return cell.Boundary{}, fmt.Errorf("measuring the boundary from inside: unexpected answer %T", msg)
	}
	if err := c.awaitFilters(ctx); err != nil {
		return cell.Boundary{}, err
	}
	outside := map[string]cell.View{}
	for _, l := range c.wall.Layers {
		text := l.Outside
		if l.Inside != "" {
			text += "; around gVisor " + l.Inside
		}
		outside[l.Name] = cell.View{Saw: text, Holds: l.Holds}
	}
	if err := c.program.unchanged(); err != nil {
		return cell.Boundary{}, err
	}
	sentry, err := c.observe()
	if err != nil {
		return cell.Boundary{}, fmt.Errorf("measuring the boundary from outside: %w", err)
	}
	outside[plan.LayerKernel] = sentry
	b := cell.Judge(c.plan, ready.Results, outside)
	for _, p := range c.wall.Probes {
		p.Name = "around gVisor: " + p.Name
		b.Probes = append(b.Probes, p)
	}
	return b, nil
}

// awaitFilters waits until the command's process has loaded the filters that are not PID 1's too. It stands still from here on to the
// release.
func (c *gvisorCell) awaitFilters(ctx context.Context) error {
	if c.plan.LateFilters() == 0 {
		return nil
	}
	_, err := c.conn.AwaitLoaded(ctx, false)
	var f *cellinit.CommandError
	switch {
	case errors.As(err, &f):
		return &cell.StartError{Path: c.plan.Boot.Candidates[0], Stage: f.Stage.String(), Err: f.Errno}
	case err != nil:
		return c.lost("waiting for the command's filters", err)
	}
	return nil
}
