package sshkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/publickey"
)

// serve runs an agent at a socket and returns its path.
func serve(t *testing.T, a agent.Agent) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "a") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); agent.ServeAgent(a, c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return path
}

func testKeys(t *testing.T) (ed ed25519.PrivateKey, ec *ecdsa.PrivateKey) {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(nil)
	if err == nil {
		ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ed, ec
}

func key(t *testing.T, public any) *publickey.Key {
	t.Helper()
	k, err := publickey.New(public)
	if err != nil {
		t.Fatal(err)
	}
	return &k
}

func TestAgent(t *testing.T) {
	ed, ec := testKeys(t)
	ring := agent.NewKeyring()
	for _, k := range []any{ed, ec} {
		if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	path := serve(t, ring)
	for name, public := range map[string]crypto.PublicKey{"Ed25519": ed.Public(), "ECDSA": &ec.PublicKey} {
		a, err := Dial(path, key(t, public))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				m := []byte("message")
				sig, err := a.Sign(m)
				if err != nil || !keys.Verify(a.Public(), m, sig) || keys.Verify(a.Public(), []byte("other"), sig) {
					t.Errorf("%s: %x, %v", name, sig, err)
				}
			})
		}
		wg.Wait()
		if a.KeyID() != key(t, public).ID {
			t.Errorf("%s: id %s", name, a.KeyID())
		}
		ring.RemoveAll()
		if _, err := a.Sign(nil); err == nil {
			t.Errorf("%s: signed without a key", name)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		for _, k := range []any{ed, ec} {
			if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
				t.Fatal(err)
			}
		}
	}
	other, _ := testKeys(t)
	if _, err := Dial(path, key(t, other.Public())); err == nil || !strings.Contains(err.Error(), "does not have the key sha256:") {
		t.Errorf("a key that is not there: %v", err)
	}
	if _, err := Dial(path, nil); err == nil || !strings.Contains(err.Error(), "2 keys that could sign") {
		t.Errorf("two keys to choose from: %v", err)
	}
	if err := ring.Remove(sshKey(t, &ec.PublicKey)); err != nil {
		t.Fatal(err)
	}
	if a, err := Dial(path, nil); err != nil || a.KeyID() != key(t, ed.Public()).ID {
		t.Errorf("the only key: %v", err)
	} else {
		a.Close()
	}
	ring.RemoveAll()
	if _, err := Dial(path, nil); err == nil || !strings.Contains(err.Error(), "has no Ed25519") {
		t.Errorf("no key: %v", err)
	}
	for _, p := range []string{"", "/nonexistent/socket"} {
		if _, err := Dial(p, key(t, other.Public())); err == nil {
			t.Errorf("socket %q", p)
		}
	}
}

func sshKey(t *testing.T, public any) ssh.PublicKey {
	t.Helper()
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// liar has the key, and signs with another.
type liar struct {
	agent.Agent
	other ssh.Signer
}

func (l liar) Sign(_ ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return l.other.Sign(rand.Reader, data)
}

func TestLyingAgent(t *testing.T) {
	ed, ec := testKeys(t)
	wrong, _ := testKeys(t)
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: ed}); err != nil {
		t.Fatal(err)
	}
	for _, with := range []any{wrong, ec} {
		signer, err := ssh.NewSignerFromKey(with)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Dial(serve(t, liar{ring, signer}), key(t, ed.Public()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Sign([]byte("m")); err == nil || !strings.Contains(err.Error(), "not one of the key") {
			t.Errorf("%T: %v", with, err)
		}
		a.Close()
	}
}

// TestDeadAgent: a socket at which nobody speaks the protocol is an error, not a wait.
func TestDeadAgent(t *testing.T) {
	dir, err := os.MkdirTemp("", "a")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			c.Close()
		}
	}()
	ed, _ := testKeys(t)
	if a, err := Dial(filepath.Join(dir, "s"), key(t, ed.Public())); err == nil {
		t.Errorf("connected: %v", a)
	}
}

func TestParsePublic(t *testing.T) {
	ed, ec := testKeys(t)
	line := func(k any) string {
		p, err := ssh.NewPublicKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p)))
	}
	text := "# keys\n\n" + line(ed.Public()) + " me@host\n" + line(&ec.PublicKey) + "\n"
	got, err := ParsePublic([]byte(text))
	if err != nil || len(got) != 2 || got[0].ID != key(t, ed.Public()).ID || got[1].ID != key(t, &ec.PublicKey).ID {
		t.Errorf("%+v, %v", got, err)
	}
	for _, k := range got { // what is written is what x/crypto writes, and the comment is the id
		text, err := MarshalPublic(k)
		if want := line(k.Public) + " " + k.ID + "\n"; err != nil || string(text) != want {
			t.Errorf("%s, %v; want %s", text, err, want)
		}
	}
	if !IsPublic([]byte(line(ed.Public()))) || !IsPublic([]byte(line(&ec.PublicKey))) || IsPublic([]byte("-----BEGIN")) || IsPublic(nil) {
		t.Error("IsPublic")
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"":                        "no OpenSSH public key",
		"ssh-ed25519 AAAA":        "line 1: not an OpenSSH public key",
		line(ed.Public()) + "\nx": "line 2: not an OpenSSH public key",
		line(&p384.PublicKey):     `a key of type "ecdsa-sha2-nistp384"`,
		"ssh-ed25519 " + strings.Fields(line(&ec.PublicKey))[1]: "not an OpenSSH public key",
		line(ed.Public())[:60]: "not an OpenSSH public key",
	} {
		if got, err := ParsePublic([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func FuzzParsePublic(f *testing.F) {
	f.Add([]byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7VRpYVnp0w1dDtMvCp6vsQDvhl6uEJL4WVXi1dVXmM x"))
	f.Add([]byte("# comment\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		list, err := ParsePublic(in)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%q: %v, %v", in, list, err)
		}
	})
}
