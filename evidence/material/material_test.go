package material

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

type vectors struct {
	Key   struct{ KeyID, X, Y, D string }
	Cases []struct {
		Case           string
		Event          map[string]json.RawMessage
		SignedExtAttrs []string
		DSSEMaterial   string
		DecodedPayload json.RawMessage
		PayloadFormat  string
	}
}

// TestPublishedVectors checks the extension's own examples: every signature, and every digest that can be computed from what is
// published. The bytes of the JSON data under the core digests of cases 1 to 4, 6 and 7 are not (no spelling of the printed
// data gives them), so these are left to case 5.
func TestPublishedVectors(t *testing.T) {
	text, err := os.ReadFile("../testdata/cloudevents-dsse.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	number := func(s string) *big.Int { n, _ := new(big.Int).SetString(s, 10); return n }
	point := append([]byte{4}, append(number(v.Key.X).FillBytes(make([]byte, 32)), number(v.Key.Y).FillBytes(make([]byte, 32))...)...) // SEC 1, uncompressed
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	attribute := func(m map[string]json.RawMessage, name string) (s string) { json.Unmarshal(m[name], &s); return s }
	cores := 0
	for _, c := range v.Cases {
		e, err := Decode(c.DSSEMaterial)
		if err != nil {
			t.Errorf("case %s: %v", c.Case, err)
			continue
		}
		if len(e.Signatures) != 1 || e.Signatures[0].KeyID != v.Key.KeyID || len(e.Signatures[0].Sig) != 64 {
			t.Fatalf("case %s: %+v", c.Case, e.Signatures)
		}
		// The payload of 6a and 6b has a "=" too much, which was not there when it was signed.
		payload := e.Payload
		if strings.HasPrefix(c.Case, "6") {
			payload = bytes.TrimSuffix(payload, []byte("="))
		}
		sum, sig := sha256.Sum256(AppendPAE(nil, payload)), e.Signatures[0].Sig
		if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			t.Errorf("case %s: the signature does not verify", c.Case)
		}
		p, err := ParsePayload(e.Payload)
		if good := c.PayloadFormat == "json"; good != (err == nil) {
			t.Errorf("case %s (%s): %v", c.Case, c.PayloadFormat, err)
		}
		var want struct{ Core, Ext []byte }
		json.Unmarshal(c.DecodedPayload, &want) // a plain digest in cases 1 and 2
		if err == nil && (!bytes.Equal(p.Core[:], want.Core) || len(want.Ext) > 0 && !bytes.Equal(p.Ext[:], want.Ext)) {
			t.Errorf("case %s: payload %+v", c.Case, p)
		}
		if len(c.SignedExtAttrs) > 0 {
			var values []string
			for _, n := range c.SignedExtAttrs {
				values = append(values, attribute(c.Event, n))
			}
			if d := ExtDigest(values); !bytes.Equal(d[:], want.Ext) {
				t.Errorf("case %s: extension digest %x, want %x", c.Case, d, want.Ext)
			}
		}
		if data := attribute(c.Event, "data_base64"); data != "" {
			raw, _ := base64.StdEncoding.DecodeString(data)
			d := Core{ID: attribute(c.Event, "id"), Source: attribute(c.Event, "source"), SpecVersion: "1.0", Type: attribute(c.Event, "type"),
				DataContentType: attribute(c.Event, "datacontenttype"), Data: raw}.Digest()
			if !bytes.Equal(d[:], want.Core) {
				t.Errorf("case %s: core digest %x, want %x", c.Case, d, want.Core)
			}
			cores++
		}
	}
	if len(v.Cases) != 8 || cores != 1 {
		t.Errorf("%d cases, %d core digests", len(v.Cases), cores)
	}
}

// TestCoreTime: whole seconds in UTC, and the empty text for none.
func TestCoreTime(t *testing.T) {
	at := time.Date(2026, 5, 13, 10, 49, 12, 123456000, time.FixedZone("", 3600))
	sums := func(parts ...string) Digest {
		var b []byte
		for _, p := range parts {
			s := sha256.Sum256([]byte(p))
			b = append(b, s[:]...)
		}
		return sha256.Sum256(b)
	}
	if got := (Core{ID: "i", Source: "s", SpecVersion: "1.0", Type: "t", DataContentType: "d", DataSchema: "x", Subject: "u", Time: at, Data: []byte("{}")}).Digest(); got != sums("i", "s", "1.0", "t", "d", "x", "u", "2026-05-13T09:49:12Z", "{}") {
		t.Error("core digest with a time")
	}
	if got := (Core{}).Digest(); got != sums("", "", "", "", "", "", "", "", "") {
		t.Error("core digest of nothing")
	}
}

// edVerifier lets the DSSE library verify.
type edVerifier ed25519.PublicKey

func (v edVerifier) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(ed25519.PublicKey(v), data, sig) {
		return os.ErrInvalid
	}
	return nil
}
func (v edVerifier) KeyID() (string, error)   { return "k", nil }
func (v edVerifier) Public() crypto.PublicKey { return ed25519.PublicKey(v) }

// TestAgainstLibrary: go-securesystemslib reads our envelopes, computes the same signed bytes and verifies them.
func TestAgainstLibrary(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ext := ExtDigest([]string{"0000000001", "r"})
	payload := AppendPayload(nil, Core{ID: "1"}.Digest(), &ext, []string{"sequence", "cellosrun"}, "2026-11-23T09:12:33+00:00")
	pae := AppendPAE(nil, payload)
	if want := dsse.PAE(PayloadType, payload); !bytes.Equal(want, pae) {
		t.Errorf("signed bytes:\n%s\n%s", pae, want)
	}
	value := Encode(payload, "k", ed25519.Sign(private, pae))
	text, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(text, &envelope); err != nil {
		t.Fatal(err)
	}
	verifier, err := dsse.NewEnvelopeVerifier(edVerifier(public))
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err := verifier.Verify(context.Background(), &envelope); err != nil || len(accepted) != 1 {
		t.Errorf("%v, %v", accepted, err)
	}
	e, err := Decode(value)
	if err != nil || !bytes.Equal(e.Payload, payload) {
		t.Errorf("read back: %v", err)
	}
	p, err := ParsePayload(payload)
	if err != nil || p.Ext != ext || strings.Join(p.Signed, ",") != "sequence,cellosrun" || !p.Time.Equal(time.Date(2026, 11, 23, 9, 12, 33, 0, time.UTC)) {
		t.Errorf("payload: %+v, %v", p, err)
	}
}

func TestRefused(t *testing.T) {
	const zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, in := range []string{
		``, `[]`, `{}`, `{"core":"AAAA"}`, `{"core":"` + zero + `","ext":"` + zero + `"}`, `{"core":"` + zero + `","signedextattrs":["a"]}`,
		`{"core":"` + zero + `","ext":"` + zero + `","signedextattrs":["a","a"]}`, `{"core":"` + zero + `","ext":"` + zero + `","signedextattrs":["time"]}`,
		`{"core":"` + zero + `","ext":"` + zero + `","signedextattrs":["dssematerial"]}`, `{"core":"` + zero + `","ext":"` + zero + `","signedextattrs":[1]}`,
		`{"core":"` + zero + `","core":"` + zero + `"}`, `{"core":"` + zero[:43] + `"}`, `{"core":"` + zero + `","time":"x"}`, `{"core":"` + zero + `"}=`,
		`{"core":"` + strings.Replace(zero, "AA=", "AB=", 1) + `"}`,
	} {
		if p, err := ParsePayload([]byte(in)); err == nil {
			t.Errorf("payload %s is accepted: %+v", in, p)
		}
	}
	if p, err := ParsePayload([]byte(`{"core":"` + zero + `","unknown":[1]}`)); err != nil || p.Signed != nil {
		t.Errorf("an unknown member: %+v, %v", p, err)
	}
	const typ = `"payloadType":"` + PayloadType + `"`
	for _, in := range []string{
		`{}`, `{` + typ + `}`, `{` + typ + `,"payload":"e30="}`, `{` + typ + `,"payload":"e30=","signatures":[]}`, `{"payload":"e30=","signatures":[{"sig":"AAAA"}]}`,
		`{"payloadType":"x","payload":"e30=","signatures":[{"sig":"AAAA"}]}`, `{` + typ + `,"payload":"e3!=","signatures":[{"sig":"AAAA"}]}`,
		`{` + typ + `,"payload":"e30=","signatures":[{"sig":"A"}]}`, `{` + typ + `,"payload":"e30=","signatures":[{"sig":"AA\nAA"}]}`, `{` + typ + `,"payload":"e30=","signatures":[1]}`,
		`{` + typ + `,"payload":"e30=","signatures":[` + strings.Repeat(`{"sig":"AAAA"},`, 16) + `{"sig":"AAAA"}]}`,
	} {
		if e, err := Decode(base64.StdEncoding.EncodeToString([]byte(in))); err == nil {
			t.Errorf("envelope %s is accepted: %+v", in, e)
		}
	}
	if _, err := Decode("*"); err == nil {
		t.Error("no base64 is accepted")
	}
	if e, err := Decode(base64.URLEncoding.EncodeToString([]byte(`{` + typ + `,"payload":"fn5-fn5_","signatures":[{"sig":"AAAA"}]}`))); err != nil || string(e.Payload) != "~~~~~\x7f" {
		t.Errorf("the URL-safe alphabet: %q, %v", e.Payload, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode([]byte(`{}`), "k", []byte{1}), []byte(`{"core":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
	f.Fuzz(func(t *testing.T, value string, payload []byte) {
		if e, err := Decode(value); err == nil {
			again, err := Decode(Encode(e.Payload, e.Signatures[0].KeyID, e.Signatures[0].Sig))
			if err != nil || !bytes.Equal(again.Payload, e.Payload) {
				t.Fatalf("%q: %v", value, err)
			}
		}
		if p, err := ParsePayload(payload); err == nil && len(p.Signed) > 64 {
			t.Fatalf("%d names", len(p.Signed))
		}
	})
}
