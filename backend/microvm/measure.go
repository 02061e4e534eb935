//go:build linux && (amd64 || arm64)

package microvm

import (
	"fmt"
	"strings"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
)

// boundary joins two views that are never mixed: Inside is what the guest claims of itself, Outside what the host observed of the
// monitor.
func (c *machineCell) boundary(r guest.Ready) cell.Boundary {
	b := cell.Boundary{Start: c.how(), Caps: cell.Caps{Inheritable: r.Caps[0], Permitted: r.Caps[1], Effective: r.Caps[2], Bounding: r.Caps[3], Ambient: r.Caps[4]}}
	failed := map[string][]string{}
	answers := map[string]int{}
	for i, p := range c.plan.Boot.Probes {
		x := cell.Probe{Probe: p, Got: r.Probes[i], Holds: guest.Answered(p, r.Probes[i])}
		b.Probes = append(b.Probes, x)
		answers[p.Layer]++
		if !x.Holds {
			failed[p.Layer] = append(failed[p.Layer], fmt.Sprintf("%s: %s instead of %s", p.Name, x.Got, p.Expects()))
		}
	}
	saw := map[string]guest.Layer{}
	for _, l := range r.Layers {
		saw[l.Name] = l
	}
	for _, p := range c.plan.Promises {
		if p.Layer == plan.LayerMachine || p.Layer == plan.LayerMonitor {
			b.Layers = append(b.Layers, c.observed(p))
			continue
		}
		l, told := saw[p.Layer]
		x := cell.Layer{Name: p.Layer, Promised: p.What, Holds: told && l.Holds && len(failed[p.Layer]) == 0}
		var claims []string
		if n := answers[p.Layer]; n > 0 && len(failed[p.Layer]) == 0 {
			claims = append(claims, fmt.Sprintf("%d of %d probes answered as they must", n, n))
		}
		claims = append(claims, failed[p.Layer]...)
		if l.Saw != "" {
			claims = append(claims, l.Saw)
		}
		if len(claims) == 0 {
			x.Holds = false
			claims = []string{"nothing"}
		}
		x.Inside = evidence.Claimed + strings.Join(claims, "; ")
		b.Layers = append(b.Layers, x)
	}
	return b
}

// observed is what the host sees of the machine itself.
func (c *machineCell) observed(p plan.Promise) cell.Layer {
	l := cell.Layer{Name: p.Layer, Promised: p.What, Holds: true}
	if p.Layer == plan.LayerMonitor {
		var names []string
		for _, x := range c.outside.Layers {
			names = append(names, x.Name)
			l.Holds = l.Holds && x.Holds
		}
		l.Outside = fmt.Sprintf("%s in a cell of its own: %d of %d probes answered as they must, and %d layers hold (%s)", c.backend.Monitor.Name(),
			answered(c.outside.Probes), len(c.outside.Probes), len(names), strings.Join(names, ", "))
		return l
	}
	l.Inside = fmt.Sprintf(evidence.Claimed+"Linux %s on %s", c.hello.Kernel, c.hello.Arch)
	l.Outside = fmt.Sprintf("%s (%s)%s runs as process %d with kernel %s%s, initial file system %s, %d images", c.backend.Monitor.Name(), c.digests.Monitor, c.backend.processor(), c.monitor.PID(), c.digests.Kernel,
		c.unpackedFrom(), c.digests.Initrd, len(c.drives))
	if h := c.pooled; h != nil {
		l.Outside += fmt.Sprintf("; it was booted by the pool of process %d, which says that it was ready for %v and never used", h.Pool, h.Waited.Round(time.Millisecond))
	}
	if m := c.plan.Machine; m.Image != "" {
		l.Outside += fmt.Sprintf("; in place of the system's files it has the image %s, as %s", m.Ref, m.Image)
	}
	return l
}

// how tells how the machine came about.
func (c *machineCell) how() cell.Start {
	if c.pooled == nil {
		return cell.Start{How: evidence.StartCold}
	}
	return cell.Start{How: evidence.StartPooled, Waited: c.pooled.Waited}
}

// unpackedFrom tells which file the kernel was packed in.
func (c *machineCell) unpackedFrom() string {
	if c.digests.Packed == "" {
		return ""
	}
	return " (unpacked from " + c.backend.Kernel.Packed + ", " + c.digests.Packed + ")"
}

func answered(probes []cell.Probe) (n int) {
	for _, p := range probes {
		if p.Holds {
			n++
		}
	}
	return n
}
