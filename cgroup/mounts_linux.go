package cgroup

import (
	"path"
	"slices"
	"strings"

	"cellos.io/cellos/sysabi"
)

// mounts are the hierarchies as the calling process sees them.
type mounts struct {
	two *hierarchy
	one []hierarchy
}

// A hierarchy is a mounted tree of groups.
type hierarchy struct {
	controllers []string // version 1; the name of a hierarchy without controllers is one too
	at          string   // where it is mounted
	root        string   // which part of it
	own         string   // the caller's group, from the hierarchy's root
}

// dir is the folder of the caller's own group; "" if this mount does not show it.
func (h hierarchy) dir() string {
	rel := h.own
	if h.root != "/" {
		var ok bool
		if rel, ok = strings.CutPrefix(h.own, h.root); !ok || rel != "" && rel[0] != '/' {
			return ""
		}
	}
	if strings.HasPrefix(rel, "/..") {
		return "" // outside the caller's cgroup namespace, cgroup_namespaces(7)
	}
	return path.Join(h.at, rel)
}

func readMounts() (mounts, error) {
	var m mounts
	info, err := sysabi.ReadKernelFile("/proc/self/mountinfo")
	if err != nil {
		return m, err
	}
	own, err := sysabi.ReadKernelFile("/proc/self/cgroup")
	if err != nil {
		return m, err
	}
	m.read(string(info), string(own))
	return m, nil
}

// read takes the hierarchies from the text of mountinfo (proc_pid_mountinfo(5)) and the caller's groups from that of cgroup
// (cgroups(7)). The first mount of a hierarchy counts.
func (m *mounts) read(info, own string) {
	groups := map[string]string{} // by controllers
	for line := range strings.Lines(own) {
		if f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(f) == 3 {
			groups[f[1]] = f[2]
		}
	}
	for line := range strings.Lines(info) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		h := hierarchy{at: sysabi.UnescapeMount(f[4]), root: sysabi.UnescapeMount(f[3])}
		switch g[0] {
		case "cgroup2":
			h.own, ok = groups[""]
			if ok && m.two == nil {
				m.two = &h
			}
		case "cgroup":
			for controllers, group := range groups {
				list := strings.Split(controllers, ",")
				if controllers != "" && sameHierarchy(list, strings.Split(g[2], ",")) {
					h.controllers, h.own = list, group
					m.one = append(m.one, h)
				}
			}
		}
	}
}

// sameHierarchy compares the controllers of /proc/self/cgroup with the options of a mount, which name them too.
func sameHierarchy(controllers, options []string) bool {
	for _, c := range controllers {
		if !slices.Contains(options, c) {
			return false
		}
	}
	return true
}
