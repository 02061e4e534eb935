package view

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/verify"
)

func ptr[T any](v T) *T { return &v }

// nasty is what a command may put into every text of an event.
const nasty = "\x1b[31m\u202e<script>alert(1)</script>&\"'\u2066\n\u200b"

// hostile is a run in which everything that can be shown is there, in words of the command's choice.
func hostile() []evidence.Payload {
	return []evidence.Payload{
		evidence.NetworkScope{EgressRuleCount: 1}, evidence.DNSTargetSet{CurrentDigest: "sha256:00"}, evidence.Started{TTLSeconds: 3600, SpecHash: "00"},
		evidence.Plan{Backend: "process", SeccompProfile: "hardened", Layers: []string{"seccomp", "landlock"}, Network: "names", Egress: []string{"api.example.com:443"},
			Digest: "sha256:11", CompatAllow: []string{"dlq-only"}},
		evidence.Boundary{Layers: []evidence.Layer{{Name: "seccomp", Promised: "1 filter in force", ObservedInside: "11 of 11 probes", ObservedOutside: "Seccomp 2", Holds: true},
			{Name: "landlock", Promised: nasty, ObservedOutside: nasty, Holds: true}}, Probes: []evidence.Probe{{Name: "mount", Expected: "EPERM", Got: "EPERM", Holds: true}},
			NotCollected: []string{"telemetry"}},
		evidence.ProcessSpawned{Program: nasty, Argc: 2},
		evidence.L7EgressDecision{Allow: true, SNIHost: "api.example.com", ReasonCode: "l7_sni_allowlist_match"},
		evidence.L7EgressDecision{SNIHost: "evil.example" + nasty, ReasonCode: "l7_sni_allowlist_miss"},
		evidence.L7EgressDecision{SNIHost: "evil.example" + nasty, ReasonCode: "l7_sni_allowlist_miss"},
		evidence.Other{EventType: "dev.cellos.events.cell.observability.v1.network_flow_decision", Members: map[string]any{"decision": "deny", "dstAddr": "192.0.2.7", "dstPort": 25}},
		evidence.Completed{Argv: []string{"sh", "-c", nasty}, ExitCode: -1},
		evidence.Command{Outcome: evidence.OutcomeSignaled, Signal: "SIGSYS", DurationNanos: 1_500_000_000, UserNanos: 1e9, MaxRSSBytes: 5 << 20, OutputReplaced: ptr(int64(3))},
		evidence.Artifact{ArtifactName: "report" + nasty, SourcePath: "/w/report", SizeBytes: 2048, SHA256: strings.Repeat("ab", 32), TargetKind: "local", Destination: "out/" + nasty},
		evidence.ExportCompleted{ArtifactName: "report" + nasty, Receipt: evidence.Receipt{TargetKind: "local", Destination: "out/" + nasty, BytesWritten: 2048}},
		evidence.ExportFailed{ArtifactName: "other", TargetKind: "http", Reason: "no answer: " + nasty},
		evidence.Files{Changes: []evidence.FileChange{{Path: "made" + nasty, Change: evidence.FileCreated, Kind: "file", Mode: 0o644, SizeBytes: 12, SHA256: strings.Repeat("cd", 32)},
			{Path: "gone", Change: evidence.FileDeleted}}, Total: 2},
		evidence.Usage{
			Files: []evidence.FileUse{{Path: "/src", At: "/src", Access: []string{"read", "write"}, Mode: "overlay", Changed: ptr(int64(2))},
				{Path: "/data" + nasty, At: "/data", Access: []string{"read"}, Opened: ptr(int64(0))}},
			Names: []evidence.NameUse{{Name: "api.example.com:443", Connections: ptr(int64(1)), Sent: ptr(int64(300)), Rcvd: ptr(int64(1 << 20))}}, Secrets: []evidence.SecretUse{{Name: "TOKEN"}},
			Limits: []evidence.LimitUse{{Name: "memory", Unit: "bytes", Limit: 64 << 20, Peak: ptr(int64(64 << 20)), Reached: true},
				{Name: "wallTime", Unit: "nanoseconds", Limit: 60e9, Peak: ptr(int64(15e8))}, {Name: "processes", Unit: "processes", Limit: 64}},
			Denials: []evidence.Denial{{What: evidence.DeniedSecret, Name: "OTHER" + nasty, Count: 3, Grant: "spec.authority.secretRefs: [OTHER]"}}, NotObserved: []string{"secrets taken"},
		},
		evidence.Residue{Checks: []evidence.ResidueCheck{{What: "mounts", Found: []string{nasty}}, {What: "processes"}}},
		evidence.Destroyed{TTLSeconds: 3600, Reason: "command exited with status -1 (signal 31) " + nasty},
	}
}

// harmless is a run in which nothing went wrong.
func harmless() []evidence.Payload {
	return []evidence.Payload{
		evidence.Started{TTLSeconds: 60}, evidence.Plan{Backend: "process", SeccompProfile: "hardened", Layers: []string{"seccomp"}, Network: "none", Digest: "sha256:11"},
		evidence.Boundary{Layers: []evidence.Layer{{Name: "seccomp", Promised: "1 filter", ObservedOutside: "Seccomp 2", Holds: true}}, Probes: []evidence.Probe{{Holds: true}}},
		evidence.ProcessSpawned{Program: "make"}, evidence.Completed{Argv: []string{"make", "-j", "a b", ""}},
		evidence.Command{Outcome: evidence.OutcomeExited, ExitCode: ptr(0), DurationNanos: 2_345_678}, evidence.Files{},
		evidence.Residue{Checks: []evidence.ResidueCheck{{What: "mounts"}}}, evidence.Destroyed{TTLSeconds: 60, ResidueClass: "none"},
	}
}

// recorded signs a run and reads it back; without a closing event if it is cut.
func recorded(t testing.TB, list []evidence.Payload, cut int) *Run {
	t.Helper()
	key, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 9, 12, 33, 0, time.UTC)
	var b bytes.Buffer
	s, err := evidence.Open(evidence.Config{
		Run: evidence.Run{ID: "0f8fad5b-d9cb-469f-a165-70867728950e", CellID: "agent-tool", SpecID: "agent-tool", RunID: "run-local-001"}, Signer: key,
		Head: evidence.DocumentDigest(nil), Now: func() time.Time { now = now.Add(37 * time.Millisecond); return now },
		Outputs: []evidence.Output{{Sink: evidence.WriterSink(&b)}},
	})
	for i, p := range list[:len(list)-cut] {
		write := s.Append
		if i == len(list)-1 {
			write = s.Finish
		}
		if err == nil {
			_, err = write(evidence.SourceSupervisor, p)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify.Verify(bytes.NewReader(b.Bytes()), verify.Keys{key.KeyID(): key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Read(&b)
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("%v, %q", err, r.Problems)
	}
	r.Verified(report)
	return r
}

func (r *Run) said(t testing.TB) (text, page string) {
	t.Helper()
	var a, b strings.Builder
	if err := r.Text(&a); err != nil {
		t.Fatal(err)
	}
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return a.String(), b.String()
}

// TestShown: everything that a person asks for is there, in the text and on the page.
func TestShown(t *testing.T) {
	text, page := recorded(t, hostile(), 0).said(t)
	for _, want := range []string{
		"failed: command exited with status -1", "agent-tool", "signaled by SIGSYS after 1.5 s", "1.0 s user", "5.0 MiB", "secrets are replaced: 3 times",
		"+74 ms", "boundary measured", "2 layers and 1 probe", "1 filter in force", "11 of 11 probes", "Seccomp 2",
		"working directory, overlay", "2 paths changed", "opened 0 times", "1 connection, 300 B sent, 1.0 MiB received", "taken: not observed", "64.0 MiB (100 %), LIMIT REACHED", "1.5 s (2 %)",
		"files /data", "evil.example", "an egress rule {host: 192.0.2.7, port: 25}", "192.0.2.7:25", "spec.authority.secretRefs: [OTHER]", "outside the profile hardened",
		"created", "gone", "12 B", "report", "out/", "2.0 KiB", "no answer", "dlq-only",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q", want)
		}
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	text, page = recorded(t, harmless(), 0).said(t)
	for _, want := range []string{"succeeded: exited with status 0 after 2.3 ms", "make -j 'a b' ''", "nothing missing or changed"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "REFUSED") || strings.Contains(page, "Refused") || !strings.Contains(page, `<header class="good">`) {
		t.Errorf("a harmless run is shown as another:\n%s", text)
	}
	text, page = recorded(t, harmless(), 3).said(t)
	if !strings.Contains(text, "not closed") || !strings.Contains(text, "nothing says that this is all") || strings.Contains(page, `<header class="good">`) {
		t.Errorf("an open run:\n%s", text)
	}
}

// TestNothingNasty: what the command chose reaches neither the terminal nor the page as anything but visible text.
func TestNothingNasty(t *testing.T) {
	r := recorded(t, hostile(), 0)
	r.Name, r.Record, r.Findings, r.Keys = nasty, nasty, []string{nasty}, []string{nasty}
	r.Problems = []string{nasty}
	text, page := r.said(t)
	var diff strings.Builder
	if err := WriteDiff(&diff, r, recorded(t, harmless(), 0), Diff(r, recorded(t, harmless(), 0))); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{"text": text, "page": page, "diff": diff.String()} {
		for _, c := range s {
			if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
				t.Errorf("%s: %U", name, c)
				break
			}
		}
	}
	for _, bad := range []string{"<script", "alert(1)<", "http:", "https:", "//", "src=", "href=", "url(", "@import", "javascript:"} {
		if strings.Contains(strings.ToLower(page), bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	if n := strings.Count(page, "&lt;script&gt;"); n < 10 {
		t.Errorf("the nasty text is shown %d times", n)
	}
}

// TestDenialsOnce: refusals that are events of their own and are summed up in the event usage are shown once, as there.
func TestDenialsOnce(t *testing.T) {
	list := hostile()
	for i, p := range list {
		if u, ok := p.(evidence.Usage); ok {
			u.Denials = append(u.Denials, evidence.Denial{What: evidence.DeniedName, Name: "evil.example", Count: 2, Grant: "--net evil.example"})
			list[i] = u
		}
	}
	names := 0
	for _, d := range recorded(t, list, 0).Denials {
		if d.What == evidence.DeniedName {
			names++
		}
	}
	if names != 1 {
		t.Errorf("%d refused names", names)
	}
}

func TestDiff(t *testing.T) {
	a, b := recorded(t, harmless(), 0), recorded(t, harmless(), 0)
	if d := Diff(a, b); len(d) != 0 {
		t.Errorf("two runs of the same: %v", d)
	}
	var s strings.Builder
	if err := WriteDiff(&s, a, b, nil); err != nil || !strings.Contains(s.String(), "no difference") {
		t.Errorf("%v\n%s", err, s.String())
	}
	what := map[string]Difference{}
	for _, d := range Diff(a, recorded(t, hostile(), 0)) {
		what[d.What] = d
	}
	for name, want := range map[string]Difference{
		"network": {Was: "none", Is: "names"}, "egress api.example.com:443": {Is: "granted"}, "opt-out dlq-only": {Is: "used"}, "boundary": {}, "layer seccomp": {Was: "1 filter", Is: "1 filter in force"},
		"grant secret TOKEN": {Is: "granted"}, "grant limit memory": {Is: "64.0 MiB (reached)"}, "changed file gone": {Is: "deleted"}, "refused name 192.0.2.7:25": {Is: "refused"},
		"export other": {Is: "failed: no answer: " + nasty},
	} {
		if got, ok := what[name]; ok != (want != Difference{}) || got.Was != want.Was || got.Is != want.Is {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// TestOtherStreams: streams that are no run are shown without a panic.
func TestOtherStreams(t *testing.T) {
	for _, in := range []string{"", "x\n", "{}\n", `{"specversion":"1.0","type":"io.cellos.evidence.v1.usage","data":{"files":3}}` + "\n", "{\"specversion\":\"1.0\",\"type\":\"a\",\"data\":[]}\n{"} {
		r, err := Read(strings.NewReader(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		r.said(t)
		if in != "" && len(r.Problems) == 0 {
			t.Errorf("%q has no problem", in)
		}
		Diff(r, r)
	}
	streams, err := os.ReadDir("../testdata/streams")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range streams {
		b, err := os.ReadFile("../testdata/streams/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if r, err := Read(bytes.NewReader(b)); err == nil {
			r.said(t)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"a","source":"b","type":"io.cellos.evidence.v1.usage","data":{"files":[{"path":"\u202e"}],"limits":[{"limit":0,"peak":1}]},"celloscount":1}` + "\n"))
	f.Add([]byte(`{"specversion":"1.0","type":"io.cellos.evidence.v1.files","data":{"total":-5,"changes":[{}]}}` + "\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Read(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		text, page := r.said(t)
		for _, s := range []string{text, page} {
			for _, c := range s {
				if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
					t.Fatalf("%q shows %U", in, c)
				}
			}
		}
	})
}

// A look that found nothing, one that found something, and none because there was no cell are told apart.
func TestLeftoversInTimeline(t *testing.T) {
	for data, want := range map[string]string{
		`{"clean":true,"checks":[{"what":"mounts","found":[]}]}`:        "nothing was left",
		`{"clean":false,"checks":[{"what":"mounts","found":["/tmp"]}]}`: "something was left",
		`{"clean":false,"checks":[]}`:                                   "there was no cell",
	} {
		if _, got, bad := moment(evidence.Event{Type: evidence.TypeResidue, Data: []byte(data)}); got != want || bad != (want == "something was left") {
			t.Errorf("%s: %q, bad %v; want %q", data, got, bad, want)
		}
	}
}

// How the machine of a cell came about is told with its boundary.
func TestMachineInBoundary(t *testing.T) {
	for data, want := range map[string]string{
		`{"holds":true,"layers":[],"probes":[]}`:                                           "held: 0 layers, 0 probes",
		`{"holds":true,"layers":[],"probes":[],"start":"cold"}`:                            "held: 0 layers, 0 probes; in a machine that was booted for it",
		`{"holds":true,"layers":[],"probes":[],"start":"pooled","waitedNanos":2000000000}`: "held: 0 layers, 0 probes; in a machine of the pool, never used before, that had waited 2.0 s",
	} {
		var r Run
		if err := r.take(evidence.Event{Type: evidence.TypeBoundary, Data: []byte(data)}); err != nil || r.Boundary() != want {
			t.Errorf("%s: %q, %v; want %q", data, r.Boundary(), err, want)
		}
	}
}
