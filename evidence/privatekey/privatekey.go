// Package privatekey reads private keys that sign evidence: Ed25519 in PKCS #8, and ECDSA on P-256 in PKCS #8 or SEC 1, in PEM and not
// encrypted.
//
//	signer, err := privatekey.ReadFile("ci.pem", os.Geteuid())
//
// It is for a key that somebody brings along; package keys makes and keeps a user's own ones. A key that is encrypted, or that no file holds, signs
// through package sshkey or command.
package privatekey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
)

// ECDSA is a private key on P-256. It implements evidence.Signer and prints as its id only. Its methods may be called concurrently.
type ECDSA struct {
	id  string
	key *ecdsa.PrivateKey
}

// KeyID returns the id of the public key.
func (k *ECDSA) KeyID() string { return k.id }

// Public returns the public key.
func (k *ECDSA) Public() *ecdsa.PublicKey { return &k.key.PublicKey }

// Sign signs message with ECDSA and SHA-256. The signature is in ASN.1, as tools of DSSE expect it.
func (k *ECDSA) Sign(message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, k.key, sum[:])
}

// Format writes the key id, whatever the verb.
func (k *ECDSA) Format(f fmt.State, _ rune) { io.WriteString(f, k.id) }

// ReadFile reads a private key. The file must be a regular one with mode 0600 or less that belongs to uid.
func ReadFile(path string, uid int) (evidence.Signer, error) {
	text, err := keys.ReadPrivate(path, uid)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	key, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

// Parse reads the private key of a file.
func Parse(text []byte) (evidence.Signer, error) {
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // what openssl ecparam -genkey writes first
		block, rest = pem.Decode(rest)
	}
	var key any
	var err error
	switch {
	case block == nil || block.Headers["Proc-Type"] != "":
		return own(text)
	case block.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case block.Type == "PRIVATE KEY":
		if k, err := own(text); err == nil {
			return k, nil
		}
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY" || block.Type == "DSA PRIVATE KEY":
		return nil, errors.New("an RSA or DSA key; want Ed25519 or ECDSA on P-256")
	default:
		return own(text)
	}
	if err != nil {
		return nil, errors.New("neither an Ed25519 nor an ECDSA private key in DER")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, errors.New("more than one key in the file")
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	switch {
	case !ok:
		return nil, errors.New("a key of another kind; want Ed25519 or ECDSA on P-256")
	case ec.Curve != elliptic.P256():
		return nil, fmt.Errorf("an ECDSA key on %s; want P-256", ec.Curve.Params().Name)
	}
	der, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("an ECDSA key that cannot be used: %v", err)
	}
	return &ECDSA{keys.IDOf(der), ec}, nil
}

// own reads what package keys reads, and has its words for what is none.
func own(text []byte) (evidence.Signer, error) {
	k, err := keys.Parse(text)
	if err != nil {
		return nil, err // not a nil *Key in an interface
	}
	return k, nil
}
