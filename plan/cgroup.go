package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cellos.io/cellos/authority"
)

// Controllers of control groups, by the kernel's names; see cgroups(7).
const (
	Memory = "memory"
	CPU    = "cpu"
	PIDs   = "pids"
	Freeze = "freezer" // version 1 only: version 2 has it without a controller
)

// Cgroups says where this host lets cellos make control groups.
type Cgroups struct {
	Asked  string        // the folder that an operator named; "": cellos looked for one itself
	Places []CgroupPlace // the best first
	Why    string        // why there is no place, or not a better one
	Unique string        // makes the group's name its own
}

// A CgroupPlace is where a control group can be made: one folder in version 2, one for each hierarchy in version 1.
type CgroupPlace struct {
	Version int // 1 or 2
	Dirs    []CgroupDir
}

// A CgroupDir is a folder in which a group can be made.
type CgroupDir struct {
	Path        string
	Controllers []string // that a group made here has
	Available   []string // version 2: that it has not, and that can be enabled here
}

// A Cgroup is the control group of a cell, as it will be made: the cell is born in it, or is in it before its first process goes on
// after its birth, and it goes with the cell.
type Cgroup struct {
	Version   int
	Name      string // of the folder that is made in each of Dirs
	Dirs      []CgroupDir
	Enable    []string      // controllers to enable in the folder first; version 2 only
	Memory    uint64        // bytes; 0: no limit
	CPU       authority.CPU // the zero value: no limit
	Processes uint64        // processes and threads, the cell's own first process included; 0: no limit
}

// Paths are the folders of the group.
func (c *Cgroup) Paths() []string {
	s := make([]string, len(c.Dirs))
	for i, d := range c.Dirs {
		s[i] = d.Path + "/" + c.Name
	}
	return s
}

// Dir is the folder of the group that has a controller; "" if none has.
func (c *Cgroup) Dir(controller string) string {
	for _, d := range c.Dirs {
		if slices.Contains(d.Controllers, controller) || slices.Contains(c.Enable, controller) {
			return d.Path + "/" + c.Name
		}
	}
	return ""
}

// LeastMemory is the smallest memory limit that a cell of Linux processes gets: with less, its first process does not come to stand.
const LeastMemory = 1 << 20

// WantsCgroup reports whether an authority needs a control group: memory and processor time have no other limit that holds for all
// processes of a cell together. setrlimit(2) has one for processes.
func WantsCgroup(a *authority.Authority) bool {
	return a.Limits.Memory != 0 || a.Limits.CPU != (authority.CPU{})
}

// Group decides which control group a cell called id gets, nil if it needs none. A limit that cannot be set is a refusal; all of them
// are returned.
func Group(id string, l authority.Limits, host Cgroups) (*Cgroup, Refused) {
	var need []string
	var refused Refused
	refuse := func(from, what, controller string) {
		refused = append(refused, Refusal{from, what + ": " + host.without(controller), host.remedy()})
	}
	type want struct{ from, what, controller string }
	var wants []want
	if l.Memory != 0 {
		wants = append(wants, want{l.MemoryFrom, "limiting memory", Memory})
	}
	if l.CPU != (authority.CPU{}) {
		wants = append(wants, want{l.CPUFrom, "limiting processor time", CPU})
	}
	if len(wants) == 0 && host.Asked == "" {
		return nil, nil
	}
	for _, w := range wants {
		need = append(need, w.controller)
	}
	for _, p := range host.Places {
		c := &Cgroup{Version: p.Version, Name: "cellos_" + leafID(id) + "_" + host.Unique, Memory: l.Memory, CPU: l.CPU}
		if c.take(p, need, host.Asked != "") {
			if c.Dir(PIDs) != "" {
				c.Processes = l.Processes + 1
			}
			return c, nil
		}
	}
	if len(wants) == 0 {
		refused = append(refused, Refusal{"CELLOS_CGROUP_PARENT", host.Why, ""})
	}
	for _, w := range wants {
		refuse(w.from, w.what, w.controller)
	}
	return nil, refused
}

// take reports whether a place has all the controllers that are needed, and takes over those folders that are of use.
func (c *Cgroup) take(p CgroupPlace, need []string, enable bool) bool {
	for _, d := range p.Dirs {
		for _, n := range []string{Memory, CPU, PIDs} {
			if enable && slices.Contains(need, n) && !slices.Contains(d.Controllers, n) && slices.Contains(d.Available, n) {
				c.Enable = append(c.Enable, n)
			}
		}
		if p.Version == 2 || slices.ContainsFunc(d.Controllers, func(n string) bool { return slices.Contains(need, n) || n == PIDs || n == Freeze }) {
			c.Dirs = append(c.Dirs, d)
		}
	}
	return !slices.ContainsFunc(need, func(n string) bool { return c.Dir(n) == "" })
}

// without says why a controller is out of reach.
func (g Cgroups) without(controller string) string {
	if g.Why != "" {
		return "no control group with the controller " + controller + " can be made here: " + g.Why
	}
	return "no control group with the controller " + controller + " can be made here"
}

func (g Cgroups) remedy() string {
	if g.Asked != "" {
		return "name a cgroup2 folder that has the controllers in its cgroup.controllers, or unset CELLOS_CGROUP_PARENT"
	}
	return "start cellos in a delegated group (systemd-run --user --scope -p Delegate=yes cellos …), name one in CELLOS_CGROUP_PARENT, or start it as root"
}

// leafID is what a group's name keeps of a cell's.
func leafID(id string) string {
	b := []byte(id)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "cell"
	}
	return string(b[:min(len(b), 64)])
}

// cgroup plans the control group.
func (p *planner) cgroup() {
	if m := p.a.Limits.Memory; m != 0 && m < LeastMemory {
		p.refuse(p.a.Limits.MemoryFrom, fmt.Sprintf("%d bytes are less than a cell needs to come to stand, which is %s", m, size(LeastMemory)), "ask for more")
		return
	}
	l := p.a.Limits
	if p.sandbox != nil {
		l.Processes = sandboxProcesses(l.Processes) // of the host; gVisor limits the command's
	}
	c, refused := Group(p.a.ID, l, p.h.Cgroups)
	p.refused = append(p.refused, refused...)
	p.p.Cgroup = c
}

// saysCgroup puts the limits of the group in words, and promises them.
func (p *planner) saysCgroup() {
	c := p.p.Cgroup
	if c == nil {
		return
	}
	if c.Memory != 0 {
		with := ""
		if p.sandbox != nil {
			with = ", and gVisor's kernel with them"
		}
		p.can("use "+size(c.Memory)+" of memory, all its processes and /tmp together"+with, LayerGroup)
	}
	if c.CPU != (authority.CPU{}) {
		p.can("use "+c.share(), LayerGroup)
	}
	p.promise(LayerGroup, c.Says())
}

func (c *Cgroup) share() string {
	return fmt.Sprintf("%v of processor time in each %v, all its processes together", c.CPU.Quota.Round(time.Microsecond), c.CPU.Period)
}

// Says puts the group's limits in one line.
func (c *Cgroup) Says() string {
	s := []string{fmt.Sprintf("a control group of its own (version %d)", c.Version)}
	if c.Memory != 0 {
		s = append(s, "memory "+size(c.Memory))
	}
	if c.CPU != (authority.CPU{}) {
		s = append(s, fmt.Sprintf("processor time %v in each %v", c.CPU.Quota, c.CPU.Period))
	}
	if c.Processes != 0 {
		s = append(s, fmt.Sprintf("%d processes", c.Processes))
	}
	return strings.Join(s, ", ")
}
