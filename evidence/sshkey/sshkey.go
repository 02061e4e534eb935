// Package sshkey uses OpenSSH keys for evidence: it reads and writes public keys as authorized_keys has them, and signs through an
// agent, so that the private key can live in a hardware token.
//
//	list, err := sshkey.ParsePublic(text)             // "ssh-ed25519 AAAA… comment"
//	signer, err := sshkey.Dial(os.Getenv("SSH_AUTH_SOCK"), &list[0])
//	stream, err := evidence.Open(evidence.Config{Signer: signer, …})
//
// The signatures are plain Ed25519 or ECDSA signatures of the message, as any other signer's; they are not in the format of
// ssh-keygen -Y. Keys of type sk-ssh-ed25519@openssh.com sign something else (a challenge of the token), so they are refused.
//
// Three short messages of the SSH protocols are all that is needed, so they are read here: golang.org/x/crypto/ssh, with which the
// tests compare, costs every start of the program 0.1 to 0.2 ms.
package sshkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"cellos.io/cellos/evidence/publickey"
)

// The key types that sign evidence (RFC 8709, section 4; RFC 5656, section 3.1).
const (
	typeEd25519 = "ssh-ed25519"
	typeECDSA   = "ecdsa-sha2-nistp256"
	curveECDSA  = "nistp256"
)

// IsPublic reports whether text looks like lines for ParsePublic.
func IsPublic(text []byte) bool {
	text = bytes.TrimSpace(text)
	for _, p := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"} {
		if bytes.HasPrefix(text, []byte(p)) {
			return true
		}
	}
	return false
}

// ParsePublic reads public keys, one a line: ssh-ed25519 or ecdsa-sha2-nistp256, its base64, and a comment. Any line that is neither
// one of these nor empty nor a comment is an error; options before the type are not read.
func ParsePublic(text []byte) ([]publickey.Key, error) {
	var list []publickey.Key
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		k, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		list = append(list, k)
	}
	if len(list) == 0 {
		return nil, errors.New("no OpenSSH public key")
	}
	return list, nil
}

var errNoKey = errors.New("not an OpenSSH public key")

func parseLine(line string) (publickey.Key, error) {
	words := strings.Fields(line)
	if len(words) < 2 || !IsPublic([]byte(words[0])) {
		return publickey.Key{}, errNoKey
	}
	if words[0] != typeEd25519 && words[0] != typeECDSA {
		return publickey.Key{}, fmt.Errorf("a key of type %q; want ssh-ed25519 or ecdsa-sha2-nistp256", words[0])
	}
	blob, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil {
		return publickey.Key{}, errNoKey
	}
	public, kind, err := parseBlob(blob)
	if err != nil || kind != words[0] {
		return publickey.Key{}, errNoKey
	}
	return publickey.New(public)
}

// parseBlob reads a public key as the SSH protocols carry it. A kind that signs no evidence gives no key and no error.
func parseBlob(blob []byte) (public crypto.PublicKey, kind string, err error) {
	r := reader{blob}
	kind = string(r.text())
	switch kind {
	case typeEd25519:
		key := r.text()
		if len(key) != ed25519.PublicKeySize || !r.end() {
			return nil, "", errNoKey
		}
		return ed25519.PublicKey(bytes.Clone(key)), kind, nil
	case typeECDSA:
		curve, point := r.text(), r.text()
		if string(curve) != curveECDSA || !r.end() {
			return nil, "", errNoKey
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil, "", errNoKey
		}
		return key, kind, nil
	}
	return nil, kind, nil
}

// appendBlob appends a public key as the SSH protocols carry it.
func appendBlob(dst []byte, public crypto.PublicKey) ([]byte, error) {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return appendText(appendText(dst, typeEd25519), string(k)), nil
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return nil, fmt.Errorf("writing an OpenSSH public key: %w", err)
		}
		return appendText(appendText(appendText(dst, typeECDSA), curveECDSA), string(point)), nil
	}
	return nil, fmt.Errorf("writing an OpenSSH public key: a key of the wrong kind (%T)", public)
}

// MarshalPublic returns the key as a line of authorized_keys, with its id as the comment.
func MarshalPublic(k publickey.Key) ([]byte, error) {
	blob, err := appendBlob(nil, k.Public)
	if err != nil {
		return nil, err
	}
	kind := typeEd25519
	if _, ok := k.Public.(*ecdsa.PublicKey); ok {
		kind = typeECDSA
	}
	return []byte(kind + " " + base64.StdEncoding.EncodeToString(blob) + " " + k.ID + "\n"), nil
}
