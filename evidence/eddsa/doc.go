// Package eddsa makes Ed25519 signatures (RFC 8032) in a process that makes a dozen of them and ends.
//
//	key := eddsa.NewKey(seed)
//	signature := key.Sign(message) // the bytes that crypto/ed25519 gives
//
// The first use of crypto/ed25519 computes multiples of the base point in a form whose additions are a tenth cheaper; that takes 256 inversions,
// more than a millisecond, which a supervisor that lives for five of them has on every run. The same multiples in projective form take none.
//
// Field and scalars are those of filippo.io/edwards25519, the library that crypto/ed25519 was made from, and so are the formulas; the package adds the
// multiplication of the base point, in constant time.
//
// Signatures are verified with crypto/ed25519, and with Verifier where there are many of one key.
package eddsa
