package keyset

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func seeded(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }

var url = base64.RawURLEncoding

// envelope signs a payload with the keys that are named: "k1" has the seed 1.
func envelope(payload string, change map[string]any, kids ...string) []byte {
	e := map[string]any{"schemaVersion": "1.0.0", "payloadType": PayloadType, "payload": url.EncodeToString([]byte(payload)),
		"payloadDigest": fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(payload))), "producedAt": "2026-03-01T00:00:00Z"}
	var sigs []map[string]any
	for _, kid := range kids {
		sigs = append(sigs, map[string]any{"signerKid": kid, "algorithm": "ed25519", "signature": url.EncodeToString(ed25519.Sign(seeded(kid[1]-'0'), []byte(payload)))})
	}
	e["signatures"] = sigs
	for k, v := range change {
		e[k] = v
	}
	out, _ := json.Marshal(e)
	return out
}

func ring(t *testing.T) Ring {
	t.Helper()
	r, err := ParseRing(fmt.Appendf(nil, `{"k1":%q,"k2":%q,"a1":%[1]q}`, url.EncodeToString(seeded(1).Public().(ed25519.PublicKey)), url.EncodeToString(seeded(2).Public().(ed25519.PublicKey))+"="))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerify(t *testing.T) {
	const payload = `{"keysetId":"ks","keys":[]}`
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	dated := func(name, date string) map[string]any {
		return map[string]any{"signatures": []map[string]any{{"signerKid": "k1", "algorithm": "ed25519", "signature": url.EncodeToString(ed25519.Sign(seeded(1), []byte(payload))), name: date}}}
	}
	for _, c := range []struct {
		name string
		data []byte
		err  string
	}{
		{"one", envelope(payload, nil, "k1"), ""},
		{"a stranger first", envelope(payload, nil, "k3", "k2"), ""},
		{"two of two", envelope(payload, map[string]any{"requiredSignerCount": 2}, "k1", "k2"), ""},
		{"strangers", envelope(payload, nil, "k3"), "signatures: no signature verified"},
		{"one of two", envelope(payload, map[string]any{"requiredSignerCount": 2}, "k1", "k3"), "requiredSignerCount: only 1 distinct signers verified, need 2"},
		{"twice the same", envelope(payload, map[string]any{"requiredSignerCount": 2}, "k1", "k1"), "requiredSignerCount"},
		{"one key, two names", envelope(payload, map[string]any{"requiredSignerCount": 2}, "k1", "a1"), "requiredSignerCount"},
		{"no threshold", envelope(payload, map[string]any{"requiredSignerCount": 0}, "k1"), "requiredSignerCount: 0 is below 1"},
		{"another digest", envelope(payload, map[string]any{"payloadDigest": "sha256:" + strings.Repeat("0", 64)}, "k1"), "payloadDigest: is not that of the payload"},
		{"another payload", envelope(payload, map[string]any{"payload": url.EncodeToString([]byte(`{"keysetId":"x"}`)), "payloadDigest": fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(`{"keysetId":"x"}`)))}, "k1"), "no signature"},
		{"no keyset", envelope(`[]`, nil, "k1"), "payload: does not hold an object"},
		{"no JSON", envelope(`x`, nil, "k1"), "payload: does not hold JSON"},
		{"two names", envelope(`{"keysetId":"a","keysetId":1}`, nil, "k1"), ""},
		{"in its window", envelope(payload, dated("notAfter", "2026-11-25T12:00:00Z")), ""},
		{"late", envelope(payload, dated("notAfter", "2026-11-25T11:59:59Z")), "no signature"},
		{"early", envelope(payload, dated("notBefore", "2026-11-25T13:00:01+01:00")), "no signature"},
		{"no date", envelope(payload, dated("notBefore", "soon")), "signatures[0].notBefore: "},
		{"unknown field", envelope(payload, map[string]any{"comment": ""}, "k1"), "comment: unknown field"},
		{"no time", envelope(payload, map[string]any{"producedAt": "yesterday"}, "k1"), "producedAt"},
		{"another version", envelope(payload, map[string]any{"schemaVersion": "1.1.0"}, "k1"), "schemaVersion"},
	} {
		e, err := ParseEnvelope(c.data)
		var v *Verified
		if err == nil {
			v, err = e.Verify(ring(t), now)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if err == nil && (v.KeysetID == "" || v.SignerKid == "") {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

func TestFollows(t *testing.T) {
	verified := func(data []byte) *Verified {
		e, err := ParseEnvelope(data)
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.Verify(ring(t), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := verified(envelope(`{"keysetId":"1"}`, nil, "k1"))
	if err := verified(envelope(`{"keysetId":"2"}`, map[string]any{"replacesEnvelopeDigest": first.Digest}, "k1")).Follows(first); err != nil {
		t.Error(err)
	}
	if err := first.Follows(first); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Error(err)
	}
	if err := verified(envelope(`{"keysetId":"2"}`, map[string]any{"replacesEnvelopeDigest": "sha256:" + strings.Repeat("0", 64)}, "k1")).Follows(first); err == nil || !strings.Contains(err.Error(), "mismatch") {
		t.Error(err)
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(envelope(`{"keysetId":"1"}`, nil, "k1"))
	f.Add([]byte(`{"signatures":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEnvelope(data)
		if err != nil {
			return
		}
		if _, err := e.Verify(Ring{}, time.Now()); err == nil {
			t.Error("verified without a key")
		}
	})
}
