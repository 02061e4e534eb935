package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// usage is what the event usage of the last run says.
type usage struct {
	Files []struct {
		At              string
		Opened, Changed *int64
	}
	Limits []struct {
		Name    string
		Peak    *int64
		Reached bool
	}
	Unused, NotObserved []string
}

func usageOf(t *testing.T, b *bench) (u usage) {
	t.Helper()
	for line := range strings.Lines(b.cellos("show", "--events").ok(t)) {
		var e struct {
			Type string
			Data json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "io.cellos.evidence.v1.usage" {
			if err := json.Unmarshal(e.Data, &u); err != nil {
				t.Fatal(err)
			}
			return u
		}
	}
	t.Fatal("no event usage")
	return u
}

// TestUsage: what was opened below a grant is counted, precisely for this cell, where the kernel lets us; elsewhere the event says that it was not.
func TestUsage(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b, used, idle := newBench(t, u), newBench(t, u), newBench(t, u)
		used.write("sub/file", "x", 0o644)
		b.sh("for i in 1 2 3 4 5; do cat /used/sub/file; done; ls /used", "--read", used.dir+":/used", "--read", idle.dir+":/idle", "--time", "30s").ok(t)
		got := usageOf(t, b)
		if len(got.Files) != 3 || got.Files[0].Changed == nil || *got.Files[0].Changed != 0 {
			t.Fatalf("files %+v", got.Files)
		}
		unobserved := strings.Contains(strings.Join(got.NotObserved, ","), "files opened")
		for _, f := range got.Files[1:] {
			switch {
			case u.uid != 0:
				if f.Opened != nil || !unobserved {
					t.Errorf("an ordinary user cannot watch mounts, and %s was opened %d times", f.At, *f.Opened)
				}
			case f.Opened == nil:
				t.Errorf("%s was not observed", f.At)
			case f.At == "/idle" && *f.Opened != 0, f.At == "/used" && (*f.Opened < 5 || *f.Opened > 12):
				t.Errorf("%s was opened %d times", f.At, *f.Opened)
			}
		}
		if u.uid == 0 && strings.Join(got.Unused, ",") != "files /idle" {
			t.Errorf("unused: %q", got.Unused)
		}
		b.sh("exec sleep 60", "--time", "1s").fails(t, 124)
		for _, l := range usageOf(t, b).Limits {
			if l.Name == "wallTime" && (!l.Reached || l.Peak == nil || *l.Peak < 1e9) {
				t.Errorf("the time limit: %+v", l)
			}
		}
	})
}
