package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/plan"
)

// place returns a place for groups of a version, and skips the test where this user has none.
func place(t *testing.T, version int, controllers ...string) plan.Cgroups {
	t.Helper()
	h, err := Look("")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range h.Places {
		g := plan.Cgroups{Places: []plan.CgroupPlace{p}}
		if p.Version != version {
			continue
		}
		all := true
		for _, c := range controllers {
			found := false
			for _, d := range p.Dirs {
				for _, x := range d.Controllers {
					found = found || x == c
				}
			}
			all = all && found
		}
		if all {
			g.Unique = h.Unique
			return g
		}
	}
	t.Skipf("needs control groups of version %d with %v that user %d may make; here: %s", version, controllers, os.Geteuid(), h.Why)
	panic("unreachable")
}

func sleeper(t *testing.T, fd int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if fd > 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

func TestVersion1(t *testing.T) {
	host := place(t, 1, plan.Memory, plan.CPU)
	limits := authority.Limits{Memory: 10<<20 + 1, CPU: authority.CPU{Quota: 30 * time.Millisecond, Period: 50 * time.Millisecond}, Processes: 9}
	p, refused := plan.Group("test", limits, host)
	if p == nil {
		t.Fatal(refused)
	}
	live(t, p, "memory.limit_in_bytes 10485760", "cpu.cfs_quota_us 30000", "cpu.cfs_period_us 50000")
}

func TestVersion2(t *testing.T) {
	host := place(t, 2)
	host.Asked = "asked for, so that a group without limits is made"
	p, refused := plan.Group("test", authority.Limits{}, host)
	if p == nil {
		t.Fatal(refused)
	}
	live(t, p)
}

// live lives a group from its making to its end.
func live(t *testing.T, p *plan.Cgroup, says ...string) {
	g, err := Make(p)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Remove()
	if _, err := Make(p); err == nil {
		t.Error("the group was made twice")
	}
	for _, d := range p.Paths() {
		if _, err := os.Stat(d); err != nil {
			t.Fatalf("the second try took the group away: %v", err)
		}
	}
	outside := sleeper(t, 0)
	if _, holds, err := g.Measure(outside.Process.Pid); holds || err != nil {
		t.Errorf("a process outside is inside: %v, %v", holds, err)
	}
	cmd := sleeper(t, g.FD())
	if err := g.Add(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	saw, holds, err := g.Measure(cmd.Process.Pid)
	if !holds || err != nil {
		t.Errorf("measured %q, %v, %v", saw, holds, err)
	}
	for _, s := range says {
		if !strings.Contains(saw, s) {
			t.Errorf("measured %q, without %q", saw, s)
		}
	}
	if u := g.Usage(); u.Err != nil || u.OOMKills != 0 || u.Memory != p.Memory {
		t.Errorf("used %+v", u)
	}
	if d := p.Dir(plan.Memory); d != "" && p.Version == 1 && p.Memory != 0 {
		// Somebody takes the limit away.
		for _, f := range []string{"memory.memsw.limit_in_bytes", "memory.limit_in_bytes"} {
			write(filepath.Join(d, f), "-1")
		}
		if u := g.Usage(); u.Err == nil || !strings.Contains(u.Err.Error(), "did not last") {
			t.Errorf("a limit that went away is not told: %v", u.Err)
		}
		if _, holds, _ := g.Measure(cmd.Process.Pid); holds {
			t.Error("a limit that went away holds")
		}
	}
	left, err := g.Remove()
	if len(left) > 0 || err != nil {
		t.Errorf("left %v, %v", left, err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended with %v", err)
	}
	if outside.Process.Signal(syscall.Signal(0)) != nil {
		t.Error("a process outside was killed")
	}
	for _, d := range p.Paths() {
		if _, err := os.Stat(d); err == nil {
			t.Errorf("%s is left", d)
		}
	}
	if left, err := g.Remove(); len(left) > 0 || err != nil {
		t.Errorf("a second removal left %v, %v", left, err)
	}
}

func TestCleanTouchesOnlyGroupsOfCells(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cellos_x")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{dir, "/sys/fs/cgroup", "cellos_x", "/sys/../tmp/cellos_x", "/sys/fs/cgroup/cellos_x/.."} {
		if removed, err := Clean([]string{bad}); removed || err == nil {
			t.Errorf("%s: removed %v, %v", bad, removed, err)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	if removed, err := Clean([]string{"/sys/fs/cgroup/cellos_gone"}); removed || err != nil {
		t.Errorf("one that is gone: %v, %v", removed, err)
	}
}
