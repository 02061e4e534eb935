package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/verify"
)

// TestTampering: every manipulation is told, with its verdict, and the Python verifier agrees.
func TestTampering(t *testing.T) {
	k, stranger := newKey(t), newKey(t)
	original := record(t, k)
	list := tamperings(record(t, k), record(t, stranger), record(t, impostor{stranger, k.KeyID()}))
	if len(list) < 100 {
		t.Errorf("only %d manipulations", len(list))
	}
	var streams [][]byte
	for _, c := range list {
		stream := join(c.change(slices.Clone(original)))
		r := check(t, verify.Verifier{Keys: trust(k)}, stream)
		if r.Verdict() != c.verdict || c.kind != "" && !r.Has(c.kind) || c.kind == "" && len(r.Findings) > 0 {
			t.Errorf("%s: %s, want %s with %q: %v", c.name, r.Verdict(), c.verdict, c.kind, r.Findings)
		}
		streams = append(streams, stream)
	}
	if exec.Command("python3", "-c", "import cryptography").Run() != nil {
		t.Skip("no second opinion: python3 with the module cryptography is missing")
	}
	for i, got := range python(t, k, streams) {
		if got != string(list[i].verdict) {
			t.Errorf("%s: the Python verifier says %s, want %s", list[i].name, got, list[i].verdict)
		}
	}
}

// impostor signs with its own key under the id of another.
type impostor struct {
	*keys.Key
	id string
}

func (i impostor) KeyID() string { return i.id }

// python returns the verdicts of testdata/verify.py.
func python(t *testing.T, k *keys.Key, streams [][]byte) []string {
	dir := t.TempDir()
	text, err := json.Marshal(map[string]string{k.KeyID(): string(keys.MarshalPublic(k.Public()))})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"../testdata/verify.py", filepath.Join(dir, "keys.json")}
	err = os.WriteFile(args[1], text, 0o600)
	for i, s := range streams {
		path := filepath.Join(dir, fmt.Sprint(i))
		args = append(args, path)
		err = errors.Join(err, os.WriteFile(path, s, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("python3", args...)
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // exit status 1 is a verdict
	var verdicts []string
	for d := json.NewDecoder(bytes.NewReader(out)); len(verdicts) < len(streams); {
		var r struct{ Verdict string }
		if err := d.Decode(&r); err != nil {
			t.Fatalf("verify.py: %v after %d verdicts\n%s", err, len(verdicts), stderr.String())
		}
		verdicts = append(verdicts, r.Verdict)
	}
	return verdicts
}

// TestByteFlips changes single bytes all over the stream. A flip that goes unnoticed must be one that changes nothing:
// every event reads the same.
func TestByteFlips(t *testing.T) {
	k := newKey(t)
	good := join(record(t, k))
	want := read(good)
	same := 0
	for i := 0; i < len(good); i += 23 {
		for _, x := range []byte{0x01, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= x
			if r := check(t, verify.Verifier{Keys: trust(k)}, bad); r.Verdict() != verify.Good {
				continue
			}
			if got := read(bad); got != want {
				t.Errorf("byte %d (%q…) flipped with %#x is not noticed", i, good[max(0, i-20):i+1], x)
			}
			same++
		}
	}
	if same > 60 {
		t.Errorf("%d flips change nothing: more than the places where that can be", same)
	}
}

// read returns what a reader makes of a stream: events with their data in canonical form, without signatures.
func read(stream []byte) string {
	var b strings.Builder
	for e, err := range evidence.ReadEvents(bytes.NewReader(stream)) {
		if err != nil {
			return err.Error()
		}
		e.Data, _ = canon.Append(nil, e.Data)
		e.Material = ""
		b.Write(e.AppendJSON(nil))
	}
	return b.String()
}

// TestKnownLength: with the count from elsewhere a chain that was cut off is not merely open.
func TestKnownLength(t *testing.T) {
	k := newKey(t)
	lines := record(t, k)
	full := check(t, verify.Verifier{Keys: trust(k)}, join(lines))
	for n := range 14 {
		if r := check(t, verify.Verifier{Keys: trust(k), Count: 14}, join(lines[:n])); r.Verdict() != verify.Gaps || !r.Has(verify.Truncated) {
			t.Errorf("cut after %d of 14: %s", n, r.Verdict())
		}
	}
	if r := check(t, verify.Verifier{Keys: trust(k), Head: full.Head}, join(lines[:13])); !r.Has(verify.Truncated) {
		t.Errorf("other head: %v", r.Findings)
	}
	if r := check(t, verify.Verifier{Keys: trust(k), Document: evidence.DocumentDigest(nil)}, join(lines)); r.Verdict() != verify.Gaps || !r.Has(verify.WrongDocument) {
		t.Errorf("other document: %v", r.Findings)
	}
}

func FuzzVerify(f *testing.F) {
	k := newKey(f)
	lines := record(f, k)
	f.Add(join(lines[:2]))
	f.Add(lines[13])
	f.Add([]byte("{}\n{\"specversion\":\"1.0\"}\n"))
	trusted := trust(k)
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := verify.Verify(bytes.NewReader(in), trusted)
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict() == verify.Good {
			t.Fatalf("%q is a good stream", in) // the whole run is not among the seeds, and cannot be made up
		}
		for _, f := range r.Findings {
			if s := f.String(); strings.ContainsAny(s, "\n\r\x1b") {
				t.Fatalf("%q", s)
			}
		}
	})
}
