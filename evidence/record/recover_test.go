package record_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/evidence/verify"
)

// TestRecover: a chain that was cut anywhere can be closed, by another key even, and verifies then; the second time there is
// nothing to do.
func TestRecover(t *testing.T) {
	old, key := mustKey(t), mustKey(t)
	trusted := verify.Keys{old.KeyID(): old.Public(), key.KeyID(): key.Public()}
	whole := chain(t, old)
	ends := []int{}
	for i, c := range whole {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	last := ends[len(ends)-2]
	for cut := 0; cut < len(whole); cut += 97 {
		state := t.TempDir()
		d, err := record.Create(state, evidence.NewID(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(d.Path(), record.EventsFile)
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		rec, err := d.Recover(key, "the supervisor is gone", time.Now)
		if cut < ends[0] {
			text, rerr := os.ReadFile(path)
			r, verr := verify.Verify(bytes.NewReader(text), trusted)
			if err := errors.Join(err, rerr, verr); err != nil || r.Verdict() != verify.Good || !r.Abandoned || r.Count != 1 || r.Document != evidence.DocumentDigest(nil) || rec.TornBytes != int64(cut) {
				t.Errorf("cut at %d: %v, %+v", cut, err, r)
			}
			if _, err := os.Stat(filepath.Join(d.Path(), record.DocumentFile)); err != nil || !strings.HasSuffix(d.ID(), "-"+r.Run[:8]) {
				t.Errorf("cut at %d: run %s of %s, %v", cut, r.Run, d.ID(), err)
			}
			d.Close()
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := verify.Verify(bytes.NewReader(text), trusted)
		if err != nil || r.Verdict() != verify.Good || !r.Abandoned || !r.Complete || r.Count != rec.Closing.Count || !bytes.HasPrefix(text, whole[:min(cut, last)][:cut-int(rec.TornBytes)]) {
			t.Errorf("cut at %d: %s %+v %v", cut, r.Verdict(), r.Findings, err)
		}
		if !strings.Contains(string(text), `"cellId":"c"`) || rec.Closing.Type != evidence.TypeAbandoned {
			t.Errorf("cut at %d: %s", cut, text)
		}
		if _, err := d.Recover(key, "again", time.Now); !errors.Is(err, record.ErrNothingToClose) {
			t.Errorf("again: %v", err)
		}
		d.Close()
		if s := record.Read(d.Path()); s.Status != record.Abandoned || s.Events != r.Count || s.Ended.IsZero() {
			t.Errorf("listed as %+v", s)
		}
	}
}

// What came too late for the supervisor is in the chain before its end.
func TestRecoverLate(t *testing.T) {
	key := mustKey(t)
	whole := chain(t, key)
	d, err := record.Create(t.TempDir(), evidence.NewID(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	path := filepath.Join(d.Path(), record.EventsFile)
	if err := os.WriteFile(path, whole[:bytes.IndexByte(whole, '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	late := record.Late{Source: evidence.SourceSupervisor, Payload: evidence.FlowDecision{DecisionID: "1", Allow: true, DstAddr: "late.example"}}
	if _, err := d.Recover(key, "gone", time.Now, late, late); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.Verify(bytes.NewReader(text), verify.Keys{key.KeyID(): key.Public()})
	if err != nil || r.Verdict() != verify.Good || !r.Abandoned || r.Count != 4 || bytes.Count(text, []byte("late.example")) != 2 {
		t.Errorf("%v, %+v\n%s", err, r, text)
	}
}

func TestRecoverRefuses(t *testing.T) {
	d, err := record.Create(t.TempDir(), evidence.NewID(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, text := range []string{"{\n", "{}\n", `{"sequence":"0000000001","cellosrun":"r"}` + "\n", string(chain(t, mustKey(t)))} {
		path := filepath.Join(d.Path(), record.EventsFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Recover(mustKey(t), "", time.Now); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40s: %v", text, err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != text {
			t.Errorf("the file was changed: %s", now)
		}
	}
}

func mustKey(t *testing.T) *keys.Key {
	t.Helper()
	k, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// chain returns the lines of a whole run of three events.
func chain(t *testing.T, k *keys.Key) []byte {
	t.Helper()
	var b bytes.Buffer
	s, err := evidence.Open(evidence.Config{
		Run: evidence.Run{ID: evidence.NewID(), CellID: "c", SpecID: "c", RunID: "r"}, Signer: k, Head: evidence.DocumentDigest(nil),
		Outputs: []evidence.Output{{Name: "memory", Sink: evidence.WriterSink(&b)}},
	})
	if err == nil {
		_, err = s.Append("s", evidence.NetworkScope{})
	}
	if err == nil {
		_, err = s.Append("s", evidence.Started{})
	}
	if err == nil {
		_, err = s.Finish("s", evidence.Destroyed{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
