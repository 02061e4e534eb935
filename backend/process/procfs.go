//go:build linux && (amd64 || arm64)

package process

import (
	"fmt"
	"strconv"
	"strings"

	"cellos.io/cellos/cell"
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
		for i, f := range strings.Fields(v) {
			if i < 4 {
				n, e := strconv.ParseUint(f, 10, 32)
				if e != nil && err == nil {
					err = e
				}
				ids[i] = uint32(n)
			}
		}
		return ids
	}
	found := 0
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		found++
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
		default:
			found--
		}
	}
	if err == nil && found < 9 {
		err = fmt.Errorf("only %d of the expected lines", found)
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
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 1 {
			return nil, fmt.Errorf("reading mountinfo: strange line %q", line)
		}
		m := mounted{fstype: g[0], options: map[string]bool{}}
		for o := range strings.SplitSeq(f[5], ",") {
			m.options[o] = true
		}
		table[unescape(f[4])] = m
	}
	return table, nil
}

// unescape undoes the octal escapes of mountinfo: \040 for a space.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
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
