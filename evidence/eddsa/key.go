package eddsa

import (
	"crypto/ed25519"
	"crypto/sha512"

	"filippo.io/edwards25519"
)

// Key is a private key. Its methods may be called concurrently. It prints nothing of itself.
type Key struct {
	scalar *edwards25519.Scalar
	prefix [32]byte
	public [ed25519.PublicKeySize]byte
	base   base
}

// NewKey returns the key of a seed of ed25519.SeedSize bytes; another length is a bug of the caller's, and panics as in crypto/ed25519.
func NewKey(seed []byte) *Key {
	if len(seed) != ed25519.SeedSize {
		panic("eddsa: a seed of the wrong length")
	}
	h := sha512.Sum512(seed)
	k := &Key{prefix: [32]byte(h[32:])}
	k.scalar, _ = edwards25519.NewScalar().SetBytesWithClamping(h[:32]) // 32 bytes are no error
	k.base.fill()
	p := k.base.multiply(k.scalar)
	k.public = p.bytes()
	return k
}

// Public returns the public key.
func (k *Key) Public() ed25519.PublicKey { return k.public[:] }

// Sign signs message as RFC 8032, section 5.1.6, says: without pre-hashing, and without context.
func (k *Key) Sign(message []byte) []byte {
	r := digest(k.prefix[:], message)
	p := k.base.multiply(r)
	point := p.bytes()
	s := digest(point[:], k.public[:], message)
	s.MultiplyAdd(s, k.scalar, r)
	return append(append(make([]byte, 0, ed25519.SignatureSize), point[:]...), s.Bytes()...)
}

// String returns a placeholder: a key is not printed.
func (k *Key) String() string { return "eddsa.Key(…)" }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

// digest returns the SHA-512 sum of the parts as a scalar.
func digest(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, _ := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil)) // 64 bytes are no error
	return s
}
