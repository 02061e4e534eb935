//go:build linux && (amd64 || arm64)

package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// An observation is what /proc shows of PID 1 from outside.
type observation struct {
	status   status
	identity identity
	layers   map[string]seen
}

type seen struct {
	saw   string
	holds bool
}

// identity is what names a cell's processes on the host.
type identity struct{ pidNamespace string }

// ownNamespaces returns the namespaces of the supervisor.
func ownNamespaces(n plan.Namespaces) (map[string]string, error) {
	own := map[string]string{}
	for _, name := range n.Names() {
		link, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			return nil, fmt.Errorf("looking at the supervisor's namespaces: %w", err)
		}
		own[name] = link
	}
	return own, nil
}

// observe looks at a process and compares it with the plan.
func observe(pid int, p *plan.Plan, own map[string]string) (observation, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	o := observation{layers: map[string]seen{}}
	for _, n := range p.Namespaces.Names() {
		theirs, err := os.Readlink(dir + "/ns/" + n)
		if err != nil {
			return o, err
		}
		if n == "pid" {
			o.identity.pidNamespace = theirs
		}
		o.layers[plan.NamespaceLayer(n)] = seen{theirs + ", the supervisor's is " + own[n], own[n] != "" && theirs != own[n]}
	}
	text, err := sysabi.ReadKernelFile(dir + "/status")
	if err != nil {
		return o, err
	}
	if o.status, err = parseStatus(string(text)); err != nil {
		return o, err
	}
	s := o.status
	ids := p.IDs
	o.layers[plan.LayerIdentity] = seen{
		fmt.Sprintf("uids %v, gids %v, capabilities %x/%x/%x/%x/%x (inheritable, permitted, effective, bounding, ambient)", s.uids, s.gids,
			s.caps.Inheritable, s.caps.Permitted, s.caps.Effective, s.caps.Bounding, s.caps.Ambient),
		(p.Privileged || s.caps == cell.Caps{}) && ids.HostUID != 0 && ids.HostGID != 0 &&
			s.uids == [4]uint32{ids.HostUID, ids.HostUID, ids.HostUID, ids.HostUID} && s.gids == [4]uint32{ids.HostGID, ids.HostGID, ids.HostGID, ids.HostGID},
	}
	o.layers[plan.LayerNNP] = seen{fmt.Sprintf("NoNewPrivs %d", s.noNewPrivs), s.noNewPrivs == 1}
	// The supervisor may itself run under filters, which its children inherit.
	o.layers[plan.LayerSeccomp] = seen{fmt.Sprintf("Seccomp %d, %d filters", s.seccomp, s.filters), s.seccomp == 2 && (s.filters < 0 || s.filters >= p.EarlyFilters())}
	if o.layers[plan.LayerMount], err = o.mounts(dir, p); err != nil {
		return o, err
	}
	if o.layers[plan.LayerLimits], err = limits(dir, p); err != nil {
		return o, err
	}
	o.layers[plan.LayerSession], err = session(dir, pid)
	return o, err
}

// mounts compares the mount table with the plan: every planned mount is there, with its attributes, and the root is the cell's.
// What a granted tree brought along lies below the tree's own mount.
func (o observation) mounts(dir string, p *plan.Plan) (seen, error) {
	text, err := sysabi.ReadKernelFile(dir + "/mountinfo")
	if err != nil {
		return seen{}, err
	}
	table, err := parseMountinfo(string(text))
	if err != nil {
		return seen{}, err
	}
	own := o.layers[plan.LayerMount]
	planned := map[string]bool{}
	for _, m := range p.Mounts {
		planned[m.At] = true
		got, ok := table[m.At]
		if !ok {
			return seen{fmt.Sprintf("%s is not mounted", m.At), false}, nil
		}
		if m.Type != "" && got.fstype != m.Type {
			return seen{fmt.Sprintf("%s is a %s, not a %s", m.At, got.fstype, m.Type), false}, nil
		}
		for opt := range strings.SplitSeq(m.Attr.Options(), ",") {
			if opt != "rw" && !got.options[opt] {
				return seen{fmt.Sprintf("%s is not mounted %s", m.At, opt), false}, nil
			}
		}
	}
	extra := 0
	for at := range table {
		if planned[at] {
			continue
		}
		if !insideAny(at, p.Mounts) {
			return seen{fmt.Sprintf("%s is mounted and not planned", at), false}, nil
		}
		extra++
	}
	return seen{fmt.Sprintf("%s; %d mounts as planned, %d more inside granted trees", own.saw, len(p.Mounts), extra), own.holds}, nil
}

// insideAny reports whether a mount lies in a granted tree: below a planned mount that is a tree of the host.
func insideAny(at string, mounts []plan.Mount) bool {
	best := plan.Mount{}
	for _, m := range mounts {
		if m.At != "/" && len(m.At) > len(best.At) && strings.HasPrefix(at, m.At+"/") {
			best = m
		}
	}
	return best.At != "" && best.Type == ""
}

func limits(dir string, p *plan.Plan) (seen, error) {
	text, err := sysabi.ReadKernelFile(dir + "/limits")
	if err != nil {
		return seen{}, err
	}
	got := parseLimits(string(text))
	want := strconv.FormatUint(p.Limits.Processes+1, 10)
	procs, core := got["Max processes"], got["Max core file size"]
	return seen{fmt.Sprintf("processes %s/%s (PID 1 included), core files %s/%s", procs[0], procs[1], core[0], core[1]),
		procs == [2]string{want, want} && (core == [2]string{"0", "0"} || core == [2]string{"1", "1"})}, nil
}

// session checks that the process leads a session of its own and has no controlling terminal: fields 6 and 7 of /proc/PID/stat
// (proc_pid_stat(5)).
func session(dir string, pid int) (seen, error) {
	b, err := sysabi.ReadKernelFile(dir + "/stat")
	if err != nil {
		return seen{}, err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 5 {
		return seen{}, fmt.Errorf("strange %s/stat", dir)
	}
	return seen{fmt.Sprintf("session %s, terminal %s", f[3], f[4]), f[3] == strconv.Itoa(pid) && f[4] == "0"}, nil
}
