package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/evidence/eventtest"
)

func ptr[T any](v T) *T { return &v }

// recorder appends events to memory for one stored case.
type recorder struct {
	t      *testing.T
	stream *evidence.Stream
	out    *bytes.Buffer
	doc    []byte
	hash   string // of doc, in hexadecimal
	digest string // canonical digest of the case's spec, as the stored stream has it
	argv   []string
	at     evidence.Event // started
}

func record(t *testing.T, c eventtest.Case, table map[string]string) *recorder {
	r := &recorder{t: t, out: &bytes.Buffer{}, doc: c.DocumentBytes(table)}
	sum := sha256.Sum256(r.doc)
	r.hash = hex.EncodeToString(sum[:])
	var d struct {
		Spec struct {
			ID          string
			Run         struct{ Argv []string }
			Correlation *evidence.Correlation
		}
	}
	if err := json.Unmarshal(r.doc, &d); err != nil {
		t.Fatal(err)
	}
	r.argv = d.Spec.Run.Argv
	r.digest = "sha256:" + strings.Repeat("0", 64)
	if _, after, ok := strings.Cut(string(c.Stream), `"currentDigest":"`); ok && after[0] == 's' {
		r.digest = after[:71]
	}
	runID := "run-local-001"
	if v := c.Env["CELLOS_RUN_ID"]; v != "" {
		runID = v
	}
	var err error
	r.stream, err = evidence.Open(evidence.Config{
		Run:     evidence.Run{ID: evidence.NewID(), CellID: d.Spec.ID, SpecID: d.Spec.ID, RunID: runID, Correlation: d.Spec.Correlation},
		Outputs: []evidence.Output{{Name: "memory", Sink: evidence.WriterSink(r.out)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *recorder) add(list ...evidence.Payload) {
	r.t.Helper()
	for _, p := range list {
		write := r.stream.Append
		if p.Type() == evidence.TypeDestroyed {
			write = r.stream.Finish
		}
		e, err := write(evidence.SourceSupervisor, p)
		if err != nil {
			r.t.Fatal(err)
		}
		if p.Type() == evidence.TypeStarted {
			r.at = e
		}
		if c, err := canon.Append(nil, e.Data); err != nil || string(c) != string(e.Data) {
			r.t.Errorf("%s: data is not canonical (%v):\n%s\n%s", e.Type, err, e.Data, c)
		}
	}
}

func (r *recorder) scope(rules int) {
	r.t.Helper()
	r.add(evidence.NetworkScope{EgressRuleCount: rules}, r.targets())
}

func (r *recorder) targets() evidence.DNSTargetSet {
	return evidence.DNSTargetSet{CurrentDigest: r.digest, UpdatedAt: time.Now(), KeysetID: evidence.DefaultKeysetID, IssuerKid: evidence.DefaultResolverKid}
}

func (r *recorder) declared(i int, host string) evidence.L7EgressDecision {
	return evidence.L7EgressDecision{DecisionID: evidence.NewID(), Allow: true, SNIHost: host, PolicyDigest: r.digest,
		KeysetID: evidence.DefaultKeysetID, IssuerKid: evidence.DefaultL7Kid, ReasonCode: "egress_declared_allowlist",
		RuleRef: "authority.egressRules[" + string(rune('0'+i)) + "]"}
}

func (r *recorder) security() evidence.ContainerSecurity {
	return evidence.ContainerSecurity{Caps: &evidence.Capabilities{Bounding: 0x1ffffffffff, Inheritable: 1 << 63}}
}

func (r *recorder) begin(s evidence.Started) {
	r.t.Helper()
	s.SpecHash = r.hash
	if s.TTLSeconds == 0 {
		s.TTLSeconds = 60
	}
	r.add(s, r.security())
}

func (r *recorder) run(exit int, spawnError string) {
	r.t.Helper()
	r.add(evidence.ProcessSpawned{Program: r.argv[0], Argc: len(r.argv)},
		evidence.Completed{Argv: r.argv, ExitCode: exit, DurationMs: 301, SpawnError: spawnError})
}

func (r *recorder) end(s evidence.Summary, h evidence.Homeostasis, d evidence.Destroyed) {
	r.t.Helper()
	if s.LifetimeTTLSeconds == 0 {
		s.LifetimeTTLSeconds = 60
	}
	s.SecretDeliveryMode, h.SpecHash, d.TTLSeconds = "env", r.digest, s.LifetimeTTLSeconds
	h.DeclaredEgressRules = s.EgressRuleCount
	r.add(s, h, d)
}

func oidc() evidence.Identity {
	return evidence.Identity{Kind: "federatedOidc", Provider: "github-actions", Audience: "sts.example.com", SecretRef: "OIDC_TOKEN"}
}

// TestStreams builds the stored streams of the existing program and compares field by field.
func TestStreams(t *testing.T) {
	for name, build := range cases() {
		t.Run(name, func(t *testing.T) {
			c, err := eventtest.Load(os.DirFS("testdata/streams"), name)
			if err != nil {
				t.Fatal(err)
			}
			const dir = "/tmp/case-1"
			r := record(t, c, map[string]string{"DIR": dir})
			build(r, dir)
			for _, d := range c.Compare(r.out.Bytes(), eventtest.Options{Dir: dir, Document: r.doc}) {
				t.Error(d)
			}
		})
	}
}
