//go:build linux && (amd64 || arm64)

package process

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
)

// TestDoctoredPlans: each promise that a real cell does not keep is found, and only that layer is said not to hold.
func TestDoctoredPlans(t *testing.T) {
	p := planned(t, "", "", "/bin/true")
	c := built(t, p, cell.Streams{})
	measured(t, c)
	own, err := ownNamespaces(p.Namespaces)
	must(t, err)
	for _, d := range []struct {
		name   string
		layer  string // that does not hold; "" if all do
		saw    string
		doctor func(p *plan.Plan, own map[string]string)
	}{
		{"as planned", "", "", func(*plan.Plan, map[string]string) {}},
		{"a mount missing", plan.LayerMount, "/extra is not mounted", func(p *plan.Plan, _ map[string]string) { p.Mounts = append(p.Mounts, plan.Mount{At: "/extra"}) }},
		{"a mount more", plan.LayerMount, "/proc is mounted and not planned", func(p *plan.Plan, _ map[string]string) { p.Mounts = without(p.Mounts, "/proc") }},
		{"the root not planned", plan.LayerMount, "/ is mounted and not planned", func(p *plan.Plan, _ map[string]string) { p.Mounts = without(p.Mounts, "/") }},
		{"another type", plan.LayerMount, "/tmp is a tmpfs, not a ext4", func(p *plan.Plan, _ map[string]string) { change(p, "/tmp", "ext4", 0) }},
		{"a flag missing", plan.LayerMount, "/tmp is not mounted ro", func(p *plan.Plan, _ map[string]string) { change(p, "/tmp", "tmpfs", plan.ReadOnly) }},
		{"no exec", plan.LayerMount, "/usr is not mounted noexec", func(p *plan.Plan, _ map[string]string) { change(p, "/usr", "", plan.NoExec) }},
		{"another user", plan.LayerIdentity, "uids [", func(p *plan.Plan, _ map[string]string) { p.IDs.HostUID++ }},
		{"another group", plan.LayerIdentity, "gids [", func(p *plan.Plan, _ map[string]string) { p.IDs.HostGID++ }},
		{"more filters", plan.LayerSeccomp, "Seccomp 2, ", func(p *plan.Plan, _ map[string]string) { p.Filters = make([]plan.Filter, 99) }},
		{"another limit", plan.LayerLimits, "processes 4097/4097", func(p *plan.Plan, _ map[string]string) { p.Limits.Processes = 10 }},
		{"the supervisor's network", plan.LayerNet, "net:[", func(_ *plan.Plan, own map[string]string) {
			own["net"], _ = os.Readlink(fmt.Sprintf("/proc/%d/ns/net", c.PID()))
		}},
		{"an unknown namespace", plan.LayerUser, "user:[", func(_ *plan.Plan, own map[string]string) { delete(own, "user") }},
		{"the supervisor's mounts", plan.LayerMount, "mnt:[", func(_ *plan.Plan, own map[string]string) {
			own["mnt"], _ = os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", c.PID()))
		}},
	} {
		q, o := *p, maps.Clone(own)
		q.Mounts = slices.Clone(p.Mounts)
		d.doctor(&q, o)
		got, err := observe(c.PID(), &q, o)
		must(t, err)
		for name, l := range got.layers {
			if l.holds == (name == d.layer) {
				t.Errorf("%s: %s holds: %v (%s)", d.name, name, l.holds, l.saw)
			}
			if name == d.layer && !strings.Contains(l.saw, d.saw) {
				t.Errorf("%s: saw %q, want %q", d.name, l.saw, d.saw)
			}
		}
	}
}

func without(m []plan.Mount, at string) []plan.Mount {
	return slices.DeleteFunc(m, func(x plan.Mount) bool { return x.At == at })
}

func change(p *plan.Plan, at, fstype string, attr plan.Attr) {
	for i := range p.Mounts {
		if p.Mounts[i].At == at {
			p.Mounts[i].Type, p.Mounts[i].Attr = fstype, p.Mounts[i].Attr|attr
		}
	}
}

// TestAnOrdinaryProcessIsNoCell: nothing that a plan promises is true of the supervisor itself.
func TestAnOrdinaryProcessIsNoCell(t *testing.T) {
	p := planned(t, "", "", "/bin/true")
	own, err := ownNamespaces(p.Namespaces)
	must(t, err)
	got, err := observe(os.Getpid(), p, own)
	must(t, err)
	status, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for name, l := range got.layers {
		if name == plan.LayerNNP && strings.Contains(string(status), "NoNewPrivs:\t1") || name == plan.LayerSeccomp && strings.Contains(string(status), "Seccomp:\t2") {
			continue // whoever runs this test is confined already
		}
		if l.holds {
			t.Errorf("%s holds: %s", name, l.saw)
		}
	}
	if len(got.layers) < 12 {
		t.Errorf("only %d layers were looked at", len(got.layers))
	}
}

// doctored is a folder like /proc/PID.
func doctored(t *testing.T, file, text string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	return dir
}

func TestMountTables(t *testing.T) {
	p := &plan.Plan{Mounts: []plan.Mount{
		{At: "/", Type: "tmpfs", Attr: plan.ReadOnly | plan.NoSUID | plan.NoDev}, {At: "/usr", Attr: plan.ReadOnly | plan.NoSUID | plan.NoDev},
		{At: "/proc", Type: "proc", Attr: plan.NoExec}, {At: "/src", Type: "overlay", Attr: plan.NoSUID}, {At: "/data", Attr: plan.ReadOnly},
	}}
	const good = "600 500 0:50 /root / ro,nosuid,nodev,relatime - tmpfs cellos rw\n601 600 254:0 /usr /usr ro,nosuid,nodev,relatime - ext4 /dev/vda rw\n" +
		"602 600 0:51 / /proc rw,nosuid,nodev,noexec,relatime - proc cellos rw\n603 600 0:52 / /src rw,nosuid - overlay cellos rw\n604 600 0:60 / /data ro,relatime - xfs /dev/b rw\n"
	for _, c := range []struct {
		name, table, saw string
		holds            bool
	}{
		{"good", good, "own; 5 mounts as planned, 0 more inside granted trees", true},
		{"more inside a granted tree", good + "605 604 0:61 / /data/deep/er ro - nfs h:/ rw\n606 601 0:62 / /usr/local ro - ext4 /dev/c rw\n", "own; 5 mounts as planned, 2 more inside granted trees", true},
		{"more in the root", good + "605 600 0:61 / /extra ro,nosuid,nodev - tmpfs x rw\n", "/extra is mounted and not planned", false},
		{"more in the overlay", good + "605 603 0:61 / /src/x ro - tmpfs x rw\n", "/src/x is mounted and not planned", false},
		{"more in proc", good + "605 602 0:61 / /proc/1 ro - tmpfs x rw\n", "/proc/1 is mounted and not planned", false},
		{"a name that only begins the same", good + "605 600 0:61 / /usr2 ro - tmpfs x rw\n", "/usr2 is mounted and not planned", false},
		{"another one on top", good + "605 601 0:61 / /usr rw - tmpfs x rw\n", "/usr is not mounted ro", false},
		{"missing", strings.Replace(good, " /data ", " /other ", 1), "/data is not mounted", false},
		{"no nodev", strings.Replace(good, "ro,nosuid,nodev,relatime - ext4", "ro,nosuid,relatime - ext4", 1), "/usr is not mounted nodev", false},
		{"read-only of the file system is not that of the mount", strings.Replace(good, "ro,relatime - xfs /dev/b rw", "rw,relatime - xfs /dev/b ro", 1), "/data is not mounted ro", false},
		{"nothing", "", "/ is not mounted", false},
	} {
		o := observation{layers: map[string]seen{plan.LayerMount: {"own", true}}}
		got, err := o.mounts(doctored(t, "mountinfo", c.table), p)
		if err != nil || got != (seen{c.saw, c.holds}) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		o.layers[plan.LayerMount] = seen{"own", false} // the supervisor's namespace
		if got, err := o.mounts(doctored(t, "mountinfo", c.table), p); err != nil || got.holds {
			t.Errorf("%s, in the supervisor's namespace: %+v, %v", c.name, got, err)
		}
	}
	var o observation
	if _, err := o.mounts(doctored(t, "mountinfo", "nonsense\n"), p); err == nil {
		t.Error("a table that cannot be read holds")
	}
	if _, err := o.mounts(t.TempDir(), p); err == nil {
		t.Error("a table that is not there holds")
	}
}

func TestLimitTables(t *testing.T) {
	p := &plan.Plan{}
	p.Limits.Processes = 4096
	for text, holds := range map[string]bool{
		limitsText: true,
		strings.Replace(limitsText, "4097                 4097", "4097                 5000", 1):                 false,
		strings.Replace(limitsText, "4097                 4097", "unlimited            unlimited", 1):            false,
		strings.Replace(limitsText, "0                    0                    bytes", "0  unlimited  bytes", 1): false,
		"": false, "Max processes\n": false,
	} {
		got, err := limits(doctored(t, "limits", text), p)
		if err != nil || got.holds != holds {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if _, err := limits(t.TempDir(), p); err == nil {
		t.Error("limits that are not there hold")
	}
}

func TestSessions(t *testing.T) {
	for text, holds := range map[string]bool{
		"42 (init) S 1 42 42 0 -1 4194560": true, "42 (init) S 1 42 42 34816 -1 4194560": false, "42 (init) S 1 42 41 0 -1": false,
		"42 (a) S 1 1 42 0 (b) ) S 1 42 41 0 -1": false, "42 (a b) c) S 1 42 42 0 -1": true,
	} {
		got, err := session(doctored(t, "stat", text), 42)
		if err != nil || got.holds != holds {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "42", "42 (init) S 1"} {
		if got, err := session(doctored(t, "stat", text), 42); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
