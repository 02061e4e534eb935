package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"

	"cellos.io/cellos/evidence/eddsa"
)

// A Verifier verifies many signatures of one key: what Verify takes, in a fourth of the time from some dozen Ed25519 signatures on. Its methods must
// not be called concurrently.
type Verifier struct {
	public crypto.PublicKey
	seen   int
	many   *eddsa.Verifier
}

// NewVerifier returns a verifier for a key of any kind.
func NewVerifier(public crypto.PublicKey) *Verifier { return &Verifier{public: public} }

// few is up to how many signatures crypto/ed25519 is faster: making the tables of eddsa.Verifier takes the time of some forty.
const few = 64

// Verify reports whether sig is the key's signature of message.
func (v *Verifier) Verify(message, sig []byte) bool {
	if v.many != nil {
		return v.many.Verify(message, sig)
	}
	if v.seen++; v.seen == few {
		if k, ok := v.public.(ed25519.PublicKey); ok {
			v.many = eddsa.NewVerifier(k) // nil for what is no key: then nothing verifies below either
		}
	}
	return Verify(v.public, message, sig)
}

// Verify reports whether sig is public's signature of message: Ed25519, or ECDSA on P-256 with SHA-256, whose signature may
// be r||s, as the examples of the CloudEvents extension have it, or ASN.1. Keys of other kinds have no signatures.
func Verify(public crypto.PublicKey, message, sig []byte) bool {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, sig)
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return false
		}
		sum := sha256.Sum256(message)
		if len(sig) == 64 && ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			return true
		}
		return ecdsa.VerifyASN1(k, sum[:], sig)
	}
	return false
}
