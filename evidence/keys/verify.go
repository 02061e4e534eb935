package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
)

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
