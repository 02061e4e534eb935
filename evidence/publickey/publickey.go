// Package publickey reads public keys that verify evidence: PEM (SubjectPublicKeyInfo), JWK and JWK sets (RFC 7517), Ed25519
// or ECDSA on P-256.
//
//	list, err := publickey.Parse(text)
//	report, err := verify.Verify(stream, publickey.Trust(list...))
//
// Lines of OpenSSH keys are read by package sshkey. The package reads no private keys: it says so when it meets one.
package publickey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	jose "github.com/go-jose/go-jose/v4"

	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/verify"
)

// Key is a public key.
type Key struct {
	ID     string           // computed from the key, as package keys does
	Name   string           // kid of a JWK; empty: none
	Public crypto.PublicKey // ed25519.PublicKey or *ecdsa.PublicKey
}

// New returns the key with its id.
func New(public crypto.PublicKey) (Key, error) {
	switch k := public.(type) {
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return Key{}, errors.New("an Ed25519 key of the wrong length")
		}
		return Key{ID: keys.ID(k), Public: k}, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return Key{}, errors.New("an ECDSA key that is not on the curve P-256")
		}
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			return Key{}, fmt.Errorf("an ECDSA key that cannot be used: %v", err)
		}
		return Key{ID: keys.IDOf(der), Public: k}, nil
	}
	return Key{}, fmt.Errorf("a key of the wrong kind (%T); want Ed25519 or ECDSA on P-256", public)
}

// Trust returns the keys for package verify, by id and, where they have one, by name.
func Trust(list ...Key) verify.Keys {
	trusted := verify.Keys{}
	for _, k := range list {
		if k.Name != "" {
			trusted[k.Name] = k.Public
		}
	}
	for _, k := range list { // an id cannot be taken by another key's name
		trusted[k.ID] = k.Public
	}
	return trusted
}

// Parse reads all keys of a file. Any key that cannot be used is an error.
func Parse(text []byte) ([]Key, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return nil, errors.New("the key file is empty")
	case text[0] == '{':
		return parseJWK(text)
	case bytes.HasPrefix(text, []byte("-----BEGIN ")):
		return parsePEM(text)
	}
	return nil, errors.New("neither PEM nor JWK")
}

func parsePEM(text []byte) ([]Key, error) {
	var list []Key
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("damaged PEM")
		}
		text = bytes.TrimSpace(rest)
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("a PEM block %q; want PUBLIC KEY", block.Type)
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errors.New("not a public key in DER")
		}
		k, err := New(public)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

func parseJWK(text []byte) ([]Key, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("not a JWK: not JSON")
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{text}
	}
	var list []Key
	for _, raw := range set.Keys {
		var j jose.JSONWebKey
		if err := j.UnmarshalJSON(raw); err != nil {
			return nil, fmt.Errorf("not a JWK: %v", err)
		}
		if !j.IsPublic() {
			return nil, errors.New("a JWK with a private or symmetric key where a public one is wanted")
		}
		k, err := New(j.Key)
		if err != nil {
			return nil, err
		}
		k.Name = j.KeyID
		list = append(list, k)
	}
	if len(list) == 0 {
		return nil, errors.New("a JWK set without keys")
	}
	return list, nil
}
