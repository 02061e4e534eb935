package privatekey_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/privatekey"
	"cellos.io/cellos/evidence/publickey"
)

func block(kind string, der []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sec1(k *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalECPrivateKey(k)
	return block("EC PRIVATE KEY", der, err)
}

func pkcs8(k any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	return block("PRIVATE KEY", der, err)
}

// TestParse: what a key file signs is verified with the public half, under the id that is computed from that half.
func TestParse(t *testing.T) {
	ec := p256(t)
	ed, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	parameters := block("EC PARAMETERS", []byte("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"), nil) // the object id of P-256, SEC 2
	for name, c := range map[string]struct {
		text   []byte
		public crypto.PublicKey
	}{
		"Ed25519":         {ed.Marshal(), ed.Public()},
		"SEC 1":           {sec1(ec), &ec.PublicKey},
		"with parameters": {append(bytes.Clone(parameters), sec1(ec)...), &ec.PublicKey},
		"PKCS #8":         {pkcs8(ec), &ec.PublicKey},
	} {
		k, err := privatekey.Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := publickey.New(c.public)
		if err != nil || k.KeyID() != want.ID {
			t.Errorf("%s: key %s, want %s, %v", name, k.KeyID(), want.ID, err)
		}
		sig, err := k.Sign([]byte("message"))
		if err != nil || !keys.Verify(c.public, []byte("message"), sig) || keys.Verify(c.public, []byte("massage"), sig) {
			t.Errorf("%s: the signature %x, %v", name, sig, err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, k); got != k.KeyID() {
				t.Errorf("%s: %s prints %s", name, verb, got)
			}
		}
	}
}

func TestBadKeyFiles(t *testing.T) {
	ec := p256(t)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text []byte
		mode os.FileMode
		uid  int
		want string
	}{
		"readable":          {sec1(ec), 0o644, 0, "mode 0644 lets others read it"},
		"foreign":           {sec1(ec), 0o600, 1, "belongs to uid"},
		"empty":             {nil, 0o600, 0, "the key file is empty"},
		"P-384":             {sec1(other), 0o600, 0, "an ECDSA key on P-384; want P-256"},
		"RSA":               {pkcs8(big), 0o600, 0, "a key of another kind; want Ed25519 or ECDSA on P-256"},
		"RSA alone":         {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(big), nil), 0o600, 0, "an RSA or DSA key"},
		"two":               {append(sec1(ec), sec1(ec)...), 0o600, 0, "more than one key"},
		"damaged":           {block("EC PRIVATE KEY", []byte{0x30, 0}, nil), 0o600, 0, "neither an Ed25519 nor an ECDSA"},
		"swapped":           {block("PRIVATE KEY", []byte{0x30, 0}, nil), 0o600, 0, "neither an Ed25519 nor an ECDSA"},
		"public":            {block("PUBLIC KEY", der, err), 0o600, 0, "a public key where the private one is wanted"},
		"encrypted":         {[]byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AA\n\nAAAA\n-----END EC PRIVATE KEY-----\n"), 0o600, 0, "the key is encrypted"},
		"PKCS #8 encrypted": {block("ENCRYPTED PRIVATE KEY", []byte{0x30, 0}, nil), 0o600, 0, "the key is encrypted"},
		"OpenSSH":           {block("OPENSSH PRIVATE KEY", []byte{1}, nil), 0o600, 0, "use it through ssh-agent"},
		"text":              {[]byte("hello"), 0o600, 0, "not a PEM file"},
	} {
		p := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(p, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, c.mode); err != nil {
			t.Fatal(err)
		}
		k, err := privatekey.ReadFile(p, os.Getuid()+c.uid)
		if err == nil || k != nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v, %v; want %q", name, k, err, c.want)
		}
	}
}

var _ evidence.Signer = (*privatekey.ECDSA)(nil)
