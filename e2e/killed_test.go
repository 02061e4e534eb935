package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// alive reports whether a process with a marker among its arguments runs.
func alive(marker string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), marker) {
			found = append(found, f+": "+strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

func gone(t *testing.T, marker string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for len(alive(marker)) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("still there: %v", alive(marker))
		}
		time.Sleep(2 * time.Millisecond) // polling, bounded by the deadline
	}
}

// Whatever the instant at which the supervisor dies, nothing of the cell stays, and its chain is complete or open: never broken. Afterwards every
// chain can be closed.
func TestAKilledSupervisorLeavesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		instants := 200
		switch {
		case testing.Short():
			instants = 40
		case u.backend != "":
			instants = 50
		}
		mounts, _ := os.ReadFile("/proc/self/mountinfo")
		b := newBench(t, u)
		began := time.Now()
		b.sh("echo x > made").ok(t)
		whole := time.Since(began)
		rnd := rand.New(rand.NewPCG(1, uint64(u.uid)))
		most := 0
		for i := range instants {
			marker := fmt.Sprintf("marker-%d-%d%s-%d", os.Getpid(), u.uid, u.backend, i)
			script, until := "setsid sleep 1000 & sleep 1000; : "+marker, whole
			if i%2 == 1 { // one that ends by itself, so that the instants of the end are met too
				script, until = "echo x > made; : "+marker, 2*whole
			}
			cmd := b.command("run", "--", "sh", "-c", script)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.NewTimer(time.Duration(rnd.Int64N(int64(until))))
			<-timer.C
			met := killedWithKin(t, cmd)
			met.gone(t)
			gone(t, marker)
			most = max(most, len(met.processes))
		}
		if most < 2 || u.backend != "" && most < 4 { // PID 1 and the command; runsc, gofer and sentry
			t.Errorf("at most %d processes were met, so that this shows nothing", most)
		}
		gone(t, fmt.Sprintf("marker-%d-%d%s-", os.Getpid(), u.uid, u.backend))
		if now, _ := os.ReadFile("/proc/self/mountinfo"); string(now) != string(mounts) {
			t.Errorf("mounts changed:\n%s\nnow:\n%s", mounts, now)
		}
		verdicts := map[int]int{}
		for _, r := range runsOf(t, b) {
			v := b.cellos("verify", r.Path+"/events.jsonl")
			if verdicts[v.code]++; v.code != 0 && v.code != 6 {
				t.Errorf("%s: verify says %d\n%s%s", r.ID, v.code, v.out, v.err)
			}
			if r.Status == "running" || r.Status == "unreadable" || r.Status == "complete" != (v.code == 0) {
				t.Errorf("%s is listed as %s, and verify says %d", r.ID, r.Status, v.code)
			}
		}
		t.Logf("%d chains complete, %d open", verdicts[0], verdicts[6])
		if verdicts[6] == 0 {
			t.Errorf("no run was met in its life: %v", verdicts)
		}
		b.cellos("runs", "--recover").ok(t)
		for _, r := range runsOf(t, b) {
			v := b.cellos("verify", r.ID)
			if v.code != 0 || r.Status != "complete" && r.Status != "abandoned" {
				t.Errorf("%s after recovery: %s, verify says %d\n%s%s", r.ID, r.Status, v.code, v.out, v.err)
			}
			if r.Status == "abandoned" && !strings.Contains(b.cellos("show", "--events", r.ID).ok(t), "io.cellos.evidence.v1.abandoned") {
				t.Errorf("%s has no event that says so", r.ID)
			}
		}
		b.cellos("runs", "--clean").ok(t)
		b.cellos("runs", "--recover").ok(t) // again: there is nothing to do
	})
}

func TestBackgroundProcessesEndWithTheCommand(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		marker := fmt.Sprintf("daemon-%d-%d", os.Getpid(), u.uid)
		b.sh("(setsid sh -c 'sleep 1000; : "+marker+"' >/dev/null 2>&1 &) ; nohup sh -c 'sleep 1001; : "+marker+"' >/dev/null 2>&1 & exit 3").fails(t, 3)
		if found := alive(marker); len(found) > 0 {
			t.Errorf("outlived the cell: %v", found)
		}
	})
}
