package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// TestAttest: a statement about the files that a run made, in an envelope that another implementation of DSSE verifies.
func TestAttest(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.sh("printf content > made; mkdir d; echo x > d/y").ok(t)
		sum := sha256.Sum256([]byte("content"))
		for _, kind := range []string{"cell", "slsa"} {
			b.cellos("attest", "--predicate", kind, "--output", "a.json").ok(t)
			text, err := os.ReadFile(b.dir + "/a.json")
			if err != nil {
				t.Fatal(err)
			}
			var e dsse.Envelope
			if err := json.Unmarshal(text, &e); err != nil {
				t.Fatal(err)
			}
			public, err := readPublic(b.cellos("keys", "show").ok(t))
			if err != nil {
				t.Fatal(err)
			}
			v, err := dsse.NewEnvelopeVerifier(public)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(context.Background(), &e); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			payload, err := e.DecodeB64Payload()
			if err != nil {
				t.Fatal(err)
			}
			s := parsed(t, string(payload))
			if s["_type"] != "https://in-toto.io/Statement/v1" || !strings.Contains(string(payload), hex.EncodeToString(sum[:])) || !strings.Contains(string(payload), `"d/y"`) {
				t.Errorf("%s: %s", kind, payload)
			}
			if strings.Contains(string(payload), "hunter2") {
				t.Errorf("%s: a value of the caller's environment", kind)
			}
		}
		if s := parsed(t, b.cellos("attest", "--statement").ok(t)); s["predicateType"] != "https://cellos.io/attestation/run/v1" {
			t.Errorf("the bare statement: %v", s["predicateType"])
		}
		events := b.cellos("show", "--events").ok(t)
		b.write("changed", strings.Replace(events, `"exitCode":0`, `"exitCode":1`, 1), 0o600)
		b.write("cut", events[:len(events)/2], 0o600)
		b.cellos("attest", b.dir+"/changed").fails(t, 3, "does not verify")
		b.cellos("attest", b.dir+"/cut").fails(t, 6, "does not verify")
		b.cellos("attest", "--predicate", "x").fails(t, 2, "cell or slsa")
		b.cellos("attest", "nosuch").fails(t, 8, "nosuch")
		b.sh("exit 1").fails(t, 1)
		b.cellos("attest").fails(t, 7, "--failed")
		b.cellos("attest", "--failed").ok(t)
	})
}
