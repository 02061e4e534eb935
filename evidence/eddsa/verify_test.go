package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"
)

// agree demands of a Verifier what crypto/ed25519 says, and returns it.
func agree(t *testing.T, public, message, sig []byte) bool {
	t.Helper()
	want := ed25519.Verify(public, message, sig)
	v := NewVerifier(public)
	if got := v != nil && v.Verify(message, sig); got != want {
		t.Errorf("key %x, message %x, signature %x: %v, and crypto/ed25519 says %v", public, message, sig, got, want)
	}
	return want
}

// TestVerify: signatures that verify, with every bit of signature, key and message changed.
func TestVerify(t *testing.T) {
	r := rand.NewChaCha8([32]byte{9})
	for range 3 {
		seed, message := make([]byte, 32), make([]byte, 40)
		r.Read(seed)
		r.Read(message)
		key := ed25519.NewKeyFromSeed(seed)
		public, sig := key.Public().(ed25519.PublicKey), ed25519.Sign(key, message)
		if !agree(t, public, message, sig) {
			t.Error("a good signature does not verify")
		}
		v := NewVerifier(public)
		for bit := range 512 {
			bad := bytes.Clone(sig)
			bad[bit/8] ^= 1 << (bit % 8)
			if want := ed25519.Verify(public, message, bad); v.Verify(message, bad) != want || want {
				t.Errorf("bit %d of the signature: %v", bit, want)
			}
		}
		for bit := 0; bit < 256; bit += 7 {
			bad := bytes.Clone(public)
			bad[bit/8] ^= 1 << (bit % 8)
			agree(t, bad, message, sig)
		}
		for _, n := range []int{0, 1, 31, 32, 63} {
			if v.Verify(message, sig[:n]) {
				t.Errorf("%d bytes of a signature verify", n)
			}
		}
		if v.Verify(message, append(bytes.Clone(sig), 0)) || v.Verify(message[1:], sig) {
			t.Error("a longer signature, or one of another message, verifies")
		}
	}
	for _, n := range []int{0, 31, 33} {
		if NewVerifier(make([]byte, n)) != nil {
			t.Errorf("a key of %d bytes", n)
		}
	}
}

// order is that of the base point: RFC 8032, section 5.1.
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func little(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	for i := range 16 {
		b[i], b[31-i] = b[31-i], b[i]
	}
	return b
}

// TestScalarsBeyondTheOrder: a signature with S+ℓ is the same to whoever reduces it; it must not verify.
func TestScalarsBeyondTheOrder(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	sig := ed25519.Sign(key, nil)
	for i, b := 0, sig[32:]; i < 16; i++ {
		b[i], b[31-i] = b[31-i], b[i]
	}
	s := new(big.Int).SetBytes(sig[32:])
	for n := range int64(16) {
		x := new(big.Int).Add(s, new(big.Int).Mul(order, big.NewInt(n)))
		if x.BitLen() > 256 {
			break
		}
		if got := agree(t, key.Public().(ed25519.PublicKey), nil, append(bytes.Clone(sig[:32]), little(x)...)); got != (n == 0) {
			t.Errorf("S + %d·ℓ verifies: %v", n, got)
		}
	}
	for _, x := range []*big.Int{big.NewInt(0), big.NewInt(1), new(big.Int).Sub(order, big.NewInt(1)), order, new(big.Int).Lsh(big.NewInt(1), 255)} {
		agree(t, key.Public().(ed25519.PublicKey), nil, append(bytes.Clone(sig[:32]), little(x)...))
	}
}

// small are encodings of the points of small order, and encodings of the same that are not canonical: y above the prime 2²⁵⁵-19, or a sign
// where x is 0. They are what "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko, 2020), table 6, lists.
func small(t *testing.T) (list [][]byte) {
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	eighth := unhex(t, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a") // y of a point of order 8
	for _, y := range [][]byte{
		little(big.NewInt(1)), little(new(big.Int).Sub(prime, big.NewInt(1))), little(big.NewInt(0)), eighth,
		unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), // its negative
		little(new(big.Int).Add(prime, big.NewInt(1))), little(prime),
	} {
		signed := bytes.Clone(y)
		signed[31] |= 0x80
		list = append(list, y, signed)
	}
	return list
}

// TestSmallOrder: with a key of small order, or one with a part of it, whether a signature verifies depends on k as a number and on R as bytes. All
// that can be made of these points is tried, and some of it must verify.
func TestSmallOrder(t *testing.T) {
	points := small(t)
	mixed := new(edwards25519.Point)
	seed := []byte("mixed order mixed order mixed 32")
	honest, err := new(edwards25519.Point).SetBytes(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	keys := append([][]byte{}, points...)
	for _, p := range points {
		torsion, err := new(edwards25519.Point).SetBytes(p)
		if err != nil {
			t.Fatalf("%x is no point", p)
		}
		keys = append(keys, mixed.Add(honest, torsion).Bytes())
	}
	good := map[bool]int{}
	key := NewKey(seed)
	for n, public := range keys {
		v := NewVerifier(public)
		if v == nil {
			t.Fatalf("%x is refused as a key", public)
		}
		check := func(message, sig []byte) {
			want := ed25519.Verify(public, message, sig)
			if got := v.Verify(message, sig); got != want {
				t.Errorf("key %x, message %x, signature %x: %v, and crypto/ed25519 says %v", public, message, sig, got, want)
			}
			if want {
				good[n < len(points)]++
			}
		}
		message := make([]byte, 4)
		for i := range uint32(32) {
			binary.LittleEndian.PutUint32(message, i)
			for _, r := range points { // S = 0: [k]A = -R
				check(message, append(bytes.Clone(r), make([]byte, 32)...))
			}
			// As the owner of the honest part would sign: it verifies where k is a multiple of the torsion's order.
			r := digest([]byte("nonce"), message)
			point := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
			k := digest(point, public, message)
			check(message, append(point, edwards25519.NewScalar().MultiplyAdd(k, key.scalar, r).Bytes()...))
		}
	}
	if good[true] < 100 || good[false] < 50 {
		t.Errorf("of keys of small order %d signatures verify, of mixed ones %d: too few to say anything", good[true], good[false])
	}
}

// TestMultiples compares products with the library's for the scalars at which digits carry and change their sign.
func TestMultiples(t *testing.T) {
	m := ofBase()
	one := big.NewInt(1)
	for i := uint(0); i < 252; i++ {
		p := new(big.Int).Lsh(one, i)
		for _, n := range []*big.Int{p, new(big.Int).Sub(p, one), new(big.Int).Sub(order, p), new(big.Int).Mul(p, big.NewInt(127)), new(big.Int).Mul(p, big.NewInt(128)), new(big.Int).Mul(p, big.NewInt(129)), new(big.Int).Mul(p, big.NewInt(255))} {
			s, err := edwards25519.NewScalar().SetCanonicalBytes(little(n.Mod(n, order)))
			if err != nil {
				t.Fatal(err)
			}
			var q point
			q.zero()
			m.addTo(&q, s)
			if got, want := q.bytes(), new(edwards25519.Point).ScalarBaseMult(s).Bytes(); !bytes.Equal(got[:], want) {
				t.Errorf("%v·B is %x, want %x", n, got, want)
			}
		}
	}
}

// FuzzVerify compares with crypto/ed25519. A signature that verifies is made of the seed, and then changed.
func FuzzVerify(f *testing.F) {
	f.Add(make([]byte, 32), []byte("message"), []byte(nil), []byte(nil))
	f.Add(make([]byte, 32), []byte("message"), make([]byte, 32), []byte{1})
	f.Fuzz(func(t *testing.T, seed, message, key, change []byte) {
		if len(seed) != ed25519.SeedSize {
			t.Skip()
		}
		private := ed25519.NewKeyFromSeed(seed)
		public, sig := []byte(private.Public().(ed25519.PublicKey)), ed25519.Sign(private, message)
		for i, b := range change[:min(len(change), len(sig))] {
			sig[i] ^= b
		}
		if len(key) == ed25519.PublicKeySize {
			public = key
		}
		agree(t, public, message, sig)
	})
}

func BenchmarkNewVerifier(b *testing.B) {
	public := NewKey(make([]byte, 32)).Public()
	for b.Loop() {
		NewVerifier(public)
	}
}

func BenchmarkVerify(b *testing.B) {
	k, message := NewKey(make([]byte, 32)), make([]byte, 600)
	sig := k.Sign(message)
	b.Run("this", func(b *testing.B) {
		for v := NewVerifier(k.Public()); b.Loop(); {
			if !v.Verify(message, sig) {
				b.Fatal("it does not verify")
			}
		}
	})
	b.Run("crypto-ed25519", func(b *testing.B) {
		for b.Loop() {
			if !ed25519.Verify(k.Public(), message, sig) {
				b.Fatal("it does not verify")
			}
		}
	})
}
