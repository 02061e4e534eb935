package transport_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/evidence/eventtest"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/transport"
	"cellos.io/cellos/evidence/verify"
)

// TestStreams writes the stored signed streams: they match field by field, each envelope's own signature verifies, and so does
// our chain around it.
func TestStreams(t *testing.T) {
	for _, name := range []string{"signing-ed25519", "signing-hmac"} {
		c, err := eventtest.Load(os.DirFS("../testdata/streams"), name)
		if err != nil {
			t.Fatal(err)
		}
		w, err := transport.FromEnv(func(k string) string { return c.Env[k] })
		if err != nil || w == nil {
			t.Fatal(w, err)
		}
		key, err := keys.New()
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(c.Stream), `"currentDigest":"`)
		_, id, _ := strings.Cut(string(c.Stream), `"cellId":"`)
		id, _, _ = strings.Cut(id, `"`)
		doc, digest := c.DocumentBytes(nil), after[:71]
		argv, exit, reason, correlation := []string{"/bin/true"}, 0, "", (*evidence.Correlation)(nil)
		if name == "signing-hmac" {
			platform := "ci é"
			argv, exit, reason, correlation = []string{"/bin/sh", "-c", "exit 5"}, 5, "command exited with status 5", &evidence.Correlation{Platform: &platform}
		}
		var b bytes.Buffer
		s, err := evidence.Open(evidence.Config{
			Run: evidence.Run{ID: evidence.NewID(), CellID: id, SpecID: id, RunID: "run-local-001", Correlation: correlation}, Signer: key, Head: evidence.DocumentDigest(doc),
			Wrap: w.Wrap, Outputs: []evidence.Output{{Sink: evidence.WriterSink(&b)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		list := []evidence.Payload{
			evidence.NetworkScope{}, evidence.DNSTargetSet{CurrentDigest: digest, UpdatedAt: time.Now(), KeysetID: evidence.DefaultKeysetID, IssuerKid: evidence.DefaultResolverKid},
			evidence.Started{TTLSeconds: 60, SpecHash: strings.TrimPrefix(evidence.DocumentDigest(doc), "sha256:")}, evidence.ContainerSecurity{Caps: &evidence.Capabilities{}},
			evidence.ProcessSpawned{Program: argv[0], Argc: len(argv)}, evidence.Completed{Argv: argv, ExitCode: exit},
			evidence.Summary{LifetimeTTLSeconds: 60, SecretDeliveryMode: "env", CommandExitCode: &exit}, evidence.Homeostasis{SpecHash: digest}, evidence.Destroyed{TTLSeconds: 60, Reason: reason},
		}
		for i, p := range list {
			write := s.Append
			if i == len(list)-1 {
				write = s.Finish
			}
			e, err := write(evidence.SourceSupervisor, p)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := canon.Append(nil, e.Data); err != nil || !bytes.Equal(again, e.Data) {
				t.Errorf("%s: data is not canonical: %v", p.Type(), err)
			}
		}
		for _, d := range c.Compare(b.Bytes(), eventtest.Options{Document: doc}) {
			t.Errorf("%s: %s", name, d)
		}
		if r, err := verify.Verify(bytes.NewReader(b.Bytes()), verify.Keys{key.KeyID(): key.Public()}); err != nil || r.Verdict() != verify.Good {
			t.Errorf("%s: %+v, %v", name, r.Findings, err)
		}
		forged := strings.Replace(b.String(), `"egressRuleCount":0`, `"egressRuleCount":1`, 1)
		if d := c.Compare([]byte(forged), eventtest.Options{Document: doc}); !strings.Contains(strings.Join(d, "\n"), "signature does not verify") {
			t.Errorf("%s, forged: %q", name, d)
		}
	}
}

func TestFromEnv(t *testing.T) {
	const seed = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	env := func(mode, kid, key string) func(string) string {
		return func(k string) string {
			return map[string]string{"CELLOS_EVENT_SIGNING": mode, "CELLOS_EVENT_SIGNING_KID": kid, "CELLOS_EVENT_SIGNING_KEY_BASE64": key}[k]
		}
	}
	for _, c := range []struct{ mode, kid, key, want string }{
		{"", "", "", "nil"}, {" OFF ", "k", "x", "nil"}, {" Ed25519", " k ", seed, "k"}, {"ed25519", "k", seed + "=", "k"},
		{"hmac", "k", "+/+/", "k"}, {"HMAC-SHA256", "k", "-_-_", "k"},
		{"rsa", "k", seed, `!CELLOS_EVENT_SIGNING: "rsa" is none of`}, {"ed25519", " ", seed, "!no key id"}, {"ed25519", "k", "", "!not a key"},
		{"ed25519", "k", "AAAA", "!3 bytes; an Ed25519 seed has 32"}, {"hmac", "k", "secret!", "!not a key"}, {"hmac", "k", "", "!not a key"},
	} {
		s, err := transport.FromEnv(env(c.mode, c.kid, c.key))
		if want, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), want) || c.key != "" && strings.Contains(err.Error(), c.key) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		got := "nil"
		if s != nil {
			got = fmt.Sprintf("%v", s)
			if x := fmt.Sprintf("%#v %+v %s %x", s, s, s, s); x != "k k k k" {
				t.Errorf("prints as %s", x)
			}
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}

// TestAscending: the event inside has the members that are signed, in canonical order.
func TestAscending(t *testing.T) {
	w := transport.NewHMAC("k<\"", []byte("key"))
	for _, e := range []evidence.Event{
		{ID: "i", Source: "s", Type: "t", Data: []byte(`{"a":[1,null],"b":"<&> "}`), Time: time.Unix(5, 120)},
		{ID: "é\"", Source: "\\", Type: "\x01"},
	} {
		out, err := w.Wrap(e)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := canon.Append(nil, out.Data); err != nil || !bytes.Equal(again, out.Data) {
			t.Errorf("%s is not canonical: %v", out.Data, err)
		}
		inner, err := canon.Append(nil, e.AppendDocumented(nil))
		if err != nil || !bytes.Contains(out.Data, append([]byte(`"event":`), inner...)) {
			t.Errorf("%s does not hold %s, %v", out.Data, inner, err)
		}
	}
}
