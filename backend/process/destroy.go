//go:build linux && (amd64 || arm64)

package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Destroy ends PID 1, and with it, by the kernel's rule for pid namespaces (pid_namespaces(7)), every process of the cell, whose
// namespaces and mounts go with the last of them.
func (c *processCell) Destroy() cell.Residue {
	c.destroy.Do(func() {
		var errs []string
		if c.proc != nil {
			if err := c.proc.Kill(); err != nil {
				errs = append(errs, err.Error())
			}
			if _, err := c.proc.Wait(); err != nil {
				errs = append(errs, err.Error())
			}
			c.proc.Close()
		}
		if c.conn != nil {
			c.conn.Close()
		}
		if err := c.watch.close(); err != nil {
			errs = append(errs, err.Error())
		}
		c.closeOpens()
		for _, f := range append(files(c.link), c.changes, c.terminal, c.state) {
			if f != nil {
				f.Close()
			}
		}
		c.view.close()
		c.residue = cell.Residue{Checks: []cell.Check{
			{What: "ending", Found: errs},
			{What: "processes", Found: c.leftProcesses()},
			{What: "mounts", Found: leftMounts()},
		}}
		if c.group != nil {
			c.residue.Checks = append(c.residue.Checks, c.leftGroup())
		}
	})
	return c.residue
}

// leftProcesses looks for processes in the cell's pid namespace, which the supervisor keeps open for this question.
func (c *processCell) leftProcesses() []string {
	if c.namespace == nil {
		return nil // nothing was ever measured, so nothing was released
	}
	defer c.namespace.Close()
	var found []string
	// Each number that the namespace ever gave out; where there were too many to ask for, and on kernels that cannot be asked
	// (before Linux 6.11), each process of the host.
	last, first := int(c.lastPID.Load()), 1
	if c.foreign {
		first = 2 // that PID 1 has ended was seen; when its parent reaps it is not ours to say
	}
	for pid := first; pid <= min(last, maxAsked); pid++ {
		switch host, err := sysabi.ProcessInNamespace(int(c.namespace.Fd()), pid); {
		case err == nil:
			found = append(found, fmt.Sprintf("process %d, in the cell %d", host, pid))
		case errors.Is(err, sysabi.ESRCH):
		default:
			return c.scanned()
		}
	}
	if last == 0 || last > maxAsked {
		return c.scanned()
	}
	return found
}

// scanned looks at every process of the host.
func (c *processCell) scanned() []string {
	found := scanProcesses(c.identity)
	if c.foreign {
		found = slices.DeleteFunc(found, func(s string) bool { return s == "process "+strconv.Itoa(c.proc.Pid()) })
	}
	return found
}

// maxAsked bounds the questions about single processes: at 0.2 µs each they cost less than to look at a busy host's /proc.
const maxAsked = 20000

// scanProcesses looks at every process of the host, as far as this user may: an ordinary user sees its own, and no process of a
// cell can be anybody else's.
func scanProcesses(id identity) []string {
	d, err := os.Open("/proc")
	if err != nil {
		return []string{err.Error()}
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, n := range names {
		if n[0] < '0' || n[0] > '9' {
			continue
		}
		if ns, err := os.Readlink("/proc/" + n + "/ns/pid"); err == nil && ns == id.pidNamespace {
			found = append(found, "process "+n)
		}
	}
	return found
}

// leftMounts looks for file systems of a cell among the supervisor's own mounts. There can be none, unless the mount namespace did not
// hold.
func leftMounts() []string {
	text, err := sysabi.ReadKernelFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if _, after, ok := strings.Cut(line, " - "); ok {
			if f := strings.Fields(after); len(f) > 1 && f[1] == plan.Source {
				found = append(found, strings.Fields(line)[4])
			}
		}
	}
	return found
}
