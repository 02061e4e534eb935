//go:build linux && (amd64 || arm64)

package process

import (
	"fmt"
	"os"
	"strings"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
)

// Destroy ends PID 1, and with it, by the kernel's rule for pid namespaces (pid_namespaces(7)), every process of the cell, whose
// namespaces and mounts go with the last of them.
func (c *processCell) Destroy() cell.Residue {
	c.destroy.Do(func() {
		pid := 0
		var errs []string
		if c.proc != nil {
			pid = c.proc.Pid()
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
		for _, f := range []*os.File{c.changes, c.terminal} {
			if f != nil {
				f.Close()
			}
		}
		close(c.done)
		c.residue = cell.Residue{Checks: []cell.Check{
			{What: "ending", Found: errs},
			{What: "processes", Found: leftProcesses(pid, c.identity)},
			{What: "mounts", Found: leftMounts()},
		}}
	})
	return c.residue
}

// leftProcesses looks for processes in the cell's pid namespace, as far as this user may look at them: an ordinary user sees its
// own, and no process of a cell can be anybody else's.
func leftProcesses(pid int, id identity) []string {
	if id.pidNamespace == "" {
		return nil
	}
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
			found = append(found, fmt.Sprintf("process %s in %s of the cell's first process %d", n, ns, pid))
		}
	}
	return found
}

// leftMounts looks for file systems of a cell among the supervisor's own mounts. There can be none, unless the mount namespace did not
// hold.
func leftMounts() []string {
	text, err := os.ReadFile("/proc/self/mountinfo")
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
