//go:build linux && (amd64 || arm64)

package process

import (
	"context"
	"fmt"
	"os"
	"strings"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Measure takes the results of the probes, looks at PID 1 through /proc, and takes over what it holds for the supervisor.
func (c *processCell) Measure(ctx context.Context) (cell.Boundary, error) {
	msg, err := c.receive(ctx)
	if err != nil {
		return cell.Boundary{}, fmt.Errorf("measuring the boundary from inside: %w", err)
	}
	ready, ok := msg.(cellinit.Ready)
	if !ok || len(ready.Results) != len(c.plan.Boot.Probes) {
		return cell.Boundary{}, fmt.Errorf("measuring the boundary from inside: unexpected answer %T", msg)
	}
	command, err := c.awaitFilters(ctx)
	if err != nil {
		return cell.Boundary{}, err
	}
	if err := c.takeOver(); err != nil {
		return cell.Boundary{}, err
	}
	out, err := observe(c.proc.Pid(), c.plan, c.own)
	if err == nil {
		err = c.observeGroup(&out)
	}
	if err != nil {
		return cell.Boundary{}, fmt.Errorf("measuring the boundary from outside: %w", err)
	}
	c.identity = out.identity
	if err := c.measureFilters(command, &out); err != nil {
		return cell.Boundary{}, err
	}
	if c.namespace, err = os.Open(fmt.Sprintf("/proc/%d/ns/pid", c.proc.Pid())); err != nil {
		return cell.Boundary{}, fmt.Errorf("measuring the boundary from outside: %w", err)
	}
	if c.plan.Exports {
		if c.view, err = lookFrom(c.proc.Pid()); err != nil {
			return cell.Boundary{}, fmt.Errorf("keeping the cell's files for exports: %w", err)
		}
	}
	b := cell.Boundary{Caps: out.status.caps}
	inside := map[string][]string{}
	failed := map[string]bool{}
	for i, p := range c.plan.Boot.Probes {
		r := ready.Results[i]
		x := cell.Probe{Probe: p, Got: result(r), Holds: p.Holds(r)}
		b.Probes = append(b.Probes, x)
		if !x.Holds {
			failed[p.Layer] = true
			inside[p.Layer] = append(inside[p.Layer], fmt.Sprintf("%s: %s instead of %s", p.Name, x.Got, p.Expects()))
		}
	}
	for _, p := range c.plan.Promises {
		o := out.layers[p.Layer]
		l := cell.Layer{Name: p.Layer, Promised: p.What, Outside: o.saw, Holds: o.holds && !failed[p.Layer]}
		switch n := count(c.plan.Boot.Probes, p.Layer); {
		case failed[p.Layer]:
			l.Inside = strings.Join(inside[p.Layer], "; ")
		case n > 0:
			l.Inside = fmt.Sprintf("%d of %d probes answered as they must", n, n)
		}
		if o.saw == "" && l.Inside == "" {
			l.Holds = false // a promise that nothing measures is none
			l.Outside = "not measured"
		} else if o.saw == "" {
			l.Holds = !failed[p.Layer]
		}
		b.Layers = append(b.Layers, l)
	}
	return b, nil
}

func count(probes []plan.Probe, layer string) (n int) {
	for _, p := range probes {
		if p.Layer == layer {
			n++
		}
	}
	return n
}

// result names the answer to a system call.
func result(r int64) string {
	if r < 0 && r >= -4095 {
		return sysabi.Errno(-r).Name()
	}
	return "success"
}

// takeOver copies the descriptors that PID 1 holds for the supervisor.
func (c *processCell) takeOver() error {
	for _, x := range []struct {
		n    int
		name string
		to   **os.File
	}{{c.plan.Held.Changes, "folder of changes", &c.changes}, {c.plan.Held.Terminal, "terminal", &c.terminal}} {
		if x.n < 0 {
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
