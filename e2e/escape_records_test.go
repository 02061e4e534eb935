package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoGrantReachesTheState: a folder to write that holds the records, or lies above them, would let a cell write its own record.
func TestNoGrantReachesTheState(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, c := range []struct {
			name  string
			flags func(b *bench) []string
		}{
			{"written", func(b *bench) []string { return []string{"--write", b.state} }},
			{"above written", func(b *bench) []string {
				return []string{"--write", filepath.Dir(b.state), "--workdir", "/var/work:empty"}
			}},
			{"elsewhere", func(b *bench) []string { return []string{"--write", b.state + ":/elsewhere"} }},
			{"working directory", func(b *bench) []string { return []string{"--workdir", filepath.Dir(b.state) + ":write"} }},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := newBench(t, u)
				b.sh("true").ok(t)
				before, _ := filepath.Glob(b.state + "/runs/*")
				if len(before) != 1 {
					t.Fatalf("records: %v", before)
				}
				record := snapshot(t, before[0])
				mark := b.state + "/mark"
				// Refused or covered: both are well. What the cell can name of the records it removes.
				b.sh("for d in "+b.state+" /elsewhere; do touch $d/mark; rm -rf $d/runs/*; done; true", c.flags(b)...)
				if _, err := os.Lstat(mark); err == nil {
					t.Error("a cell made a file in the state directory")
				}
				if after, _ := filepath.Glob(before[0]); len(after) != 1 {
					t.Fatal("a cell removed the record of another run")
				}
				if now := snapshot(t, before[0]); now != record {
					t.Errorf("the record of another run was\n%s\nis\n%s", record, now)
				}
			})
		}
	})
}

// TestNoGrantReachesTheKeys: who can read the key that signs the events can sign others.
func TestNoGrantReachesTheKeys(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		home := filepath.Dir(b.dir) // HOME of the bench
		b.sh("true").ok(t)
		keys, _ := filepath.Glob(home + "/.config/cellos/keys/*")
		if len(keys) == 0 {
			t.Fatal("no key was made")
		}
		for _, flags := range [][]string{{"--workdir", home}, {"--workdir", home + ":read"}, {"--read", home, "--workdir", "/var/work:empty"}} {
			if r := b.sh("cat "+strings.Join(keys, " "), flags...); r.code == 0 || r.out != "" {
				t.Errorf("%v: a cell read %d bytes of the signing key", flags, len(r.out))
			}
		}
	})
}
