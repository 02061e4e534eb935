// Package keys makes, keeps and uses the Ed25519 keys that sign evidence.
//
//	store, err := keys.Open(keys.Dir(os.Getenv, stateDir), os.Getuid())
//	key, made, err := store.Current() // made: say so once
//	stream, err := evidence.Open(evidence.Config{Signer: key, …})
//
// A key is a PKCS #8 file in PEM (RFC 8410) with mode 0600, its public half lies beside it. The package is what a run needs,
// and no more: other kinds of keys and files are read by package publickey, and keys that never leave an agent or a
// device sign through packages sshkey and command.
package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"cellos.io/cellos/evidence/eddsa"
)

// Key is a private key. It implements evidence.Signer and prints as its id only. Its methods may be called concurrently.
type Key struct {
	id      string
	seed    []byte
	private func() (*eddsa.Key, error) // the key, and whether it is the one of the id
}

// New makes a key from the system's random numbers.
func New() (*Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails (crypto/rand)
	return fromSeed(seed), nil
}

// fromSeed makes the key of a seed (RFC 8032, section 5.1.5).
func fromSeed(seed []byte) *Key {
	private := eddsa.NewKey(seed)
	return &Key{ID(private.Public()), seed, func() (*eddsa.Key, error) { return private, nil }}
}

// named makes the key of a seed that is said to have the given id. To compute it takes 0.2 ms, which go on beside the caller; whether it has
// the id is said when it is used.
func named(id string, seed []byte) *Key {
	k := &Key{id, seed, sync.OnceValues(func() (*eddsa.Key, error) {
		private := eddsa.NewKey(seed)
		if got := ID(private.Public()); got != id {
			return private, fmt.Errorf("the key file of %s holds the key %s", id, got)
		}
		return private, nil
	})}
	go k.private()
	return k
}

// KeyID returns the id of the public key.
func (k *Key) KeyID() string { return k.id }

// Public returns the public key.
func (k *Key) Public() ed25519.PublicKey {
	private, _ := k.private()
	return private.Public()
}

// Sign signs message with Ed25519 (RFC 8032, without pre-hashing).
func (k *Key) Sign(message []byte) ([]byte, error) {
	private, err := k.private()
	if err != nil {
		return nil, err
	}
	return private.Sign(message), nil
}

// String returns the key id, and so do all verbs of package fmt.
func (k *Key) String() string             { return k.id }
func (k *Key) GoString() string           { return k.id }
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.id) }

// ID returns the id of an Ed25519 public key: "sha256:" and the first 32 hexadecimal digits of the SHA-256 of its
// SubjectPublicKeyInfo (RFC 8410), as `openssl pkey -pubin -outform DER | sha256sum` prints them.
func ID(public ed25519.PublicKey) string { return IDOf(spki(public)) }

// IDOf returns the id of any public key from its SubjectPublicKeyInfo in DER.
func IDOf(der []byte) string {
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// The DER around an Ed25519 key is always the same (RFC 8410, sections 4 and 7), so that neither package asn1 nor
// package x509 is needed to read and write it.
const (
	spkiPrefix  = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
	pkcs8Prefix = "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"
)

func spki(public ed25519.PublicKey) []byte { return append([]byte(spkiPrefix), public...) }

// MarshalPublic returns the public key as PEM ("PUBLIC KEY").
func MarshalPublic(public ed25519.PublicKey) []byte { return armour("PUBLIC KEY", spki(public)) }

// Marshal returns the private key as PEM ("PRIVATE KEY", PKCS #8, not encrypted).
func (k *Key) Marshal() []byte {
	return armour("PRIVATE KEY", append([]byte(pkcs8Prefix), k.seed...))
}

func armour(kind string, der []byte) []byte {
	var b strings.Builder
	b.WriteString("-----BEGIN " + kind + "-----\n")
	for text := base64.StdEncoding.EncodeToString(der); text != ""; {
		n := min(64, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString("-----END " + kind + "-----\n")
	return []byte(b.String())
}

// Parse reads a private key as Marshal writes it.
func Parse(text []byte) (*Key, error) {
	seed, err := parseSeed(text)
	if err != nil {
		return nil, err
	}
	return fromSeed(seed), nil
}

func parseSeed(text []byte) ([]byte, error) {
	s := strings.TrimSpace(string(text))
	switch {
	case s == "":
		return nil, errors.New("the key file is empty")
	case strings.HasPrefix(s, "-----BEGIN ENCRYPTED PRIVATE KEY-----"), strings.Contains(s, "Proc-Type: 4,ENCRYPTED"):
		return nil, errors.New("the key is encrypted; use an agent or a signing command for it")
	case strings.HasPrefix(s, "-----BEGIN OPENSSH PRIVATE KEY-----"):
		return nil, errors.New("an OpenSSH private key; use it through ssh-agent")
	case strings.HasPrefix(s, "-----BEGIN PUBLIC KEY-----"):
		return nil, errors.New("a public key where the private one is wanted")
	}
	der, err := unarmour("PRIVATE KEY", s)
	if err != nil {
		return nil, err
	}
	seed, ok := strings.CutPrefix(string(der), pkcs8Prefix)
	if !ok || len(seed) != ed25519.SeedSize {
		return nil, errors.New("not an Ed25519 private key in PKCS #8")
	}
	return []byte(seed), nil
}

// ParsePublic reads a public key as MarshalPublic writes it. Package publickey reads more.
func ParsePublic(text []byte) (ed25519.PublicKey, error) {
	der, err := unarmour("PUBLIC KEY", strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	public, ok := strings.CutPrefix(string(der), spkiPrefix)
	if !ok || len(public) != ed25519.PublicKeySize {
		return nil, errors.New("not an Ed25519 public key")
	}
	return ed25519.PublicKey(public), nil
}

func unarmour(kind, text string) ([]byte, error) {
	body, ok := strings.CutPrefix(text, "-----BEGIN "+kind+"-----")
	if ok {
		body, ok = strings.CutSuffix(body, "-----END "+kind+"-----")
	}
	if !ok {
		return nil, errors.New("not a PEM file with one " + strings.ToLower(kind))
	}
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(body))
	if err != nil {
		return nil, errors.New("damaged PEM: not base64")
	}
	return der, nil
}
