//go:build linux && (amd64 || arm64)

package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// TestPromisesThatDoNotHold: the boundary says so, before anything of the command ran.
func TestPromisesThatDoNotHold(t *testing.T) {
	settle(t)
	dir := workdir(t)
	base := planned(t, "", `"filesystem":{"write":["`+dir+`"]}`, "/bin/sh", "-c", "echo ran >"+dir+"/ran")
	before := used(t)
	for _, c := range []struct {
		name, layer, text string
		doctor            func(p *plan.Plan)
	}{
		{"a mount that is not there", plan.LayerMount, "/extra is not mounted", func(p *plan.Plan) {
			p.Mounts = append(p.Mounts[:len(p.Mounts):len(p.Mounts)], plan.Mount{At: "/extra"})
		}},
		{"a probe that gets another answer", plan.LayerIdentity, "asking who it is: success instead of EPERM", func(p *plan.Plan) {
			p.Boot.Probes = append(p.Boot.Probes[:len(p.Boot.Probes):len(p.Boot.Probes)], plan.Probe{Layer: plan.LayerIdentity, Name: "asking who it is", Call: "getuid", Want: []sysabi.Errno{sysabi.EPERM}})
		}},
		{"a probe that must succeed", plan.LayerNet, "opening nothing: ENOENT instead of success", func(p *plan.Plan) {
			p.Boot.Probes = append(p.Boot.Probes[:len(p.Boot.Probes):len(p.Boot.Probes)], plan.Probe{Layer: plan.LayerNet, Name: "opening nothing", Call: "openat",
				Args: []plan.Operand{{Value: ^uint64(99)}, {Data: []byte("/nothing\x00")}, {}}})
		}},
		{"a promise that nothing measures", "magic", "from outside: not measured", func(p *plan.Plan) {
			p.Promises = append(p.Promises[:len(p.Promises):len(p.Promises)], plan.Promise{Layer: "magic", What: "something"})
		}},
		{"a filter that is not loaded", plan.LayerSeccomp, "instead of", func(p *plan.Plan) { p.Table = drop(p.Table, "seccomp") }},
		{"no Landlock", plan.LayerLandlock, "reading a file that no grant names: success instead of EACCES", func(p *plan.Plan) { p.Table = drop(p.Table, "landlock_restrict_self") }},
		{"the limit of processes", plan.LayerLimits, "processes ", func(p *plan.Plan) { p.Table = dropArg(p.Table, "RLIMIT_NPROC") }},
		{"the bounding set is kept", plan.LayerIdentity, "/1/0 (inheritable", func(p *plan.Plan) { p.Table = dropArg(p.Table, "PR_CAPBSET_DROP 0") }},
		{"the root can be written", plan.LayerMount, "is not mounted ro", func(p *plan.Plan) { p.Table = dropName(p.Table, "making the cell's root ro,nosuid,nodev") }},
		{"the caller's session", plan.LayerSession, "session ", func(p *plan.Plan) { p.Table = drop(p.Table, "setsid") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := *base
			c.doctor(&p)
			x, err := Backend{}.Build(t.Context(), &p, cell.Streams{})
			must(t, err)
			b, err := x.Measure(t.Context())
			must(t, err)
			wrong := map[string]cell.Layer{}
			for _, l := range b.Layers {
				if !l.Holds {
					wrong[l.Name] = l
				}
			}
			if _, ok := wrong[c.layer]; !ok || b.Holds() {
				t.Errorf("%s holds; what does not: %v", c.layer, wrong)
			} else if err := b.Err(); !strings.Contains(err.Error(), "the boundary does not hold: "+c.layer+": promised ") || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
			if r := x.Destroy(); !r.Clean() {
				t.Errorf("left: %+v", r)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the command ran: %v", err)
	}
	same(t, before)
}

func drop(steps table.Table, call string) table.Table {
	return filter(steps, func(s table.Step) bool { return s.Call != call })
}

func dropName(steps table.Table, name string) table.Table {
	return filter(steps, func(s table.Step) bool { return s.Name != name })
}

func dropArg(steps table.Table, args string) table.Table {
	return filter(steps, func(s table.Step) bool {
		var text []string
		for _, a := range s.Args {
			text = append(text, a.String())
		}
		return !strings.Contains(strings.Join(text, " "), args) || strings.Contains(args, " ") && !strings.HasSuffix(strings.Join(text, " "), args)
	})
}

func filter(steps table.Table, keep func(table.Step) bool) (kept table.Table) {
	for _, s := range steps {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// TestBuildFails: the step that failed is named, and nothing is left.
func TestBuildFails(t *testing.T) {
	settle(t)
	base := planned(t, "", "", "/bin/true")
	before := used(t)
	for _, c := range []struct {
		name, text string
		doctor     func(p *plan.Plan)
	}{
		{"a step", "(mounting nothing): no such file or directory", func(p *plan.Plan) {
			p.Table = append(table.Table{{Name: "mounting nothing", Call: "chdir", Args: []table.Arg{table.Path("/nothing")}}}, p.Table...)
		}},
		{"a table that is none", "no steps", func(p *plan.Plan) { p.Table = nil }},
		{"an unknown descriptor", "<unknown>", func(p *plan.Plan) {
			p.Table = append(table.Table{{Name: "placing", Call: "dup3", Args: []table.Arg{table.Handed("<unknown>"), table.FD(9), table.Num(0)}}}, p.Table...)
		}},
		{"another architecture", "", func(p *plan.Plan) { p.Arch = "riscv64" }},
		{"a tree that is gone", "/nothing/there", func(p *plan.Plan) {
			p.Handed = append(p.Handed[:len(p.Handed):len(p.Handed)], plan.Handed{Name: "tree /x", Tree: &plan.Tree{Path: "/nothing/there"}})
			p.IDs.HostUID, p.IDs.HostGID = uint32(max(1, os.Getuid())), uint32(max(1, os.Getgid()))
		}},
	} {
		p := *base
		c.doctor(&p)
		x, err := Backend{}.Build(t.Context(), &p, cell.Streams{})
		if err == nil || x != nil || !strings.Contains(err.Error(), c.text) && os.Getuid() == 0 {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "bug") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	same(t, before)
}

func TestCannotStart(t *testing.T) {
	text := filepath.Join(workdir(t), "text")
	must(t, os.WriteFile(text, []byte("hello"), 0o644))
	for _, c := range []struct {
		argv string
		err  error
		path string
	}{
		{"/nothing/there", sysabi.ENOENT, "/nothing/there"}, {"nothing-there", sysabi.ENOENT, "/usr/local/bin/nothing-there"}, {"/usr", sysabi.EACCES, "/usr"},
		{"/etc/passwd", sysabi.EACCES, "/etc/passwd"}, {"/etc/passwd/x", sysabi.ENOTDIR, "/etc/passwd/x"},
	} {
		x := built(t, planned(t, "", "", c.argv), cell.Streams{})
		must(t, measured(t, x).Err())
		err := x.Release(t.Context())
		var s *cell.StartError
		if !errors.As(err, &s) || !errors.Is(err, c.err) || s.Stage != "" {
			t.Errorf("%s: %v", c.argv, err)
		}
		if r := x.Destroy(); !r.Clean() {
			t.Errorf("left: %+v", r)
		}
	}
}
