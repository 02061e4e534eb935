//go:build linux && (amd64 || arm64)

package gvisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/sysabi"
)

// observe looks at gVisor's processes on the host: runsc, the gofer, the sentry, and the stubs in which the command's instructions run.
func (c *gvisorCell) observe() (cell.View, error) {
	var text []string
	holds := true
	bad := func(format string, a ...any) {
		holds = false
		text = append(text, fmt.Sprintf(format, a...))
	}
	want, err := c.program.File.Stat()
	if err != nil {
		return cell.View{}, err
	}
	names := map[string]int{}
	stubs := 0
	for _, pid := range descendants(c.outer.PID()) {
		dir := "/proc/" + strconv.Itoa(pid)
		line, err := sysabi.ReadKernelFile(dir + "/cmdline")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return cell.View{}, err
		}
		name, _, _ := strings.Cut(string(line), "\x00")
		status, err := sysabi.ReadKernelFile(dir + "/status")
		if err != nil {
			continue // gone meanwhile
		}
		s := fields(string(status))
		names[name]++
		host := fmt.Sprint(c.plan.IDs.HostUID)
		if u := strings.Fields(s["Uid"]); len(u) != 4 || u[0] != host || u[1] != host || u[2] != host || u[3] != host {
			bad("%s runs as %s", name, s["Uid"])
		}
		if s["NoNewPrivs"] != "1" {
			bad("%s may gain privileges", name)
		}
		if fi, err := os.Stat(dir + "/exe"); err == nil && !os.SameFile(fi, want) {
			bad("%s executes another file than the one that was checked", name)
		}
		switch name {
		case "runsc-sandbox", "runsc-gofer":
			filters, _ := strconv.Atoi(s["Seccomp_filters"])
			if s["Seccomp"] != "2" || filters != 0 && filters <= len(c.plan.Sandbox.Filters) {
				bad("%s has no filter of its own (Seccomp %s, %d filters)", name, s["Seccomp"], filters)
			}
			if mounts, err := sysabi.ReadKernelFile(dir + "/mountinfo"); err == nil && name == "runsc-sandbox" {
				if at := foreign(string(mounts)); at != "" {
					bad("the sentry has %s mounted", at)
				}
			}
			text = append(text, fmt.Sprintf("%s: Seccomp %s with %d filters, effective capabilities %s in a user namespace of its own", name, s["Seccomp"], filters, s["CapEff"]))
		case "runsc":
		default:
			stubs++
		}
	}
	for _, n := range []string{"runsc-sandbox", "runsc-gofer"} {
		if names[n] != 1 {
			bad("%d processes are %s", names[n], n)
		}
	}
	return cell.View{Saw: strings.Join(append(text, fmt.Sprintf("%d stubs", stubs)), "; "), Holds: holds}, nil
}

// descendants returns the processes that a process started, and theirs.
func descendants(pid int) (list []int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, t := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				list = append(append(list, n), descendants(n)...)
			}
		}
	}
	return list
}

// fields reads the lines of /proc/PID/status.
func fields(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		m[name] = strings.TrimSpace(value)
	}
	return m
}

// foreign finds something in a mount table that is no empty root: proc and memory are all that the sentry keeps.
func foreign(mountinfo string) string {
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		f, b := strings.Fields(after), strings.Fields(before)
		if len(f) < 2 || len(b) < 5 {
			return "something strange"
		}
		if f[0] != "proc" && f[0] != "tmpfs" {
			return f[0] + " at " + b[4]
		}
	}
	return ""
}
