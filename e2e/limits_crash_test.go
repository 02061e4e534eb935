package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAGroupAfterACrash: a killed supervisor leaves an empty group, and runs --clean removes it.
func TestAGroupAfterACrash(t *testing.T) {
	limiting(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		cmd, _ := b.start("echo ready; sleep 100", "--memory", "64MiB")
		cmd.Process.Kill()
		cmd.Wait()
		paths := groupOf(t, b)
		b.cellos("runs", "--clean").ok(t)
		for _, p := range paths {
			if _, err := os.Stat(p); err == nil {
				t.Errorf("%s is left", p)
			}
		}
		b.cellos("runs", "--clean").ok(t)
		// A record that names something else is no way to have it removed.
		files, _ := filepath.Glob(filepath.Join(b.state, "runs", "*", "cgroups"))
		victim := filepath.Join(b.dir, "cellos_x")
		os.Mkdir(victim, 0o755)
		os.WriteFile(files[0], []byte(victim+"\n"), 0o600)
		if r := b.cellos("runs", "--clean"); r.code == 0 || !strings.Contains(r.err, "is not one") {
			t.Errorf("exit status %d: %s", r.code, r.err)
		}
		if _, err := os.Stat(victim); err != nil {
			t.Error("it removed a folder that is no control group")
		}
	})
}

// TestAnOperatorsGroup: CELLOS_CGROUP_PARENT names where the group is made, also for an ordinary user that it was delegated to.
func TestAnOperatorsGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to delegate a group")
	}
	two := "/sys/fs/cgroup"
	if _, err := os.Stat(two + "/cgroup.controllers"); err != nil {
		two += "/unified"
	}
	if _, err := os.Stat(two + "/cgroup.controllers"); err != nil {
		t.Skip("needs control groups of version 2")
	}
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		parent := filepath.Join(two, "cellos-e2e-"+filepath.Base(filepath.Dir(b.dir)))
		inside := filepath.Join(parent, "supervisors")
		for _, d := range []string{parent, inside} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(d) })
			for _, f := range []string{".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
				b.own(filepath.Join(d, f))
			}
		}
		b.env = append(b.env, "CELLOS_CGROUP_PARENT="+parent)
		run := func(flags ...string) result {
			cmd := b.command(append(append([]string{"run"}, flags...), "--", "cat", "/proc/self/cgroup")...)
			f, err := os.Open(inside)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if cmd.SysProcAttr == nil {
				cmd.SysProcAttr = &syscall.SysProcAttr{}
			}
			cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(f.Fd())
			return b.run(cmd)
		}
		if out := run().ok(t); !strings.Contains(out, "0::/\n") {
			t.Errorf("the command's own group is not the root of its namespace:\n%s", out)
		}
		paths := groupOf(t, b)
		if len(paths) != 1 || filepath.Dir(paths[0]) != parent || !strings.HasPrefix(filepath.Base(paths[0]), "cellos_cat_") {
			t.Errorf("the group was %q", paths)
		}
		ending(t, b)
		if !has(parent+"/cgroup.controllers", "memory") {
			run("--memory", "64MiB").fails(t, 125, "no control group with the controller memory", "unset CELLOS_CGROUP_PARENT")
		}
		// A supervisor outside may not move a process in, unless it is root.
		if r := b.cell(nil, "true"); u.uid != 0 {
			r.fails(t, 125, "CELLOS_CGROUP_PARENT", "may not move a process out of it")
		} else {
			r.ok(t)
		}
		for _, bad := range []string{b.dir, "/no/such/folder", "relative"} {
			b.env = append(b.env[:len(b.env)-1], "CELLOS_CGROUP_PARENT="+bad)
			b.cell(nil, "true").fails(t, 125, "CELLOS_CGROUP_PARENT: ")
		}
	})
}
