package evidence_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/canon"
)

// full has every payload with every optional member, and those with none again.
func full() []evidence.Payload {
	s, n, yes := ptr("x"), ptr(int64(7)), ptr(true)
	id := evidence.Identity{Kind: "k", Provider: "p", Audience: "a", Subject: s, TTLSeconds: n, SecretRef: "r"}
	place := evidence.Placement{PoolID: "p", KubernetesNamespace: "k", QueueName: "q"}
	prov := evidence.Provenance{Parent: "i", ParentType: "t"}
	free := map[string]any{"z": 1.5, "a": map[string]any{"d": nil, "c": []string{"<>&\u2028"}}}
	return []evidence.Payload{
		evidence.NetworkScope{}, evidence.DNSTargetSet{},
		evidence.L7EgressDecision{RuleRef: "r", StreamID: n}, evidence.L7EgressDecision{Allow: true},
		evidence.DNSResolution{Targets: []evidence.ResolvedTarget{{Address: "::1", Family: "inet6", Port: 1}, {}}},
		evidence.NetworkPolicy{DeclaredEgress: []evidence.EgressRule{{Protocol: s, DNSEgressJustification: s}, {}}},
		evidence.NetworkEnforcement{SpawnError: "e"},
		evidence.IdentityMaterialized{Identity: id}, evidence.IdentityFailed{Identity: id}, evidence.IdentityRevoked{Identity: id, Provenance: prov},
		evidence.UniversalToken{SpecHash: s, RoleRoot: s}, evidence.UniversalToken{},
		evidence.Started{DerivationVerified: yes, RoleRoot: "r", ParentRunID: "p", KernelDigest: "k", RootfsDigest: "r", FirecrackerDigest: "f", Placement: place, TenantID: "t"},
		evidence.ContainerSecurity{Caps: &evidence.Capabilities{}, Privileged: true}, evidence.ContainerSecurity{},
		evidence.ProcessSpawned{}, evidence.Completed{Argv: []string{"\xff", "b"}, SpawnError: "e"},
		evidence.Destroyed{Reason: "r", TerminalState: "clean", ResidueClass: "none", TenantID: "t"},
		evidence.FSTouch{}, evidence.ExportCompleted{Receipt: evidence.Receipt{TargetName: s}, Provenance: prov},
		evidence.ExportFailed{TargetName: "t", Destination: "d", Provenance: prov},
		evidence.Summary{Placement: place, CommandExitCode: ptr(-1), PolicyPackID: s, PolicyPackVersion: s, PolicyBundleDigest: s},
		evidence.Homeostasis{ExercisedEgressConnections: ptr(3), DeclaredEgressRules: 2}, evidence.Homeostasis{ExercisedEgressConnections: ptr(1), DeclaredEgressRules: 3},
		evidence.HomeostasisViolation{DeclaredEgressRuleCount: 1, ExercisedEgressConnections: 3},
		evidence.PolicyRejected{Violations: []evidence.Violation{{}, {}}, PolicyPackID: s, PolicyPackVersion: s},
		evidence.AuthzRejected{TenantID: "t", DeniedPoolID: "p", DeniedPolicyPackID: "k"},
		evidence.KeysetVerified{}, evidence.KeysetVerificationFailed{}, evidence.ManifestFailed{},
		evidence.Plan{Profile: "p", SeccompProfile: "s", Layers: []string{"a"}, Details: free}, evidence.Plan{},
		evidence.Boundary{Layers: []evidence.Layer{{ObservedInside: "i", ObservedOutside: "o"}, {}}, Probes: []evidence.Probe{{}}, Inside: free, Outside: free},
		evidence.Command{ExitCode: ptr(3), Signal: "SIGKILL", Details: free}, evidence.Command{},
		evidence.Files{Changes: []evidence.FileChange{{Path: "\xff", SHA256: "s", Mode: 0o4755}, {Change: evidence.FileDeleted}}},
		evidence.Residue{Checks: []evidence.ResidueCheck{{What: "w", Found: []string{"f"}}, {}}}, evidence.Residue{},
		evidence.Abandoned{TornBytes: 9},
		evidence.Artifact{}, evidence.Usage{},
		evidence.DNSQuery{QueryType: "A", RCode: ptr(5), LatencyMs: n, TargetCount: ptr(0), Resolver: "r"}, evidence.DNSQuery{QueryType: "A", Name: "n", Allow: true},
		evidence.QueryPermitted{}, evidence.QueryRefused{}, evidence.Drift{Trust: evidence.Trust{KeysetID: "k", IssuerKid: "i"}},
		evidence.Rebind{ResolverID: "r"}, evidence.Rebind{Rejected: true}, evidence.FlowDecision{}, evidence.FlowDecision{RuleRef: "r", DstAddr: "a", DstPort: 1, Protocol: "tcp", Allow: true},
		evidence.Gap{Counts: []evidence.GapCount{{}}},
		evidence.NetworkUse{Rules: []evidence.RuleUse{{Port: 1}}, Names: []evidence.AskedName{{}}, Refused: map[string]int64{"b": 1, "a": 2}}, evidence.NetworkUse{},
		evidence.Usage{Files: []evidence.FileUse{{Mode: "overlay", Changed: n}, {}}, Names: []evidence.NameUse{{}}, Secrets: []evidence.SecretUse{{Taken: n}},
			Limits: []evidence.LimitUse{{Peak: n}}, Denials: []evidence.Denial{{Grant: "g"}, {Claimed: true}, {}}, NotObserved: []string{"x"}},
		evidence.Other{EventType: "t", Members: free}, evidence.Other{EventType: "t", Bare: true},
		evidence.Other{EventType: "t", Members: map[string]any{"f": math.NaN()}},
	}
}

// TestPayloadsAreCanonical: ascending, compact, and with the same common members, whatever is set.
func TestPayloadsAreCanonical(t *testing.T) {
	runs := []evidence.Run{
		{ID: "i", CellID: "c", SpecID: "s", RunID: "r"},
		{ID: "i", CellID: "c", SpecID: "s", RunID: "r", Correlation: &evidence.Correlation{Labels: map[string]string{"b": "2", "a": "1"}, TenantID: ptr("t"), CorrelationID: ptr("c"), Platform: ptr("p")}},
	}
	for _, p := range full() {
		for _, r := range runs {
			got := p.AppendData([]byte("x"), &r)
			c, err := canon.Append([]byte("x"), got[1:])
			if err != nil || !bytes.Equal(c, got) || got[1] != '{' {
				t.Errorf("%T is not canonical (%v):\n%s\n%s", p, err, got, c)
			}
			var d map[string]any
			if err := json.Unmarshal(got[1:], &d); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(p.Type(), evidence.OwnPrefix) && (d["cellId"] != "c" || d["specId"] != "s" || d["runId"] != "r") {
				t.Errorf("%T lacks cellId, specId or runId: %s", p, got)
			}
		}
	}
}

func TestOwnPayloads(t *testing.T) {
	r := evidence.Run{CellID: "c", SpecID: "s", RunID: "r"}
	for _, c := range []struct {
		p    evidence.Payload
		want string
	}{
		{evidence.Plan{Backend: "process", SeccompProfile: "hardened", Digest: "sha256:00", Layers: []string{"seccomp"}, Network: "none"},
			`{"backend":"process","cellId":"c","compatAllow":[],"digest":"sha256:00","egress":[],"layers":["seccomp"],"missing":[],"network":"none","runId":"r","seccompProfile":"hardened","specId":"s"}`},
		{evidence.Boundary{Layers: []evidence.Layer{{Name: "seccomp", Promised: "hardened", ObservedOutside: "2", Holds: true}}, Probes: []evidence.Probe{{Name: "mount", Expected: "EPERM", Got: "0"}}},
			`{"cellId":"c","holds":false,"layers":[{"holds":true,"name":"seccomp","observedOutside":"2","promised":"hardened"}],"notCollected":[],"probes":[{"expected":"EPERM","got":"0","holds":false,"name":"mount"}],"runId":"r","specId":"s"}`},
		{evidence.Boundary{Start: evidence.StartPooled, WaitedNanos: 5}, `{"cellId":"c","holds":true,"layers":[],"notCollected":[],"probes":[],"runId":"r","specId":"s","start":"pooled","waitedNanos":5}`},
		{evidence.Boundary{Start: evidence.StartCold}, `{"cellId":"c","holds":true,"layers":[],"notCollected":[],"probes":[],"runId":"r","specId":"s","start":"cold"}`},
		{evidence.Command{Outcome: evidence.OutcomeSignaled, Signal: "SIGKILL", DurationNanos: 1, UserNanos: 2, SystemNanos: 3, MaxRSSBytes: 4, ReadBlocks: 5, WrittenBlocks: 6, Processes: 7, OutputReplaced: ptr(int64(8))},
			`{"cellId":"c","durationNanos":1,"exitCode":null,"maxRssBytes":4,"outcome":"signaled","outputReplaced":8,"processes":7,"readBlocks":5,"runId":"r","signal":"SIGKILL","specId":"s","systemNanos":3,"userNanos":2,"writtenBlocks":6}`},
		{evidence.Files{Changes: []evidence.FileChange{{Path: "a\xff", Change: evidence.FileCreated, Kind: "file", Mode: 0o644, SizeBytes: 5, SHA256: "ab"}, {Path: "b", Change: evidence.FileDeleted, Kind: "file"}}},
			`{"cellId":"c","changes":[{"change":"created","kind":"file","mode":"0644","path":"a` + "\uFFFD" + `","pathBase64":"Yf8=","sha256":"ab","sizeBytes":5},{"change":"deleted","kind":"file","path":"b"}],"part":1,"parts":1,"runId":"r","specId":"s","total":2,"truncated":false}`},
		{evidence.Residue{Checks: []evidence.ResidueCheck{{What: "mounts"}}},
			`{"cellId":"c","checks":[{"found":[],"what":"mounts"}],"clean":true,"runId":"r","specId":"s"}`},
		{evidence.Residue{}, `{"cellId":"c","checks":[],"clean":false,"runId":"r","specId":"s"}`},
		{evidence.Homeostasis{SpecHash: "h", DeclaredEgressRules: 4, ExercisedEgressConnections: ptr(1)},
			`{"accessedMountPaths":0,"authorityEfficiency":0.25,"cellId":"c","declaredEgressRules":4,"declaredMountPaths":0,"declaredSecretCount":0,"exercisedEgressConnections":1,"recommendedRemovals":[],"runId":"r","specHash":"h","specId":"s"}`},
	} {
		if got := string(c.p.AppendData(nil, &r)); got != c.want {
			t.Errorf("%T:\n got %s\nwant %s", c.p, got, c.want)
		}
	}
}

func TestFilesSplit(t *testing.T) {
	var f evidence.Files
	for i := range 4000 {
		f.Changes = append(f.Changes, evidence.FileChange{Path: fmt.Sprintf("%04d/%s", i, strings.Repeat("\x01", 30)), Change: evidence.FileCreated, Kind: "file", SHA256: strings.Repeat("a", 64)})
	}
	f.Truncated, f.Total = true, 5000
	parts := f.Split()
	if len(parts) < 3 {
		t.Fatalf("%d parts", len(parts))
	}
	next := 0
	for i, p := range parts {
		if n := len(p.AppendData(nil, &evidence.Run{})); n > evidence.MaxLine/4+1000 {
			t.Errorf("part %d has %d bytes", i, n)
		}
		if p.Part != i+1 || p.Parts != len(parts) || p.Total != 5000 || !p.Truncated {
			t.Errorf("part %d says %d of %d, total %d", i, p.Part, p.Parts, p.Total)
		}
		for _, c := range p.Changes {
			if !strings.HasPrefix(c.Path, fmt.Sprintf("%04d/", next)) {
				t.Fatalf("part %d: %q where %d is due", i, c.Path, next)
			}
			next++
		}
	}
	if next != 4000 {
		t.Errorf("%d changes in all parts", next)
	}
	if one := (evidence.Files{}).Split(); len(one) != 1 || one[0].Parts != 1 || one[0].Total != 0 {
		t.Errorf("no changes: %+v", one)
	}
}

func TestTimeSpelling(t *testing.T) {
	east := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		t    time.Time
		want string
	}{
		{time.Date(2026, 11, 23, 9, 12, 33, 552743888, time.UTC), "2026-11-23T09:12:33.552743888+00:00"},
		{time.Date(2026, 11, 23, 9, 12, 33, 552743000, time.UTC), "2026-11-23T09:12:33.552743+00:00"},
		{time.Date(2026, 11, 23, 9, 12, 33, 552000000, time.UTC), "2026-11-23T09:12:33.552+00:00"},
		{time.Date(2026, 11, 23, 9, 12, 33, 0, time.UTC), "2026-11-23T09:12:33+00:00"},
		{time.Date(2026, 11, 23, 1, 0, 0, 10, east), "2026-11-22T23:00:00.000000010+00:00"},
	} {
		if got := string(evidence.AppendTime(nil, c.t)); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestEventLine(t *testing.T) {
	e := evidence.Event{ID: "i", Source: "s", Type: "t", Time: time.Unix(0, 0), Data: []byte(`{"a":1}`)}
	const documented = `{"specversion":"1.0","id":"i","source":"s","type":"t","datacontenttype":"application/json","data":{"a":1},"time":"1970-01-01T00:00:00+00:00","traceparent":null`
	if got := string(e.AppendJSON(nil)); got != documented+"}" {
		t.Errorf("got %s", got)
	}
	e.Sequence, e.Run, e.Prev, e.Count, e.Material = 42, "r", "sha256:ab", 42, "bWF0"
	if got := string(e.AppendJSON(nil)); got != documented+`,"sequence":"0000000042","cellosrun":"r","cellosprev":"sha256:ab","celloscount":42,"dssematerial":"bWF0"}` {
		t.Errorf("got %s", got)
	}
	for n, want := range map[uint64]string{1: "0000000001", 999_999_999: "0999999999", 1_000_000_000: "1000000000", 12_345_678_901: "12345678901"} {
		e.Sequence = n
		if got := string(e.AppendJSON(nil)); !strings.Contains(got, `"sequence":"`+want+`"`) {
			t.Errorf("sequence %d: %s", n, got)
		}
	}
}
