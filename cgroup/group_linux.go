package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// A Group is a control group that Make made. Its methods may be called concurrently, except with Remove.
type Group struct {
	plan *plan.Cgroup
	made []string // its folders
	dir  *os.File // version 2: the folder of the group
	oom  *os.File // version 1: tells that the memory was used up
	done chan struct{}
	told atomic.Bool // oom told
}

// Make makes the group and sets its limits. On error nothing is left, but controllers that were enabled.
func Make(p *plan.Cgroup) (g *Group, err error) {
	g = &Group{plan: p}
	defer func() {
		if err != nil {
			g.Remove()
			g = nil
		}
	}()
	for _, c := range p.Enable {
		if err := write(path.Join(p.Dirs[0].Path, "cgroup.subtree_control"), "+"+c); err != nil {
			return g, fmt.Errorf("enabling the controller %s for control groups in %s: %w", c, p.Dirs[0].Path, err)
		}
	}
	for _, d := range p.Paths() {
		if err := os.Mkdir(d, 0o755); err != nil {
			return g, fmt.Errorf("making a control group: %w", err)
		}
		g.made = append(g.made, d)
	}
	for _, s := range settings(p) {
		if err := write(s.file, s.value); err != nil {
			if s.optional && (errors.Is(err, fs.ErrNotExist)) {
				continue
			}
			return g, fmt.Errorf("limiting the control group: %w", err)
		}
	}
	if p.Version == 2 {
		if g.dir, err = os.Open(p.Paths()[0]); err != nil {
			return g, fmt.Errorf("opening the control group: %w", err)
		}
		return g, nil
	}
	if p.Memory != 0 {
		if err := g.watch(p.Dir(plan.Memory)); err != nil {
			return g, fmt.Errorf("watching the control group's memory: %w", err)
		}
	}
	return g, nil
}

// A setting is one file of a group and what is written to it.
type setting struct {
	file, value string
	optional    bool // the kernel may lack the file
}

// settings lists what is written. Swap would be memory, too: none is given, where the kernel accounts for it.
func settings(p *plan.Cgroup) (list []setting) {
	set := func(controller, file, value string, optional bool) {
		list = append(list, setting{file: path.Join(p.Dir(controller), file), value: value, optional: optional})
	}
	memory := strconv.FormatUint(p.Memory, 10)
	quota, period := p.CPU.Quota.Microseconds(), p.CPU.Period.Microseconds()
	if p.Memory != 0 && p.Version == 2 {
		set(plan.Memory, "memory.max", memory, false)
		set(plan.Memory, "memory.swap.max", "0", true)
		// The whole cell ends, and not a process of it that the kernel picks: a command that lost a part of itself is nobody's intent.
		set(plan.Memory, "memory.oom.group", "1", true)
	}
	if p.Memory != 0 && p.Version == 1 {
		set(plan.Memory, "memory.limit_in_bytes", memory, false)
		set(plan.Memory, "memory.memsw.limit_in_bytes", memory, true)
	}
	if p.CPU != (authority.CPU{}) && p.Version == 2 {
		set(plan.CPU, "cpu.max", fmt.Sprintf("%d %d", quota, period), false)
	}
	if p.CPU != (authority.CPU{}) && p.Version == 1 {
		set(plan.CPU, "cpu.cfs_period_us", strconv.FormatInt(period, 10), false)
		set(plan.CPU, "cpu.cfs_quota_us", strconv.FormatInt(quota, 10), false)
	}
	if p.Processes != 0 {
		set(plan.PIDs, "pids.max", strconv.FormatUint(p.Processes, 10), false)
	}
	return list
}

func write(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0) // never creates: a folder that is no control group has no such file
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// FD is the descriptor of the group for clone3(2), 0 in version 1.
func (g *Group) FD() int {
	if g.dir == nil {
		return 0
	}
	return int(g.dir.Fd())
}

// Add puts a process into the group. In version 2 it is there already: clone3 made it there.
func (g *Group) Add(pid int) error {
	if g.plan.Version == 2 {
		return nil
	}
	for _, d := range g.plan.Paths() {
		if err := write(path.Join(d, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("putting the cell into its control group: %w", err)
		}
	}
	return nil
}

// Measure looks whether a process is in the group and the limits are those of the plan. saw says what was seen.
func (g *Group) Measure(pid int) (saw string, holds bool, err error) {
	for _, d := range g.plan.Paths() {
		list, err := processes(d)
		if err != nil {
			return "", false, err
		}
		if !slices.Contains(list, pid) {
			return fmt.Sprintf("process %d is not in %s", pid, d), false, nil
		}
	}
	told, holds, err := g.limits()
	return fmt.Sprintf("process %d is in %s: %s", pid, strings.Join(g.plan.Paths(), ", "), told), holds, err
}

// limits reads the limits back. The kernel rounds memory down to whole pages, of up to 64 KiB.
func (g *Group) limits() (told string, holds bool, err error) {
	holds = true
	var list []string
	for _, s := range settings(g.plan) {
		b, err := sysabi.ReadKernelFile(s.file)
		if s.optional && err != nil {
			continue
		}
		if err != nil {
			return "", false, err
		}
		got := strings.TrimSpace(string(b))
		list = append(list, path.Base(s.file)+" "+got)
		if got != s.value {
			n, err := strconv.ParseUint(got, 10, 64)
			want, _ := strconv.ParseUint(s.value, 10, 64)
			holds = holds && err == nil && strings.HasPrefix(path.Base(s.file), "memory.") && n <= want && want-n < 1<<16
		}
	}
	if list == nil {
		return "no limits", true, nil
	}
	return strings.Join(list, ", "), holds, nil
}

// Usage reads what the group counted. What the kernel does not tell stays zero.
func (g *Group) Usage() (u cell.Usage) {
	p := g.plan
	// Whoever else manages control groups on this host could have changed them meanwhile.
	told, holds, err := g.limits()
	if u.Err = err; err == nil && !holds {
		u.Err = fmt.Errorf("the limits of the control group did not last: %s", told)
	}
	number := func(controller, file string) uint64 {
		if d := p.Dir(controller); d != "" {
			b, _ := sysabi.ReadKernelFile(path.Join(d, file))
			n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
			return n
		}
		return 0
	}
	field := func(controller, file, name string) uint64 {
		b, _ := sysabi.ReadKernelFile(path.Join(p.Dir(controller), file))
		for line := range bytes.Lines(b) {
			if f := bytes.Fields(line); len(f) == 2 && string(f[0]) == name {
				n, _ := strconv.ParseUint(string(f[1]), 10, 64)
				return n
			}
		}
		return 0
	}
	if p.Dir(plan.PIDs) != "" {
		u.Processes = number(plan.PIDs, "pids.peak")
	}
	if p.Memory != 0 {
		u.Memory = p.Memory
		if p.Version == 2 {
			u.MemoryPeak, u.OOMKills = number(plan.Memory, "memory.peak"), field(plan.Memory, "memory.events", "oom_kill")
		} else {
			u.MemoryPeak, u.OOMKills = number(plan.Memory, "memory.max_usage_in_bytes"), field(plan.Memory, "memory.oom_control", "oom_kill")
			if u.OOMKills == 0 && g.told.Load() {
				u.OOMKills = 1 // whoever listens was faster than the kernel
			}
		}
	}
	if p.CPU != (authority.CPU{}) {
		u.Throttled = int64(field(plan.CPU, "cpu.stat", "nr_throttled"))
		if p.Version == 2 {
			u.ThrottledTime = time.Duration(field(plan.CPU, "cpu.stat", "throttled_usec")) * time.Microsecond
		} else {
			u.ThrottledTime = time.Duration(field(plan.CPU, "cpu.stat", "throttled_time"))
		}
	}
	return u
}
