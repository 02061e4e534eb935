package e2e

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// mounts is the mount table as this process sees it.
func mounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAKilledRunningCell: SIGKILL of the supervisor ends a busy cell, whatever its processes did to live on; the record says that nobody
// closed it, and the folders of the host are as the command left them.
func TestAKilledRunningCell(t *testing.T) {
	before := mounts(t)
	t.Run("users", func(t *testing.T) {
		each(t, func(t *testing.T, u user) {
			for i, flags := range [][]string{nil, {"--workdir", "."}, {"--output", "1MiB"}, {"--time-namespace"}} {
				b := newBench(t, u)
				out := newBench(t, u).dir
				marker := fmt.Sprintf("running-%d-%d-%d", os.Getpid(), u.uid, i)
				script := "trap '' TERM INT HUP QUIT; : > " + out + "/made; for i in 1 2 3; do setsid sh -c \"trap '' TERM HUP; while :; do sleep 1; done; : " + marker +
					"\" & done; echo ready; while :; do sleep 1; done"
				cmd, r := b.start(script, append(flags, "--write", out)...)
				if len(alive(marker)) == 0 {
					t.Error("the marker is not seen from outside, so that this test shows nothing")
				}
				cmd.Process.Kill()
				go io.Copy(io.Discard, r)
				cmd.Wait()
				gone(t, marker)
				list := runsOf(t, b)
				if len(list) != 1 || list[0].Status == "complete" || list[0].Status == "running" || list[0].Outcome == "succeeded" {
					t.Errorf("%v: the records are %+v", flags, list)
				}
				if _, err := os.Stat(out + "/made"); err != nil {
					t.Errorf("%v: what the command wrote is lost: %v", flags, err)
				}
				b.cellos("runs", "--clean").ok(t)
				// The next run is as good as the first.
				if got := b.sh("ls", "--workdir", b.dir).ok(t); strings.Contains(got, "made") {
					t.Errorf("%v: the working directory has %s", flags, got)
				}
			}
		})
	})
	if after := mounts(t); after != before {
		t.Errorf("mounts before\n%s\nafter\n%s", before, after)
	}
}
