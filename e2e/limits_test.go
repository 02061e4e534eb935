package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// limiting returns the users that can limit memory and processor time on this host, and skips the test if nobody can.
func limiting(t *testing.T, f func(t *testing.T, u user)) {
	t.Helper()
	n := 0
	for _, u := range everybody() {
		r := newBench(t, u).cell([]string{"--memory", "64MiB", "--cpus", "1"}, "true")
		switch {
		case r.code == 0:
			n++
			t.Run(strings.TrimSpace(u.backend+" "+u.name), func(t *testing.T) { f(t, u) })
		case u.uid == 0 && controller("memory"):
			r.ok(t) // root can, wherever the controllers are
		default:
			// Whoever cannot is told why, and what would help.
			r.fails(t, 125, "--memory: limiting memory: no control group", "--cpus: limiting processor time: no control group", "cellos: hint: ")
		}
	}
	if n == 0 {
		t.Skip("needs control groups: root, or a delegated one")
	}
}

// controller reports whether this host has a controller of control groups in use.
func controller(name string) bool {
	b, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(b)) {
		if f := strings.SplitN(line, ":", 3); len(f) == 3 && (f[1] == name || f[1] == "" && has("/sys/fs/cgroup/cgroup.controllers", name)) {
			return true
		}
	}
	return false
}

func has(file, word string) bool {
	b, _ := os.ReadFile(file)
	return strings.Contains(" "+string(b)+" ", word)
}

// An ended is the event that tells how a command ended.
type ended struct {
	Outcome                               string
	Processes                             int64
	DurationNanos, UserNanos, SystemNanos int64
	Details                               struct {
		Memory struct{ LimitBytes, PeakBytes, OOMKills int64 }
		CPU    struct{ ThrottledPeriods, ThrottledNanos int64 }
	}
}

// ending reads that event of the last run, and demands that its record is good and that nothing of its group is left.
func ending(t *testing.T, b *bench) (e ended) {
	t.Helper()
	b.cellos("verify", "last").ok(t)
	for line := range strings.Lines(b.cellos("show", "--events", "last").ok(t)) {
		var ev struct {
			Type string
			Data json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(ev.Type, ".evidence.v1.command") {
			if err := json.Unmarshal(ev.Data, &e); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range groupOf(t, b) {
		if _, err := os.Stat(p); err == nil {
			t.Errorf("%s is left", p)
		}
	}
	return e
}

// groupOf lists the folders of the last run's control group.
func groupOf(t *testing.T, b *bench) []string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(b.state, "runs", "*", "cgroups"))
	if len(files) == 0 {
		t.Fatal("the record does not say where the control group was")
	}
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// TestMemoryIsLimited: whatever way the memory is used, by one process, by a child, by many small ones or in /tmp, the whole cell ends, and
// the record says why.
func TestMemoryIsLimited(t *testing.T) {
	const limit = 64 << 20
	page := int64(os.Getpagesize()) // may be charged by force beyond a limit (mm/memcontrol.c: try_charge)
	limiting(t, func(t *testing.T, u user) {
		for name, script := range map[string]string{
			"one":    `exec python3 -c 'x = bytearray(300 << 20); print("more than it may")'`,
			"child":  `python3 -c 'x = bytearray(300 << 20)'; sleep 60; echo more than it may`,
			"many":   `mkfifo /tmp/p; exec 9<>/tmp/p; for i in 1 2 3 4 5 6 7 8 9 10; do python3 -c 'x = bytearray(20 << 20); input()' <&9 & done; wait; echo more than it may`,
			"daemon": `setsid sh -c "python3 -c 'x = bytearray(300 << 20)'" & sleep 60; echo more than it may`,
			"tmp":    `head -c 300M /dev/zero >/tmp/x; echo more than it may`,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, u)
				r := b.sh(script, "--memory", "64MiB")
				r.fails(t, 137, "used up its memory of 67108864 bytes (--memory)")
				if strings.Contains(r.out, "more than it may") {
					t.Error("it went on")
				}
				if e := ending(t, b); e.Outcome != "outOfMemory" || e.Details.Memory.LimitBytes != limit || e.Details.Memory.PeakBytes > limit+page || e.Details.Memory.OOMKills == 0 {
					t.Errorf("the event says %+v", e)
				}
			})
		}
		t.Run("less than that", func(t *testing.T) {
			b := newBench(t, u)
			b.cell([]string{"--memory", "64MiB"}, "python3", "-c", "x = bytearray(20 << 20)").ok(t)
			if e := ending(t, b); e.Outcome != "exited" || e.Details.Memory.PeakBytes < 20<<20 || e.Details.Memory.PeakBytes > limit || e.Details.Memory.OOMKills != 0 {
				t.Errorf("the event says %+v", e)
			}
		})
	})
}

// TestProcessorTimeIsLimited: what four busy processes use together is what the quota gives. A slow machine gives less, never more.
func TestProcessorTimeIsLimited(t *testing.T) {
	limiting(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.sh(`for i in 1 2 3 4; do (i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done) & done; wait`, "--cpus", "0.2").ok(t)
		e := ending(t, b)
		used, given := e.UserNanos+e.SystemNanos, e.DurationNanos/5
		// One period's quota may come before the command's time begins, and each processor may run on for a slice of 5 ms
		// (kernel/sched/fair.c: sched_cfs_bandwidth_slice).
		if u.backend == "gvisor" { // its clock goes on while the group is stopped; what counts is that the group is
			used = 0
		}
		if used > given+20e6+4*5e6+given/10 || e.Details.CPU.ThrottledPeriods == 0 || e.Details.CPU.ThrottledNanos == 0 {
			t.Errorf("used %d ns, the quota gives %d ns: %+v", used, given, e)
		}
	})
}

// TestTheBoundaryHasTheGroup: the limits are promised, measured before the start, and printed.
func TestTheBoundaryHasTheGroup(t *testing.T) {
	limiting(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		flags := []string{"--memory", "64MiB", "--cpus", "0.5", "--pids", "20"}
		b.cell(flags, "true").ok(t)
		events := b.cellos("show", "--events", "last").ok(t)
		n := "21"
		if u.backend == "gvisor" {
			n = "1065" // of the host, sentry and gofer with all their threads; gVisor counts those of the command itself
		}
		for _, s := range []string{`"name":"control group"`, "memory 64 MiB, processor time 50ms in each 100ms, " + n + " processes", "pids.max " + n, "67108864"} {
			if !strings.Contains(events, s) {
				t.Errorf("the events do not say %q", s)
			}
		}
		words := b.cellos(append(append([]string{"explain"}, flags...), "--", "true")...).ok(t)
		if !strings.Contains(words, "use 64 MiB of memory") || !strings.Contains(words, "use 50ms of processor time in each 100ms") {
			t.Errorf("explain says\n%s", words)
		}
		if r := b.sh(`for i in $(seq 40); do sleep 5 & done; wait`, flags...); r.code == 0 {
			t.Error("40 processes ran where 20 may")
		}
	})
}

// TestLimitsOfTheDropIn: the variables are read strictly, and the smaller limit holds.
func TestLimitsOfTheDropIn(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		base := append(b.env, "CELLOS_DEPLOYMENT_PROFILE=portable", "CELL_OS_USE_NOOP_SINK=1")
		doc := func(argv, more string) string {
			return b.write("d.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","authority":{},"lifetime":{"ttlSeconds":60},"run":{"secretDelivery":"env","argv":`+argv+more+`}}}`, 0o644)
		}
		supervise := func(doc string, env ...string) result {
			b.env = append(base[:len(base):len(base)], env...)
			return b.cellos("supervise", doc)
		}
		ok := doc(`["/bin/true"]`, "")
		for _, bad := range []string{"CELLOS_CGROUP_MEMORY_MAX=lots", "CELLOS_CGROUP_MEMORY_MAX=-1", "CELLOS_CGROUP_MEMORY_MAX=0", "CELLOS_CGROUP_MEMORY_MAX=99999999999G",
			"CELLOS_CGROUP_CPU_MAX=half", "CELLOS_CGROUP_CPU_MAX=0", "CELLOS_CGROUP_CPU_MAX=1 2 3", "CELLOS_CGROUP_CPU_MAX=5000 5",
			"CELLOS_RUN_TIMEOUT_MS=0", "CELLOS_RUN_TIMEOUT_MS=-5", "CELLOS_RUN_TIMEOUT_MS=1s", "CELLOS_RUN_TIMEOUT_MS=99999999999999999999"} {
			name, _, _ := strings.Cut(bad, "=")
			supervise(ok, bad).fails(t, 125, name)
		}
		supervise(ok, "CELLOS_CGROUP_MEMORY_MAX= max ", "CELLOS_CGROUP_CPU_MAX= max 100000", "CELLOS_RUN_TIMEOUT_MS=  ").ok(t)
		sleep := doc(`["/bin/sleep","60"]`, `,"timeoutMs":50000`)
		supervise(sleep, "CELLOS_RUN_TIMEOUT_MS= 200 ").fails(t, 124, "command timed out after 200 ms (CELLOS_RUN_TIMEOUT_MS)")
		sleep = doc(`["/bin/sleep","60"]`, `,"timeoutMs":200`)
		supervise(sleep, "CELLOS_RUN_TIMEOUT_MS=200").fails(t, 124, "command timed out after 200 ms (spec.run.timeoutMs)")
	})
	limiting(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.env = append(b.env, "CELLOS_DEPLOYMENT_PROFILE=portable", "CELL_OS_USE_NOOP_SINK=1", "CELLOS_CGROUP_MEMORY_MAX=32M")
		d := b.write("d.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","authority":{},"lifetime":{"ttlSeconds":60},"run":{"secretDelivery":"env","argv":["/usr/bin/python3","-c","x = bytearray(96 << 20)"],"limits":{"memoryMaxBytes":1073741824}}}}`, 0o644)
		b.cellos("supervise", d).fails(t, 137, "used up its memory of 33554432 bytes (CELLOS_CGROUP_MEMORY_MAX)")
	})
}
