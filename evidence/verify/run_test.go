package verify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/verify"
)

const document = `{"spec":{}}`

// ecKey signs with ECDSA, r||s or ASN.1.
type ecKey struct {
	*ecdsa.PrivateKey
	raw bool
}

func (k ecKey) KeyID() string { return "ec-1" }

func (k ecKey) Sign(m []byte) ([]byte, error) {
	sum := sha256.Sum256(m)
	if !k.raw {
		return ecdsa.SignASN1(rand.Reader, k.PrivateKey, sum[:])
	}
	r, s, err := ecdsa.Sign(rand.Reader, k.PrivateKey, sum[:])
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
}

func newKey(t testing.TB) *keys.Key {
	t.Helper()
	k, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func trust(list ...*keys.Key) verify.Keys {
	k := verify.Keys{}
	for _, key := range list {
		k[key.KeyID()] = key.Public()
	}
	return k
}

// start opens a signed stream into w.
func start(t testing.TB, w io.Writer, s evidence.Signer) *evidence.Stream {
	t.Helper()
	return startInto(t, s, evidence.Output{Name: "memory", Sink: evidence.WriterSink(w)})
}

func startInto(t testing.TB, s evidence.Signer, outputs ...evidence.Output) *evidence.Stream {
	t.Helper()
	now := time.Date(2026, 11, 23, 9, 12, 33, 552743888, time.UTC)
	stream, err := evidence.Open(evidence.Config{
		Run: evidence.Run{ID: evidence.NewID(), CellID: "c", SpecID: "c", RunID: "run-local-001"}, Signer: s, Head: evidence.DocumentDigest([]byte(document)),
		Outputs: outputs,
		Now:     func() time.Time { now = now.Add(1_234_567); return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// payloads are those of a plain run, in their order.
func payloads() []evidence.Payload {
	zero := 0
	return []evidence.Payload{
		evidence.NetworkScope{}, evidence.DNSTargetSet{CurrentDigest: "sha256:00"}, evidence.Started{TTLSeconds: 60, SpecHash: "00"},
		evidence.Plan{Backend: "process", Layers: []string{"seccomp", "landlock"}, Network: "none", Details: map[string]any{"ratio": 1.5}},
		evidence.ContainerSecurity{Caps: &evidence.Capabilities{}}, evidence.Boundary{Layers: []evidence.Layer{{Name: "seccomp", Holds: true}}},
		evidence.ProcessSpawned{Program: "/bin/sh", Argc: 1}, evidence.Command{Outcome: evidence.OutcomeExited, ExitCode: &zero},
		evidence.Completed{Argv: []string{"/bin/sh", "é\n<>"}}, evidence.Files{}, evidence.Summary{CommandExitCode: &zero},
		evidence.Homeostasis{SpecHash: "sha256:00"}, evidence.Residue{Checks: []evidence.ResidueCheck{{What: "mounts"}}},
		evidence.Destroyed{TTLSeconds: 60, ResidueClass: "none"},
	}
}

// record returns the lines of a whole run, each with its line feed.
func record(t testing.TB, s evidence.Signer) [][]byte {
	t.Helper()
	var b bytes.Buffer
	stream := start(t, &b, s)
	list := payloads()
	for i, p := range list {
		write := stream.Append
		if i == len(list)-1 {
			write = stream.Finish
		}
		if _, err := write(evidence.SourceSupervisor, p); err != nil {
			t.Fatal(err)
		}
	}
	lines := bytes.SplitAfter(b.Bytes(), []byte("\n"))
	return lines[:len(lines)-1]
}

func check(t testing.TB, v verify.Verifier, stream []byte) verify.Report {
	t.Helper()
	r, err := v.Verify(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if s := f.String(); strings.ContainsAny(s, "\n\r\x00\x1b") || len(s) > 600 {
			t.Errorf("a finding that cannot be printed: %q", s)
		}
	}
	return r
}

func join(lines [][]byte) []byte { return slices.Concat(lines...) }

func TestGood(t *testing.T) {
	k := newKey(t)
	lines := record(t, k)
	seen := 0
	v := verify.Verifier{Keys: trust(k), Document: evidence.DocumentDigest([]byte(document)), Count: 14, Visit: func(e evidence.Event) {
		if seen++; e.Sequence != uint64(seen) || e.Type != payloads()[seen-1].Type() || len(e.Data) == 0 {
			t.Errorf("visited %+v as number %d", e, seen)
		}
	}}
	r := check(t, v, join(lines))
	if r.Verdict() != verify.Good || r.Events != 14 || r.Lines != 14 || !r.Complete || r.Abandoned || r.Count != 14 || seen != 14 || len(r.Findings) != 0 ||
		len(r.Keys) != 1 || r.Keys[0] != k.KeyID() || r.Document != v.Document || r.Run == "" || !r.Last.After(r.First) {
		t.Errorf("%+v, visited %d", r, seen)
	}
	v.Visit, v.Head = nil, r.Head
	if r := check(t, v, join(lines)); r.Verdict() != verify.Good {
		t.Errorf("with the head: %v", r.Findings)
	}
	if r := check(t, verify.Verifier{Keys: trust(k)}, bytes.TrimSuffix(join(lines), []byte("\n"))); r.Verdict() != verify.Good {
		t.Errorf("without the last line feed: %v", r.Findings)
	}
	mixed := [][]byte{}
	other := record(t, k)
	for i := range lines {
		mixed = append(mixed, lines[i], other[i])
	}
	if r := check(t, verify.Verifier{Keys: trust(k), Run: r.Run}, join(mixed)); r.Verdict() != verify.Good || r.Lines != 14 {
		t.Errorf("one run out of two: %v", r.Findings)
	}
}

func TestECDSA(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []bool{false, true} {
		stream := join(record(t, ecKey{private, raw}))
		if r := check(t, verify.Verifier{Keys: verify.Keys{"ec-1": &private.PublicKey}}, stream); r.Verdict() != verify.Good {
			t.Errorf("raw %v: %v", raw, r.Findings)
		}
		for name, key := range map[string]any{"P-384": &other.PublicKey, "no key": nil, "short": newKey(t).Public()[:31]} {
			if r := check(t, verify.Verifier{Keys: verify.Keys{"ec-1": key}}, stream); r.Verdict() != verify.BadEvents {
				t.Errorf("%s: %v", name, r.Verdict())
			}
		}
	}
}
