//go:build linux && (amd64 || arm64)

package process

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cellos.io/cellos/cell"

	"cellos.io/cellos/sysabi"
)

// status is the part of /proc/PID/status that tells of rights; see proc_pid_status(5).
type status struct {
	uids, gids [4]uint32 // real, effective, saved, file system; as the reader's user namespace numbers them
	caps       cell.Caps
	noNewPrivs int
	seccomp    int
	filters    int // -1: the kernel does not tell (before Linux 5.9)
}

func parseStatus(text string) (status, error) {
	s := status{filters: -1, noNewPrivs: -1, seccomp: -1}
	var err error
	number := func(v string) int {
		n, e := strconv.Atoi(v)
		if e != nil && err == nil {
			err = e
		}
		return n
	}
	mask := func(v string) uint64 {
		n, e := strconv.ParseUint(v, 16, 64)
		if e != nil && err == nil {
			err = e
		}
		return n
	}
	ids := func(v string) (ids [4]uint32) {
		f := strings.Fields(v)
		if len(f) != len(ids) && err == nil {
			err = fmt.Errorf("%d ids", len(f))
		}
		for i := range min(len(f), len(ids)) {
			n, e := strconv.ParseUint(f[i], 10, 32)
			if e != nil && err == nil {
				err = e
			}
			ids[i] = uint32(n)
		}
		return ids
	}
	missing := []string{"Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if i := slices.Index(missing, name); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		}
		switch name {
		case "Uid":
			s.uids = ids(value)
		case "Gid":
			s.gids = ids(value)
		case "CapInh":
			s.caps.Inheritable = mask(value)
		case "CapPrm":
			s.caps.Permitted = mask(value)
		case "CapEff":
			s.caps.Effective = mask(value)
		case "CapBnd":
			s.caps.Bounding = mask(value)
		case "CapAmb":
			s.caps.Ambient = mask(value)
		case "NoNewPrivs":
			s.noNewPrivs = number(value)
		case "Seccomp":
			s.seccomp = number(value)
		case "Seccomp_filters":
			s.filters = number(value)
		}
	}
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("no line %s", missing[0])
	}
	if err != nil {
		return s, fmt.Errorf("reading process status: %w", err)
	}
	return s, nil
}

// A mounted is one line of mountinfo: the last one for its mount point, which is the one on top.
type mounted struct {
	fstype  string
	options map[string]bool
}

// parseMountinfo reads /proc/PID/mountinfo, proc_pid_mountinfo(5).
func parseMountinfo(text string) (map[string]mounted, error) {
	table := map[string]mounted{}
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		// Not Fields: the kernel escapes the four blanks of ASCII, and a path may have others of Unicode's.
		f, g := strings.Split(before, " "), strings.Split(after, " ")
		if !ok || len(f) < 6 || len(g) < 3 {
			return nil, fmt.Errorf("reading mountinfo: strange line %q", line)
		}
		m := mounted{fstype: g[0], options: map[string]bool{}}
		for o := range strings.SplitSeq(f[5], ",") {
			m.options[o] = true
		}
		table[sysabi.UnescapeMount(f[4])] = m
	}
	return table, nil
}

// parseLimits reads /proc/PID/limits: name to soft and hard value. Columns are apart by two or more blanks.
func parseLimits(text string) map[string][2]string {
	out := map[string][2]string{}
	for line := range strings.Lines(text) {
		i := strings.Index(line, "  ")
		if i < 0 {
			continue
		}
		if f := strings.Fields(line[i:]); len(f) >= 2 {
			out[line[:i]] = [2]string{f[0], f[1]}
		}
	}
	return out
}
