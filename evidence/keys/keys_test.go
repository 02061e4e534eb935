package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestStore(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "a", "keys"), os.Getuid())
	if l, err := s.List(); err != nil || l != nil {
		t.Errorf("no store: %v, %v", l, err)
	}
	first, made, err := s.Current()
	if err != nil || !made {
		t.Fatalf("first key: made %v, %v", made, err)
	}
	again, made, err := s.Current()
	if err != nil || made || again.KeyID() != first.KeyID() {
		t.Errorf("again: %v made %v, %v", again, made, err)
	}
	second, err := s.Rotate()
	if err != nil || second.KeyID() == first.KeyID() {
		t.Fatalf("rotated to %v, %v", second, err)
	}
	if now, _, err := s.Current(); err != nil || now.KeyID() != second.KeyID() {
		t.Errorf("after rotation: %v, %v", now, err)
	}
	l, err := s.List()
	if err != nil || len(l) != 2 {
		t.Fatalf("%v, %v", l, err)
	}
	for _, i := range l {
		isNew := i.ID == second.KeyID()
		if i.Current != isNew || i.Private != isNew || i.Created.IsZero() || ID(i.Public) != i.ID {
			t.Errorf("%+v", i)
		}
	}
	for name, want := range map[string]fs.FileMode{".": 0o700, fileName(second.id) + ".key": 0o600, fileName(second.id) + ".pub": 0o644} {
		if i, err := os.Stat(filepath.Join(s.Path(), name)); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, i.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.Path(), ".*")); left != nil {
		t.Errorf("left over: %v", left)
	}
}

// TestFirstKeyRace: many processes without a key end up with the same one.
func TestFirstKeyRace(t *testing.T) {
	dir := t.TempDir()
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			if k, _, err := Open(dir, os.Getuid()).Current(); err != nil {
				t.Error(err)
			} else {
				ids[i] = k.KeyID()
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("%s and %s", id, ids[0])
		}
	}
	if l, err := Open(dir, os.Getuid()).List(); err != nil || len(l) != 1 {
		t.Errorf("%d keys, %v", len(l), err)
	}
}

// TestFormats compares with crypto/x509.
func TestFormats(t *testing.T) {
	k, err := New()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	if want := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}); !bytes.Equal(want, MarshalPublic(k.Public())) || IDOf(der) != k.KeyID() {
		t.Errorf("public:\n%s\n%s", MarshalPublic(k.Public()), want)
	}
	if der, err = x509.MarshalPKCS8PrivateKey(whole(k)); err != nil {
		t.Fatal(err)
	}
	if want := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}); !bytes.Equal(want, k.Marshal()) {
		t.Error("private key differs from x509's")
	}
	back, err := Parse(k.Marshal())
	if err != nil || !whole(back).Equal(whole(k)) {
		t.Errorf("read back: %v", err)
	}
	if p, err := ParsePublic(MarshalPublic(k.Public())); err != nil || !p.Equal(k.Public()) {
		t.Errorf("read back: %v", err)
	}
	sig, err := k.Sign([]byte("x"))
	if err != nil || !ed25519.Verify(k.Public(), []byte("x"), sig) {
		t.Errorf("signature: %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if got := fmt.Sprintf(verb, k); got != k.KeyID() {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func whole(k *Key) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.seed) }

// TestExchangedKeyFile: a key file that holds another key than its name says signs nothing.
func TestExchangedKeyFile(t *testing.T) {
	s := Open(t.TempDir(), os.Getuid())
	k, made, err := s.Current()
	if err != nil || !made {
		t.Fatal(err)
	}
	if again, made, err := s.Current(); err != nil || made || again.KeyID() != k.KeyID() || !whole(again).Equal(whole(k)) {
		t.Errorf("%v, made %v, %v", again, made, err)
	}
	other, _ := New()
	path := filepath.Join(s.Path(), fileName(k.KeyID())+privateSuffix)
	if err := os.WriteFile(path, other.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	exchanged, _, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := exchanged.Sign([]byte("x")); err == nil || sig != nil || !strings.Contains(err.Error(), "holds the key "+other.KeyID()) {
		t.Errorf("%x, %v", sig, err)
	}
}

func TestBadKeyFiles(t *testing.T) {
	k, _ := New()
	good := k.Marshal()
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(whole(k))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text []byte
		mode fs.FileMode
		uid  int
		want string
	}{
		"readable":  {good, 0o640, 0, "mode 0640 lets others read it; want 0600"},
		"foreign":   {good, 0o600, 1, "belongs to uid"},
		"empty":     {nil, 0o600, 0, "the key file is empty"},
		"encrypted": {[]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n"), 0o600, 0, "the key is encrypted"},
		"openssh":   {[]byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n-----END OPENSSH PRIVATE KEY-----\n"), 0o600, 0, "use it through ssh-agent"},
		"public":    {MarshalPublic(k.Public()), 0o600, 0, "a public key where the private one is wanted"},
		"rsa":       {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}), 0o600, 0, "not a PEM file with one private key"},
		"other":     {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der[1:]}), 0o600, 0, "not an Ed25519 private key"},
		"cut":       {good[:60], 0o600, 0, "not a PEM file"},
		"damaged":   {bytes.Replace(good, []byte("MC4"), []byte("M*4"), 1), 0o600, 0, "damaged PEM"},
		"long":      {make([]byte, 20<<10), 0o600, 0, "too long for a key"},
	} {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(p, c.text, 0o600), os.Chmod(p, c.mode)); err != nil {
			t.Fatal(err)
		}
		_, err := ReadFile(p, os.Getuid()+c.uid)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), p) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := ReadFile(dir, os.Getuid()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ReadFile(filepath.Join(dir, "none"), os.Getuid()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for current, want := range map[string]string{"../../etc/passwd\n": "does not name a key", strings.Repeat("0", 32): "no such file"} {
		s := Open(t.TempDir(), os.Getuid())
		if err := os.WriteFile(filepath.Join(s.Path(), currentFile), []byte(current), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Current(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("current %q: %v", current, err)
		}
	}
}

// TestVerifier: of many signatures each is judged as Verify judges it.
func TestVerifier(t *testing.T) {
	ed, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []crypto.PublicKey{ed.Public(), &ec.PublicKey, ed25519.PublicKey("short"), ed25519.PublicKey(bytes.Repeat([]byte{2}, 32)), nil} {
		v, good := NewVerifier(public), 0
		for i := range 200 {
			message := []byte{byte(i)}
			var sig []byte
			if public == crypto.PublicKey(&ec.PublicKey) {
				sum := sha256.Sum256(message)
				sig, err = ecdsa.SignASN1(rand.Reader, ec, sum[:])
			} else {
				sig, err = ed.Sign(message)
			}
			if err != nil {
				t.Fatal(err)
			}
			if i%3 == 1 {
				sig[i%len(sig)] ^= 1
			}
			want := Verify(public, message, sig)
			if got := v.Verify(message, sig); got != want {
				t.Errorf("signature %d of a %T: %v, and alone %v", i, public, got, want)
			}
			if want {
				good++
			}
		}
		if k, ok := public.(ed25519.PublicKey); (!ok || len(k) == 32 && k[0] != 2) && public != nil && good != 133 {
			t.Errorf("%d good signatures of a %T", good, public)
		}
	}
}

func TestDir(t *testing.T) {
	home := t.TempDir()
	for _, c := range []struct{ xdg, home, want string }{
		{"/x", home, "/x/cellos/keys"}, {"rel", home, home + "/.config/cellos/keys"}, {"", "", "/state/keys"},
	} {
		got := Dir(func(k string) string { return map[string]string{"XDG_CONFIG_HOME": c.xdg, "HOME": c.home}[k] }, "/state")
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	k, _ := New()
	f.Add(k.Marshal())
	f.Add(MarshalPublic(k.Public()))
	f.Add([]byte("-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := Parse(in)
		if err != nil {
			return
		}
		if again, err := Parse(k.Marshal()); err != nil || again.id != k.id {
			t.Fatalf("%q: %v", in, err)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	k, _ := New()
	m := make([]byte, 300)
	for b.Loop() {
		k.Sign(m)
	}
}
