package token

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"cellos.io/cellos/document"
)

func seeded(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }

func ptr(s string) *string { return &s }

// The example of the documentation of the format.
func TestSignedBytes(t *testing.T) {
	got := SignedBytes(&document.AuthorityDerivation{RoleRoot: "role-ci", ParentRunID: ptr("run-1"), LeafCapability: document.Capability{
		EgressRules: []document.EgressRule{{Host: "api.example.com", Port: 443, Protocol: ptr("https")}}, SecretRefs: []string{"api-key"}}})
	want := `{"leafCapability":{"egressRules":[{"host":"api.example.com","port":443,"protocol":"https"}],"secretRefs":["api-key"]},"parentRunId":"run-1","roleRoot":"role-ci"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = SignedBytes(&document.AuthorityDerivation{RoleRoot: "<\u2028\">", LeafCapability: document.Capability{
		EgressRules: []document.EgressRule{{Host: "a", Port: 1, DNSEgressJustification: ptr("")}, {Host: "b", Port: 2}}}})
	want = `{"leafCapability":{"egressRules":[{"dnsEgressJustification":"","host":"a","port":1,"protocol":null},{"host":"b","port":2,"protocol":null}],"secretRefs":[]},"parentRunId":null,"roleRoot":"<` + "\u2028" + `\">"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseKeys(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(seeded(1).Public().(ed25519.PublicKey))
	for _, c := range []struct{ text, problem string }{
		{`{}`, ""},
		{`{"r":"` + good + `"}`, ""},
		{`{"r":"` + strings.TrimRight(good, "=") + `"}`, "r: is not standard base64 with padding"},
		{`{"r":"` + good[:20] + `\n` + good[20:] + `"}`, "r: is not standard base64 with padding"},
		{`{"r":"AAAA"}`, "r: has 3 bytes"},
		{`{"r":"` + base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 31)...)) + `"}`, "r: is a key of small order"},
		{`{"r":"` + good + `","\u0072":"` + good + `"}`, "r: is written twice"},
		{`{"r":1,"s":null}`, "s: must be a string"},
		{`[]`, "must be an object"},
		{`{"r":"` + good + `"} x`, "there is more after the end"},
	} {
		_, err := ParseKeys([]byte(c.text))
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v, want %q", c.text, err, c.problem)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"r":"KeWDOpFaZCmk46eUhHXDOO9Dbrgr6JyS8FlwRAPbnVU="}`))
	f.Add([]byte(`{"r":"AA==","r":3}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseKeys(data)
		if (keys == nil) == (err == nil) {
			t.Errorf("keys %v, error %v", keys, err)
		}
	})
}
