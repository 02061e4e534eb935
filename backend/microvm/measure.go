//go:build linux && (amd64 || arm64)

package microvm

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
)

// boundary joins two views that are never mixed: Inside is what the guest claims of itself, Outside what the host observed of the
// monitor.
func (c *machineCell) boundary(r guest.Ready) cell.Boundary {
	b := cell.Boundary{Caps: cell.Caps{Inheritable: r.Caps[0], Permitted: r.Caps[1], Effective: r.Caps[2], Bounding: r.Caps[3], Ambient: r.Caps[4]}}
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
		x.Inside = "the guest claims: " + strings.Join(claims, "; ")
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
	l.Inside = fmt.Sprintf("the guest claims: Linux %s on %s", c.hello.Kernel, c.hello.Arch)
	l.Outside = fmt.Sprintf("%s runs as process %d with kernel %s, initial file system %s, %d images", c.backend.Monitor.Name(), c.monitor.PID(), c.digests.Kernel, c.initrd.Digest, len(c.drives))
	return l
}

func answered(probes []cell.Probe) (n int) {
	for _, p := range probes {
		if p.Holds {
			n++
		}
	}
	return n
}

// unchanged reports whether the files that the monitor opened by their names are the ones that were checked: the same file, not written
// to since. The monitor has opened them all when the guest speaks, and nothing of the command runs yet.
func (c *machineCell) unchanged() error {
	for _, img := range c.images {
		now, err := os.Lstat(img.Path)
		if err != nil {
			return fmt.Errorf("looking at what the machine booted: %w", err)
		}
		if !img.Same(now) {
			return &EndError{Reason: "changed", Text: img.Path + " changed while the machine was started"}
		}
	}
	was, err := c.kernel.Stat()
	if err != nil {
		return err
	}
	now, err := os.Stat(c.kernel.Name())
	if err != nil {
		return fmt.Errorf("looking at what the machine booted: %w", err)
	}
	if !os.SameFile(was, now) || changeTime(was) != changeTime(now) || changeTime(now) != c.digests.kernelTime {
		return &EndError{Reason: "changed", Text: c.kernel.Name() + " changed while the machine was started"}
	}
	return nil
}

// changeTime is the time that no program can set: every write to the file changes it (inode(7)).
func changeTime(fi os.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return 0
}
