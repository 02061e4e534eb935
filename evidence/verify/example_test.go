package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/material"
	"cellos.io/cellos/evidence/verify"
)

var update = flag.Bool("update", false, "write the example that docs/evidence-format.md shows")

const exampleDir = "../testdata/example"

// exampleKey is the key of the example, whose private half is no secret.
func exampleKey(t *testing.T) *keys.Key {
	t.Helper()
	k, err := keys.Parse([]byte("-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString(append([]byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"), []byte("the key of the example, 32 bytes")...)) + "\n-----END PRIVATE KEY-----\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestExample: the stream that is stored for whoever writes a verifier is what we write, and both verifiers call it good. A change of the
// format shows here, and must not happen: what was signed once has to verify for ever.
func TestExample(t *testing.T) {
	k := exampleKey(t)
	doc := []byte(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"example"}}` + "\n")
	now := time.Date(2026, 11, 23, 9, 12, 33, 552743888, time.UTC)
	ids := 0
	var b bytes.Buffer
	s, err := evidence.Open(evidence.Config{
		Run: evidence.Run{ID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", CellID: "example", SpecID: "example", RunID: "run-local-001"}, Signer: k, Head: evidence.DocumentDigest(doc),
		Outputs: []evidence.Output{{Sink: evidence.WriterSink(&b)}},
		Now:     func() time.Time { now = now.Add(1_500_001); return now },
		NewID: func() string {
			ids++
			return "00000000-0000-4000-8000-00000000000" + string(rune('0'+ids))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []evidence.Payload{evidence.NetworkScope{}, evidence.Completed{Argv: []string{"printf", "é\u2028\n"}, DurationMs: 3}} {
		if _, err := s.Append(evidence.SourceSupervisor, p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Finish(evidence.SourceSupervisor, evidence.Destroyed{TTLSeconds: 60, ResidueClass: "none"}); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"document": doc, "key.pem": keys.MarshalPublic(k.Public()), "events.jsonl": b.Bytes()}
	for name, want := range files {
		path := filepath.Join(exampleDir, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what is written today (%v)", path, err)
		}
	}
	r := check(t, verify.Verifier{Keys: trust(k), Document: evidence.DocumentDigest(doc), Count: 3}, b.Bytes())
	if r.Verdict() != verify.Good {
		t.Errorf("%v", r.Findings)
	}
	// The page shows the first event's values.
	page, err := os.ReadFile("../../docs/evidence-format.md")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := bytes.Cut(b.Bytes(), []byte("\n"))
	e, err := evidence.ParseEvent(line)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := material.Decode(e.Material)
	if err != nil {
		t.Fatal(err)
	}
	p, err := material.ParsePayload(envelope.Payload)
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{"core": hex.EncodeToString(p.Core[:]), "ext": hex.EncodeToString(p.Ext[:]), "payload": evidence.PayloadDigest(envelope.Payload), "head": r.Head, "key id": k.KeyID(), "document": e.Prev} {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/evidence-format.md does not show the %s %s", what, want)
		}
	}
	if exec.Command("python3", "-c", "import cryptography").Run() != nil {
		t.Skip("no second opinion: python3 with the module cryptography is missing")
	}
	if got := python(t, k, [][]byte{b.Bytes()}); got[0] != "good" {
		t.Errorf("the Python verifier says %s", got[0])
	}
}
