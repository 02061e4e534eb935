package policy

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/verify"
)

// run returns the report and facts of a recorded run.
func run(t *testing.T, k *keys.Key, change func([]evidence.Payload) []evidence.Payload) (verify.Report, *Facts) {
	t.Helper()
	list := []evidence.Payload{
		evidence.Plan{Backend: "process", Profile: "hardened", Layers: []string{"seccomp", "landlock"}, Network: "names", Egress: []string{"a.example.com:443"}, CompatAllow: []string{"dlq-only"}},
		evidence.Boundary{Layers: []evidence.Layer{{Name: "seccomp", Holds: true}, {Name: "landlock", Holds: true}, {Name: "extra", Holds: true}}},
		evidence.L7EgressDecision{Allow: true},
		evidence.Residue{Checks: []evidence.ResidueCheck{{What: "mounts"}}},
		evidence.Destroyed{},
	}
	if change != nil {
		list = change(list)
	}
	var b bytes.Buffer
	s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: "i", CellID: "c"}, Signer: k, Head: evidence.DocumentDigest(nil), Now: func() time.Time { return at },
		Outputs: []evidence.Output{{Sink: evidence.WriterSink(&b)}}})
	for i, p := range list {
		write := s.Append
		if i == len(list)-1 {
			write = s.Finish
		}
		if err == nil {
			_, err = write("s", p)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var f Facts
	r, err := verify.Verifier{Keys: verify.Keys{k.KeyID(): k.Public()}, Visit: f.Visit}.Verify(&b)
	if err != nil || r.Verdict() != verify.Good {
		t.Fatalf("%v, %+v", err, r.Findings)
	}
	return r, &f
}

var at = time.Date(2026, 11, 23, 9, 12, 33, 0, time.UTC)

func TestCheck(t *testing.T) {
	k, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	drop := func(typ string) func([]evidence.Payload) []evidence.Payload {
		return func(l []evidence.Payload) []evidence.Payload {
			return slices.DeleteFunc(l, func(p evidence.Payload) bool { return p.Type() == typ })
		}
	}
	put := func(p evidence.Payload) func([]evidence.Payload) []evidence.Payload {
		return func(l []evidence.Payload) []evidence.Payload {
			i := slices.IndexFunc(l, func(q evidence.Payload) bool { return q.Type() == p.Type() })
			l[i] = p
			return l
		}
	}
	add := func(p evidence.Payload) func([]evidence.Payload) []evidence.Payload {
		return func(l []evidence.Payload) []evidence.Payload { return slices.Insert(l, 1, p) }
	}
	for _, c := range []struct {
		policy string
		change func([]evidence.Payload) []evidence.Payload
		unmet  string // empty: met
	}{
		{"backend: [process]\nprofile: [hardened, x]\nboundary: holds\nlayers: [seccomp, landlock]\negress: ['a.example.com:443', 'b:1']\nkeys: [" + k.KeyID() + "]\nmaxAge: 1d\ndenials: none\noutcome: succeeded\nresidue: clean\ncompatAllow: [dlq-only]\n", nil, ""},
		{"backend: [microvm]", nil, `backend: "process", not one of microvm`},
		{"backend: [microvm]", drop(evidence.TypePlan), "backend: not recorded"},
		{"profile: [portable]", nil, `profile: "hardened"`},
		{"boundary: holds", drop(evidence.TypeBoundary), "boundary: not measured"},
		{"boundary: holds", put(evidence.Boundary{Probes: []evidence.Probe{{}}}), "boundary: a layer or probe did not hold"},
		{"boundary: holds", func(l []evidence.Payload) []evidence.Payload {
			return slices.Insert(l, 1, evidence.Payload(evidence.Boundary{Probes: []evidence.Probe{{}}}))
		}, "did not hold"},
		{"layers: [cgroup]", nil, "layers: cgroup was not measured"},
		{"layers: [extra]", nil, "layers: extra was not promised"},
		{"layers: [seccomp]", put(evidence.Boundary{Layers: []evidence.Layer{{Name: "seccomp"}}}), "did not hold"},
		{"egress: []", nil, `egress: "a.example.com:443" was granted`},
		{"egress: []", put(evidence.Plan{Network: "host"}), "egress: what was granted is not known"},
		{"egress: []", put(evidence.Plan{Network: "none"}), ""},
		{"egress: []", drop(evidence.TypePlan), "egress: what was granted is not known"},
		{"keys: [sha256:00]", nil, "keys: signed with " + k.KeyID()},
		{"maxAge: 59m", nil, "maxAge: the last event is 1h0m0s old"},
		{"maxAge: 60m", nil, ""},
		{"denials: none", put(evidence.L7EgressDecision{}), "denials: 1 requests"},
		{"denials: none", put(evidence.Other{EventType: evidence.TypeL7EgressDecision, Members: map[string]any{"decision": "deny"}}), "denials: 1"},
		{"denials: none", add(evidence.Usage{Denials: []evidence.Denial{{What: evidence.DeniedSyscall, Name: "mount", Count: 3}, {What: evidence.DeniedName, Name: "x", Count: 9}}}), "denials: 3"},
		{"denials: none", add(evidence.Usage{}), ""},
		{"outcome: succeeded", put(evidence.Destroyed{Reason: "x"}), `outcome: "failed"`},
		{"outcome: succeeded", drop(evidence.TypeDestroyed), "outcome: not recorded"},
		{"residue: clean", drop(evidence.TypeResidue), "residue: nobody looked"},
		{"residue: clean", put(evidence.Residue{Checks: []evidence.ResidueCheck{{Found: []string{"x"}}}}), "residue: something was left over"},
		{"compatAllow: []", nil, `compatAllow: "dlq-only" was used`},
	} {
		p, err := Parse([]byte(c.policy))
		if err != nil {
			t.Fatalf("%s: %v", c.policy, err)
		}
		r, f := run(t, k, c.change)
		unmet := p.Check(r, f, at.Add(time.Hour))
		if c.unmet == "" && len(unmet) > 0 || c.unmet != "" && (len(unmet) != 1 || !strings.Contains(unmet[0], c.unmet)) {
			t.Errorf("%s: %q, want %q", c.policy, unmet, c.unmet)
		}
	}
	if unmet := (Policy{}).Check(verify.Report{Findings: nil}, &Facts{}, at); len(unmet) != 0 {
		t.Errorf("no demands: %q", unmet)
	}
}

// TestSentences: what a stranger reads of a run that verified.
func TestSentences(t *testing.T) {
	k, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	_, f := run(t, k, func(list []evidence.Payload) []evidence.Payload {
		list[1] = evidence.Boundary{Layers: []evidence.Layer{{Name: "seccomp", ObservedInside: evidence.Claimed + "2", Holds: true}, {Name: "machine", ObservedInside: evidence.Claimed + "Linux", ObservedOutside: "runs", Holds: true}}}
		return append([]evidence.Payload{evidence.Started{}, evidence.Completed{Argv: []string{"sh", "-c", "a\x1bb " + strings.Repeat("x", 400)}}}, list...)
	})
	want := []string{
		`command: sh -c 'a\x1bb ` + strings.Repeat("x", 300-len(`sh -c 'a\x1bb `)) + "…",
		"granted: backend process; network: a.example.com:443",
		"opted out of: dlq-only",
		"enforced: 2 layers were measured before the command's first instruction, and held; 1 of them are inside the virtual machine, by its own account",
		"ended: succeeded; nothing was left over",
	}
	if got := f.Sentences(); !slices.Equal(got, want) || f.Cell != "c" {
		t.Errorf("%s: %q", f.Cell, got)
	}
}

// TestBadReport: a stream that does not verify meets no policy.
func TestBadReport(t *testing.T) {
	r, err := verify.Verify(strings.NewReader(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	if unmet := (Policy{}).Check(r, &Facts{}, at); len(unmet) != 1 || !strings.Contains(unmet[0], "does not verify: open") {
		t.Errorf("%q", unmet)
	}
}

// TestEnvelope looks into signed transport events.
func TestEnvelope(t *testing.T) {
	var f Facts
	f.Visit(evidence.Event{Type: evidence.TypeSignedEnvelope, Data: []byte(`{"event":{"type":"` + evidence.TypePlan + `","data":{"backend":"gvisor"}}}`)})
	if f.Backend != "gvisor" {
		t.Errorf("%+v", f)
	}
}

func TestParseRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "the file is empty",
		"# nothing\n":                 "the file is empty",
		"backends: [x]":               "field backends not found",
		"backend: [a]\nbackend: [b]":  "already defined",
		"backend: {a: b}":             "cannot unmarshal",
		"maxAge: soon":                "not a duration",
		"maxAge: xd":                  "not a duration",
		"maxAge: 0s":                  "not above zero",
		"boundary: mostly":            `boundary: "mostly" is not "holds"`,
		"egress: [host]":              "not host:port",
		"outcome: succeeded\n---\n{}": "more than one document",
		"[":                           "line 1",
		"residue: " + string(make([]byte, 70<<10)): "above 65536 bytes",
	} {
		if p, err := Parse([]byte(in)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %+v, %v, want %q", in, p, err, want)
		}
	}
	if p, err := Parse([]byte("maxAge: 1d12h\negress: []\n")); err != nil || time.Duration(p.MaxAge) != 36*time.Hour || p.Egress == nil || p.Keys != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("backend: [process]\nmaxAge: 1d\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := Parse(in); err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Fatal("an empty error")
		}
	})
}
