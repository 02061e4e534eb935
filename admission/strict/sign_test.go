package strict

import (
	"crypto/ed25519"
	"crypto/sha512"

	"filippo.io/edwards25519"
)

// signWithIdentityR signs as RFC 8032 does, but with the nonce 0: R is the identity.
func signWithIdentityR(private ed25519.PrivateKey, message []byte) []byte {
	h := sha512.Sum512(private.Seed())
	a, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
	if err != nil {
		panic(err)
	}
	r := edwards25519.NewIdentityPoint().Bytes()
	public := private.Public().(ed25519.PublicKey)
	sum := sha512.Sum512(append(append(append([]byte{}, r...), public...), message...))
	k, err := edwards25519.NewScalar().SetUniformBytes(sum[:])
	if err != nil {
		panic(err)
	}
	return append(r, edwards25519.NewScalar().Multiply(k, a).Bytes()...)
}
