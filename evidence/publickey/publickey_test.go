package publickey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"cellos.io/cellos/evidence/keys"
)

func pemOf(t *testing.T, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestParse(t *testing.T) {
	ed, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(key any, kid string) []byte {
		b, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	set := []byte(`{"keys":[` + string(jwk(ed.Public(), "one")) + `,` + string(jwk(&ec.PublicKey, "two")) + `]}`)
	both := append(pemOf(t, ed.Public()), pemOf(t, &ec.PublicKey)...)
	for name, c := range map[string]struct {
		text  []byte
		want  []crypto.PublicKey
		names string
	}{
		"PEM":      {keys.MarshalPublic(ed.Public()), []crypto.PublicKey{ed.Public()}, ""},
		"two PEMs": {both, []crypto.PublicKey{ed.Public(), &ec.PublicKey}, ","},
		"JWK":      {jwk(&ec.PublicKey, "k"), []crypto.PublicKey{&ec.PublicKey}, "k"},
		"JWK set":  {set, []crypto.PublicKey{ed.Public(), &ec.PublicKey}, "one,two"},
		"RFC 8037": {[]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`), []crypto.PublicKey{ed25519.PublicKey(rfc8037)}, ""},
	} {
		got, err := Parse(c.text)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		var names []string
		for i, k := range got {
			if !k.Public.(interface{ Equal(crypto.PublicKey) bool }).Equal(c.want[i]) || !strings.HasPrefix(k.ID, "sha256:") {
				t.Errorf("%s: key %d is %+v", name, i, k)
			}
			names = append(names, k.Name)
			if trusted := Trust(got...); trusted[k.ID] == nil || k.Name != "" && trusted[k.Name] == nil {
				t.Errorf("%s: %v", name, trusted)
			}
		}
		if s := strings.Join(names, ","); s != c.names {
			t.Errorf("%s: names %s", name, s)
		}
	}
	if k, err := New(ed.Public()); err != nil || k.ID != ed.KeyID() {
		t.Errorf("id %s, want %s", k.ID, ed.KeyID())
	}
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"empty":       {[]byte(" \n"), "empty"},
		"text":        {[]byte("hello"), "neither PEM nor JWK"},
		"private":     {ed.Marshal(), `a PEM block "PRIVATE KEY"; want PUBLIC KEY`},
		"private JWK": {jwk(ec, "k"), "private or symmetric"},
		"symmetric":   {[]byte(`{"kty":"oct","k":"AAAA"}`), "private or symmetric"},
		"RSA":         {pemOf(t, &rsaKey.PublicKey), "wrong kind"},
		"RSA JWK":     {jwk(&rsaKey.PublicKey, ""), "wrong kind"},
		"P-384":       {pemOf(t, &p384.PublicKey), "not on the curve P-256"},
		"cut":         {both[:len(both)-40], "damaged PEM"},
		"no DER":      {[]byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "not a public key in DER"},
		"bad JWK":     {[]byte(`{"kty":"EC"}`), "not a JWK"},
		"off curve":   {[]byte(`{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`), "not a JWK"},
		"no keys":     {[]byte(`{"keys":[]}`), "without keys"},
		"no JSON":     {[]byte(`{`), "not JSON"},
	} {
		if got, err := Parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v, want %q", name, got, err, c.want)
		}
	}
}

// rfc8037 is the public key of RFC 8037, appendix A.2.
const rfc8037 = "\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a"

// TestNameCannotShadow: a JWK named like another key's id does not take its place.
func TestNameCannotShadow(t *testing.T) {
	a, _ := keys.New()
	b, _ := keys.New()
	ka, _ := New(a.Public())
	kb, _ := New(b.Public())
	kb.Name = ka.ID
	if got := Trust(ka, kb)[ka.ID]; !a.Public().Equal(got.(ed25519.PublicKey)) {
		t.Error("the name wins over the id")
	}
}

func FuzzParse(f *testing.F) {
	k, _ := keys.New()
	f.Add(keys.MarshalPublic(k.Public()))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		list, err := Parse(in)
		if err == nil && len(bytes.TrimSpace(in)) == 0 {
			t.Fatalf("%q: %v", in, list)
		}
		for _, k := range list {
			if k.ID == "" || k.Public == nil {
				t.Fatalf("%q: %+v", in, k)
			}
		}
	})
}
