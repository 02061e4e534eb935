package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/privatekey"
	"cellos.io/cellos/evidence/verify"
)

func ptr[T any](v T) *T { return &v }

const (
	sumA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	sumC = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

// payloads are those of a run that changed files and exported one.
func payloads(files ...evidence.FileChange) []evidence.Payload {
	return []evidence.Payload{
		evidence.Started{TTLSeconds: 60},
		evidence.Plan{Backend: "process", SeccompProfile: "hardened", Layers: []string{"seccomp", "landlock"}, Network: "names", Egress: []string{"a.example.com:443"}, Digest: "sha256:" + sumC},
		evidence.Boundary{Layers: []evidence.Layer{{Name: "seccomp", Holds: true}, {Name: "landlock", Holds: true}}},
		evidence.Completed{Argv: []string{"make", "é<>"}}, evidence.Command{Outcome: evidence.OutcomeExited, ExitCode: ptr(0)},
		evidence.Files{Changes: files, Total: len(files)},
		evidence.Residue{Checks: []evidence.ResidueCheck{{What: "mounts"}}}, evidence.Destroyed{TTLSeconds: 60},
	}
}

var changed = []evidence.FileChange{
	{Path: "out/app", Change: evidence.FileCreated, Kind: "file", SHA256: sumA}, {Path: "src/x.go", Change: evidence.FileModified, Kind: "file", SHA256: sumB},
	{Path: "gone", Change: evidence.FileDeleted}, {Path: "link", Change: evidence.FileCreated, Kind: "symlink", SHA256: sumC}, {Path: "huge", Change: evidence.FileCreated, Kind: "file"},
	{Path: "app", Change: evidence.FileCreated, Kind: "file", SHA256: sumB},
}

// record signs a run, and returns what an attestation is made of.
func record(t testing.TB, key *keys.Key, list []evidence.Payload) (*Run, verify.Report, Context) {
	t.Helper()
	var b bytes.Buffer
	s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: evidence.NewID(), CellID: "build", SpecID: "build", RunID: "r"}, Signer: key, Head: evidence.DocumentDigest([]byte("doc")),
		Outputs: []evidence.Output{{Sink: evidence.WriterSink(&b)}}})
	for i, p := range list {
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
	sum := sha256.Sum256(b.Bytes())
	r := &Run{}
	report, err := verify.Verifier{Keys: verify.Keys{key.KeyID(): key.Public()}, Visit: r.Visit}.Verify(&b)
	if err != nil {
		t.Fatal(err)
	}
	return r, report, Context{Version: "1.2.3", Events: hex.EncodeToString(sum[:])}
}

func newKey(t testing.TB) *keys.Key {
	t.Helper()
	k, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestStatement(t *testing.T) {
	key := newKey(t)
	artifact := evidence.Artifact{ArtifactName: "app", SHA256: sumA, SizeBytes: 3, TargetKind: "local"}
	list := append([]evidence.Payload{artifact}, payloads(changed...)...)
	r, report, c := record(t, key, list)
	for _, kind := range []Predicate{Cell, SLSA} {
		s, err := r.Statement(kind, report, c)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, x := range s.Subject {
			got[x.Name] = x.Digest["sha256"]
		}
		// The artifact and a changed file have one name and two contents.
		want := map[string]string{"app": sumA, "out/app": sumA, "src/x.go": sumB, "created:app": sumB}
		if len(got) != len(want) || len(s.Subject) != len(want) {
			t.Errorf("subjects %v", got)
		}
		for name, sum := range want {
			if got[name] != sum {
				t.Errorf("subject %s: %s, want %s", name, got[name], sum)
			}
		}
	}
	s, _ := r.Statement(Cell, report, c)
	text, err := json.Marshal(s.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Run            struct{ ID, Cell string }
		Document, Plan struct{ Digest Digests }
		Command        struct{ Argv []string }
		Boundary       struct{ Holds, Measured bool }
		Granted        struct{ Egress []string }
		Result         struct{ Outcome string }
		Residue        struct{ Clean bool }
		Files          struct{ Changed int }
		Evidence       struct{ Head Digests }
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	doc := sha256.Sum256([]byte("doc"))
	if p.Run.ID != report.Run || p.Run.Cell != "build" || p.Document.Digest["sha256"] != hex.EncodeToString(doc[:]) || p.Plan.Digest["sha256"] != sumC || !p.Boundary.Holds || !p.Boundary.Measured ||
		p.Result.Outcome != "succeeded" || !p.Residue.Clean || p.Files.Changed != 6 || "sha256:"+p.Evidence.Head["sha256"] != report.Head || p.Granted.Egress[0] != "a.example.com:443" || p.Command.Argv[1] != "é<>" {
		t.Errorf("predicate %s", text)
	}
	// A run without files is attested by its evidence.
	r, report, c = record(t, key, payloads())
	if s, err := r.Statement(SLSA, report, c); err != nil || len(s.Subject) != 1 || s.Subject[0].Digest["sha256"] != c.Events {
		t.Errorf("%+v, %v", s.Subject, err)
	}
}

func TestRefuses(t *testing.T) {
	key := newKey(t)
	r, report, c := record(t, key, payloads())
	if _, err := r.Statement("other", report, c); err == nil {
		t.Error("an unknown predicate")
	}
	list := payloads()
	if r, report, c := record(t, key, append(list[:len(list)-1], evidence.Abandoned{Reason: "died"})); true {
		if _, err := r.Statement(Cell, report, c); err == nil || !strings.Contains(err.Error(), "nobody saw the end") {
			t.Errorf("an abandoned run: %v", err)
		}
	}
	report.Add(verify.Finding{Kind: verify.Missing})
	if _, err := r.Statement(Cell, report, c); err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("evidence that does not verify: %v", err)
	}
	if _, err := Sign(Statement{}, broken{}); err == nil || !strings.Contains(err.Error(), "token gone") {
		t.Errorf("a signer that does not: %v", err)
	}
}

type broken struct{}

func (broken) KeyID() string               { return "k" }
func (broken) Sign([]byte) ([]byte, error) { return nil, errors.New("token gone") }

// python is an interpreter with the tools of others: the one of CELLOS_TEST_PYTHON, python3, or one of a virtual environment made here.
func python(t *testing.T) string {
	t.Helper()
	const need = "import securesystemslib.dsse, in_toto_attestation.v1.statement, cryptography"
	for _, p := range []string{os.Getenv("CELLOS_TEST_PYTHON"), "python3"} {
		if p != "" && exec.Command(p, "-c", need).Run() == nil {
			return p
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("python3", "-m", "venv", dir).CombinedOutput(); err != nil {
		t.Skipf("needs securesystemslib and in-toto-attestation for Python, and no virtual environment can be made: %v\n%s", err, out)
	}
	p := filepath.Join(dir, "bin", "python")
	if out, err := exec.Command(p, "-m", "pip", "install", "-q", "--disable-pip-version-check", "securesystemslib[crypto]", "in-toto-attestation").CombinedOutput(); err != nil {
		t.Skipf("needs securesystemslib and in-toto-attestation for Python, which pip does not get: %v\n%s", err, out)
	}
	return p
}

// TestOtherTools: securesystemslib verifies the envelope, and in-toto-attestation reads statement and provenance; both refuse what was changed.
func TestOtherTools(t *testing.T) {
	if testing.Short() {
		t.Skip("the tools of others take their time")
	}
	interpreter := python(t)
	own := newKey(t)
	t.Run("Ed25519", func(t *testing.T) { otherTools(t, interpreter, own, keys.MarshalPublic(own.Public())) })
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err1 := x509.MarshalPKCS8PrivateKey(ec)
	public, err2 := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	key, err := privatekey.Parse(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("ECDSA", func(t *testing.T) {
		otherTools(t, interpreter, key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	})
}

func otherTools(t *testing.T, interpreter string, key evidence.Signer, public []byte) {
	dir := t.TempDir()
	r, report, c := record(t, newKey(t), payloads(changed...))
	write := func(name string, v any) string {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, public, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"testdata/check.py", key.KeyID(), file}
	var bad []Envelope
	for _, kind := range []Predicate{Cell, SLSA} {
		s, err := r.Statement(kind, report, c)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Sign(s, key)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, write(filepath.Base(string(kind))+string(kind[8]), e))
		text, _ := base64.StdEncoding.DecodeString(e.Payload)
		other := e
		other.Payload = base64.StdEncoding.EncodeToString(bytes.Replace(text, []byte(sumA), []byte(sumB), 1))
		kind := e
		kind.PayloadType = "application/x"
		bad = append(bad, other, kind)
	}
	s, _ := r.Statement(Cell, report, c)
	foreign, err := Sign(s, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range append(bad, foreign) {
		args = append(args, write("bad"+string(rune('0'+i)), e))
	}
	var stderr bytes.Buffer
	cmd := exec.Command(interpreter, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 7 {
		t.Fatalf("%d answers:\n%s", len(lines), out)
	}
	for i, line := range lines {
		var got struct {
			Error         string
			Subjects      map[string]string
			PredicateType Predicate
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		switch {
		case i >= 2 && got.Error == "":
			t.Errorf("a changed or foreign attestation is accepted: %s", line)
		case i < 2 && (got.Error != "" || got.PredicateType != []Predicate{Cell, SLSA}[i] || got.Subjects["out/app"] != sumA || got.Subjects["src/x.go"] != sumB || len(got.Subjects) != 3):
			t.Errorf("a good attestation: %s", line)
		}
	}
}
