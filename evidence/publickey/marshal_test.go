package publickey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"cellos.io/cellos/evidence/keys"
)

// TestMarshal: what is written is read back as the same key, under its id.
func TestMarshal(t *testing.T) {
	ed, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []crypto.PublicKey{ed.Public(), &ec.PublicKey} {
		k, err := New(public)
		if err != nil {
			t.Fatal(err)
		}
		for name, write := range map[string]func(Key) ([]byte, error){"PEM": PEM, "JWK": JWK} {
			text, err := write(k)
			if err != nil {
				t.Fatal(err)
			}
			back, err := Parse(text)
			if err != nil || len(back) != 1 || back[0].ID != k.ID || strings.Contains(string(text), `"d":`) || !strings.HasSuffix(string(text), "\n") {
				t.Errorf("%s of %T: %v, %v\n%s", name, public, back, err, text)
			}
		}
	}
	text, err := PEM(Key{ID: keys.ID(ed.Public()), Public: ed.Public()})
	if err != nil || string(text) != string(keys.MarshalPublic(ed.Public())) {
		t.Errorf("two spellings of a key: %s, %v", text, err)
	}
	for _, write := range []func(Key) ([]byte, error){PEM, JWK} {
		if _, err := write(Key{Public: "x"}); err == nil {
			t.Error("a key of no kind is written")
		}
	}
}
