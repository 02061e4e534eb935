package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cellos.io/cellos/table"
)

// A child is a process that executes a table, as far as descriptors and names go: what it opens, where it makes folders, what is mounted
// where. It knows the calls that plans use; each other one is a mistake here or there.
type child struct {
	handed  map[string]string
	fds     map[int]open
	root    map[string]string // what was made in the cell's root: "folder", "file", "link", and "host" for a tree of the host
	scratch map[string]bool
	rootFD  int
	frozen  bool // the root is read-only
	pivoted bool
	lower   map[string]string // name in the scratch space to path of the host
	shows   map[string]string // place in the cell to path of the host
	rules   map[string]string // Landlock: place to rights
	ruleAt  string            // of the O_PATH descriptor last opened
	order   []string          // of the calls that take rights away
	caps    map[int]bool
	bad     []string
}

type open struct {
	what    string
	cloexec bool
	own     bool // a file system of the cell's own
}

func (c *child) fail(s table.Step, format string, a ...any) {
	c.bad = append(c.bad, fmt.Sprintf("%s\n\t%s", s, fmt.Sprintf(format, a...)))
}

// fdArgs are the positions of descriptors in the arguments of each call, and whether the call returns one.
var fdArgs = map[string]struct {
	at    []int
	opens bool
}{
	"dup3": {}, "close": {at: []int{0}}, "close_range": {}, "setsid": {}, "keyctl": {}, "openat": {[]int{0}, true}, "openat2": {[]int{0}, true}, "open_tree": {[]int{0}, true},
	"write": {at: []int{0}}, "read": {at: []int{0}}, "setgroups": {}, "setresgid": {}, "setresuid": {}, "umask": {}, "mount_setattr": {at: []int{0}},
	"fsopen": {opens: true}, "fsconfig": {at: []int{0}}, "fsmount": {[]int{0}, true}, "move_mount": {at: []int{0, 2}}, "fchdir": {at: []int{0}},
	"mkdirat": {at: []int{0}}, "mknodat": {at: []int{0}}, "symlinkat": {at: []int{1}}, "pivot_root": {}, "umount2": {}, "chdir": {}, "socket": {opens: true}, "bind": {at: []int{0}}, "listen": {at: []int{0}},
	"ioctl": {at: []int{0}}, "sethostname": {}, "prlimit64": {}, "prctl": {}, "capset": {}, "landlock_create_ruleset": {opens: true},
	"landlock_add_rule": {at: []int{0}}, "landlock_restrict_self": {at: []int{0}}, "rt_sigprocmask": {}, "seccomp": {}, "execveat": {at: []int{0}},
}

// execute runs a table and returns what is wrong with it.
func execute(p *Plan) *child {
	handed := map[string]string{}
	for _, h := range p.Handed {
		if h.Tree != nil {
			handed["<"+h.Name+">"] = "the host's " + h.Tree.Path
		}
	}
	c := &child{handed: handed, fds: map[int]open{}, root: map[string]string{"": "folder"}, scratch: map[string]bool{}, rules: map[string]string{}, shows: map[string]string{}, lower: map[string]string{}, caps: map[int]bool{}, rootFD: -1}
	for _, s := range p.Table {
		c.step(s)
	}
	return c
}

func (c *child) step(s table.Step) {
	arg := make([]string, 6)
	for i, a := range s.Args {
		arg[i] = a.String()
	}
	call, known := fdArgs[s.Call]
	if !known {
		c.fail(s, "a call that this test does not know")
		return
	}
	for _, i := range call.at {
		if arg[i] == "AT_FDCWD" {
			continue
		}
		n, err := strconv.Atoi(arg[i])
		if _, ok := c.fds[n]; err != nil || !ok {
			c.fail(s, "descriptor %s is not open", arg[i])
		}
	}
	want, exact := s.Want.Value()
	result := open{cloexec: strings.Contains(s.String(), "CLOEXEC")}
	switch s.Call {
	case "dup3":
		to, _ := strconv.Atoi(arg[1])
		if !strings.HasPrefix(arg[0], "<") {
			if from, _ := strconv.Atoi(arg[0]); c.fds[from] == (open{}) {
				c.fail(s, "descriptor %d is not open", from)
			}
		} else if c.fds[to] != (open{}) {
			c.fail(s, "descriptor %d is taken", to)
		}
		what := arg[0]
		if h := c.handed[what]; h != "" {
			what = h
		}
		c.fds[to] = open{what: what, cloexec: arg[2] == "O_CLOEXEC"}
		if !exact || want != to {
			c.fail(s, "the result is not demanded")
		}
	case "close":
		n, _ := strconv.Atoi(arg[0])
		delete(c.fds, n)
	case "close_range":
		from, _ := strconv.Atoi(arg[0])
		for n := range c.fds {
			if n >= from {
				c.fail(s, "closes %v", c.fds[n])
			}
		}
		if len(c.fds) != from {
			c.fail(s, "%d descriptors below %d", len(c.fds), from)
		}
	case "openat", "openat2", "open_tree":
		result.what, result.own = c.lookup(s, arg[0], arg[1])
	case "fsopen":
		result.what, result.own = "new "+unquoted(arg[0]), true
	case "fsmount":
		n, _ := strconv.Atoi(arg[0])
		result.what, result.own = c.fds[n].what, true
	case "mkdirat":
		c.create(s, arg[0], arg[1], "folder")
	case "mknodat":
		c.create(s, arg[0], arg[1], "file")
	case "symlinkat":
		c.create(s, arg[1], arg[2], "link")
	case "fchdir":
		if n, _ := strconv.Atoi(arg[0]); c.pivoted || n != c.rootFD && !strings.HasPrefix(c.fds[n].what, "new tmpfs") {
			c.fail(s, "a folder that is not the cell's own")
		}
	case "move_mount":
		c.attach(s, arg)
	case "mount_setattr":
		if n, err := strconv.Atoi(arg[0]); err == nil && n == c.rootFD {
			if !strings.Contains(arg[3], "ro,") || !strings.Contains(arg[2], "AT_RECURSIVE") {
				c.fail(s, "the root is not made read-only with all below it")
			}
			c.frozen = true
		}
	case "pivot_root":
		if !c.frozen {
			c.fail(s, "the root can be written")
		}
		c.pivoted = true
	case "chdir", "umount2":
		if !c.pivoted {
			c.fail(s, "before the root is the cell's")
		}
	case "landlock_add_rule":
		c.rule(s, arg)
	}
	c.privilege(s, arg)
	if call.opens || s.Call == "ioctl" && exact {
		lowest := 0
		for c.fds[lowest] != (open{}) {
			lowest++
		}
		if !exact || want != lowest {
			c.fail(s, "the kernel gives %d", lowest)
		}
		if result.what == "" {
			result.what = s.Name
		}
		c.fds[want] = result
		if s.Name == "opening the cell's root" {
			c.rootFD = want
		}
	}
}

// privilege keeps the order in which rights go.
func (c *child) privilege(s table.Step, arg []string) {
	switch {
	case s.Call == "prctl" && arg[0] == "PR_CAPBSET_DROP":
		n, _ := strconv.Atoi(arg[1])
		c.caps[n] = true
	case s.Call == "prctl":
		c.order = append(c.order, arg[0])
	case s.Call == "capset", s.Call == "landlock_restrict_self", s.Call == "seccomp", s.Call == "execveat", s.Call == "pivot_root",
		s.Call == "setgroups", s.Call == "setresgid", s.Call == "setresuid":
		c.order = append(c.order, s.Call)
	}
}

// rule takes a Landlock rule down.
func (c *child) rule(s table.Step, arg []string) {
	access, parent, ok := strings.Cut(strings.TrimPrefix(arg[2], "{allowed_access="), ", parent_fd=")
	n, err := strconv.Atoi(strings.TrimSuffix(parent, "}"))
	if !ok || err != nil || c.fds[n].what != "the cell's "+c.ruleAt {
		c.fail(s, "the rule is not for %s, which was just opened", c.ruleAt)
	}
	if access == "" {
		c.fail(s, "a rule that allows nothing is refused (ENOMSG)")
	}
	if !c.pivoted {
		c.fail(s, "before the root is the cell's")
	}
	if c.rules[c.ruleAt] != "" {
		access += "|" + c.rules[c.ruleAt]
	}
	c.rules[c.ruleAt] = access
}

// left lists the descriptors that the program of PID 1 gets.
func (c *child) left() (fds []int) {
	for n, f := range c.fds {
		if !f.cloexec {
			fds = append(fds, n)
		}
	}
	slices.Sort(fds)
	return fds
}
