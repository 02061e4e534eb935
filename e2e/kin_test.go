package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A kin is everything that descends from a supervisor: processes, by number and start time, and the pid namespaces that they are in.
type kin struct {
	processes  map[string]string // start time by number
	namespaces map[string]bool
}

// stat is what /proc tells of a process; ok is false if it is gone, or a zombie, which is nothing but a number.
func stat(pid string) (parent, start string, ok bool) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return "", "", false
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return f[1], f[19], f[0] != "Z" && f[0] != "X" // proc_pid_stat(5): fields 3, 4 and 22
}

// killedWithKin kills a supervisor without warning and returns what it had started. It is stopped first, so that it starts nothing more meanwhile.
func killedWithKin(t *testing.T, cmd *exec.Cmd) kin {
	t.Helper()
	cmd.Process.Signal(syscall.SIGSTOP)
	k := kin{map[string]string{}, map[string]bool{}}
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	parents, starts := map[string]string{}, map[string]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		if parent, start, ok := stat(filepath.Base(d)); ok {
			parents[filepath.Base(d)], starts[filepath.Base(d)] = parent, start
		}
	}
	top := fmt.Sprint(cmd.Process.Pid)
	for pid := range parents {
		for p := parents[pid]; p != ""; p = parents[p] {
			if p != top {
				continue
			}
			k.processes[pid] = starts[pid]
			if ns, err := os.Readlink("/proc/" + pid + "/ns/pid"); err == nil && ns != own {
				k.namespaces[ns] = true
			}
			break
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	return k
}

// left lists who of them lives.
func (k kin) left() (list []string) {
	for pid, start := range k.processes {
		if _, now, ok := stat(pid); ok && now == start {
			list = append(list, pid)
		}
	}
	links, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, l := range links {
		pid := strings.Split(l, "/")[2]
		if ns, err := os.Readlink(l); err == nil && k.namespaces[ns] {
			if _, _, ok := stat(pid); ok {
				list = append(list, pid+" in "+ns)
			}
		}
	}
	return list
}

// gone waits until nobody does.
func (k kin) gone(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) { // polling, bounded by the deadline
		left := k.left()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for i, l := range left {
				name, _ := os.ReadFile("/proc/" + strings.Fields(l)[0] + "/cmdline")
				left[i] += ": " + strings.ReplaceAll(string(name), "\x00", " ")
			}
			t.Fatalf("still there: %v", left)
		}
	}
}
