// Package strict verifies Ed25519 signatures with every check that RFC 8032, section 5.1.7, and its later critics ask for.
//
//	key, err := strict.ParseKey(raw)
//	ok := key.Verify(message, signature)
//
// The verification of the standard library takes keys and signatures in the small subgroup: whoever may choose a key can then make a
// signature that holds for every message ("Taming the many EdDSAs", Chalkias, Garillot, Nikolaenko, 2020, section 2). Here such keys are no
// keys, and such signatures do not verify; keys have one encoding, and so do signatures.
package strict

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
)

// A Key is a public key that can be trusted to have one owner. The zero Key verifies nothing.
type Key struct{ raw ed25519.PublicKey }

// ParseKey reads the 32 bytes of a public key.
func ParseKey(raw []byte) (Key, error) {
	if len(raw) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("has %d bytes; an Ed25519 public key has 32", len(raw))
	}
	switch p, err := point(raw); {
	case err != nil:
		return Key{}, err
	case smallOrder(p):
		return Key{}, errors.New("is a key of small order, with which anybody can sign")
	}
	return Key{bytes.Clone(raw)}, nil
}

// Verify reports whether sig, of 64 bytes, is the signature of message.
func (k Key) Verify(message, sig []byte) bool {
	if k.raw == nil || len(sig) != ed25519.SignatureSize {
		return false
	}
	r, err := point(sig[:32])
	// ed25519.Verify refuses an S that is not reduced, and compares the encoding of R.
	return err == nil && !smallOrder(r) && ed25519.Verify(k.raw, message, sig)
}

// Equal reports whether two keys are the same point.
func (k Key) Equal(other Key) bool { return bytes.Equal(k.raw, other.raw) }

// String is the key in hexadecimal, for use as the key of a map.
func (k Key) String() string { return fmt.Sprintf("%x", []byte(k.raw)) }

// point decodes a point from its only encoding: SetBytes takes a y that is not reduced, too.
func point(raw []byte) (*edwards25519.Point, error) {
	p, err := new(edwards25519.Point).SetBytes(raw)
	if err != nil || !bytes.Equal(p.Bytes(), raw) {
		return nil, errors.New("is not a point of the curve")
	}
	return p, nil
}

// smallOrder reports whether p lies in the subgroup of eight elements.
func smallOrder(p *edwards25519.Point) bool {
	return new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1
}
