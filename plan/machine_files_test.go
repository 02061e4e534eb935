package plan

import (
	"path"
	"strconv"
	"strings"

	"cellos.io/cellos/table"
)

func unquoted(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}

// lookup follows a name that is opened.
func (c *child) lookup(s table.Step, at, quotedName string) (what string, own bool) {
	name := unquoted(quotedName)
	switch {
	case at == strconv.Itoa(c.rootFD):
		return "the cell's " + name, c.covering(name) == ""
	case at != "AT_FDCWD":
		n, _ := strconv.Atoi(at)
		return c.fds[n].what + " " + name, c.fds[n].own
	case strings.HasPrefix(name, "/") && c.pivoted:
		c.ruleAt = name
		return "the cell's " + name, true
	case strings.HasPrefix(name, "/"):
		if s.Call == "openat" && name != "/dev/net/tun" && name != "/proc/self/setgroups" && name != "/proc/self/uid_map" && name != "/proc/self/gid_map" {
			c.fail(s, "a path of the host is opened for reading or writing")
		}
		return "the host's " + name, false
	case c.pivoted || !c.scratch[name]:
		c.fail(s, "nothing has this name in the scratch space")
	}
	return "scratch " + name, true
}

// covering returns the host's tree that is mounted over a place of the cell, "" if there is none.
func (c *child) covering(name string) string {
	for d := name; d != "." && d != ""; d = path.Dir(d) {
		switch c.root[d] {
		case "host":
			return d
		case "own":
			return ""
		}
	}
	return ""
}

// create makes something in the scratch space or in the cell's root.
func (c *child) create(s table.Step, at, quotedName, what string) {
	name := unquoted(quotedName)
	if at == "AT_FDCWD" {
		if c.pivoted || c.scratch[name] || strings.Contains(name, "/") {
			c.fail(s, "not a new name in the scratch space")
		}
		c.scratch[name] = true
		return
	}
	if at != strconv.Itoa(c.rootFD) {
		c.fail(s, "not in the cell's root")
	}
	if h := c.covering(name); h != "" {
		c.fail(s, "inside the host's tree at /%s", h)
	}
	parent := path.Dir(name)
	if parent == "." {
		parent = ""
	}
	if k := c.root[parent]; k != "folder" && k != "own" {
		c.fail(s, "/%s is a %s", parent, k)
	}
	if c.root[name] != "" {
		c.fail(s, "/%s is there already: a %s", name, c.root[name])
	}
	if c.frozen && !c.inOwn(parent) {
		c.fail(s, "the root is read-only")
	}
	c.root[name] = what
}

func (c *child) inOwn(name string) bool {
	for d := name; d != "." && d != ""; d = path.Dir(d) {
		if c.root[d] == "own" {
			return true
		}
	}
	return false
}

// attach mounts something.
func (c *child) attach(s table.Step, arg []string) {
	n, _ := strconv.Atoi(arg[0])
	from, to := c.fds[n], unquoted(arg[3])
	kind := "host"
	if from.own {
		kind = "own"
	}
	place := "/" + to
	if m, err := strconv.Atoi(arg[2]); err == nil && m != c.rootFD {
		place = "/" + strings.TrimPrefix(c.fds[m].what, "the cell's ")
	}
	if host, ok := strings.CutPrefix(from.what, "the host's "); ok {
		c.shows[place] = strings.TrimSuffix(host, " ")
		c.lower[to] = c.shows[place]
	} else if from.what == "new overlay" {
		c.shows[place] = c.lower["lower"]
	}
	switch {
	case arg[2] == "AT_FDCWD" && to == "/proc" && !c.pivoted && from.what == "new tmpfs", arg[2] == "AT_FDCWD" && c.scratch[to]:
	case arg[2] == strconv.Itoa(c.rootFD):
		if h := c.covering(to); h != "" {
			c.fail(s, "by name, through the host's tree at /%s", h)
		} else if c.root[to] == "" || c.root[to] == "link" {
			c.fail(s, "on /%s, which is %q", to, c.root[to])
		}
		c.root[to] = kind
	default:
		m, _ := strconv.Atoi(arg[2])
		if place, ok := strings.CutPrefix(c.fds[m].what, "the cell's "); ok && to == "" {
			c.root[place] = kind
		} else if !strings.HasPrefix(c.fds[m].what, "new proc") {
			c.fail(s, "on %q", c.fds[m].what)
		}
	}
}
