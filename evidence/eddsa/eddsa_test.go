package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"filippo.io/edwards25519"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors are tests 1 to 3 of RFC 8032, section 7.1.
func TestVectors(t *testing.T) {
	for _, v := range [][4]string{
		{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
		{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	} {
		k := NewKey(unhex(t, v[0]))
		if got := hex.EncodeToString(k.Public()); got != v[1] {
			t.Errorf("the public key of %s is %s", v[0], got)
		}
		if got := hex.EncodeToString(k.Sign(unhex(t, v[2]))); got != v[3] {
			t.Errorf("the signature of %q is %s", v[2], got)
		}
	}
}

func same(t *testing.T, seed, message []byte) {
	t.Helper()
	want := ed25519.NewKeyFromSeed(seed)
	k := NewKey(seed)
	if !k.Public().Equal(want.Public()) {
		t.Errorf("seed %x: the public key is %x, want %x", seed, k.Public(), want.Public())
	}
	if got := k.Sign(message); !bytes.Equal(got, ed25519.Sign(want, message)) {
		t.Errorf("seed %x, message %x: the signature is %x, want %x", seed, message, got, ed25519.Sign(want, message))
	}
}

// TestAsTheStandardLibrary compares with crypto/ed25519.
func TestAsTheStandardLibrary(t *testing.T) {
	r := rand.NewChaCha8([32]byte{7})
	for i := range 500 {
		seed, message := make([]byte, 32), make([]byte, i)
		r.Read(seed)
		r.Read(message)
		same(t, seed, message)
	}
}

func FuzzAsTheStandardLibrary(f *testing.F) {
	f.Add(make([]byte, 32), []byte("message"))
	f.Add(bytes.Repeat([]byte{0xff}, 32), []byte(nil))
	f.Fuzz(func(t *testing.T, seed, message []byte) {
		if len(seed) == ed25519.SeedSize {
			same(t, seed, message)
		}
	})
}

// TestMultiply compares products with the library's for the scalars at which digits carry and change their sign.
func TestMultiply(t *testing.T) {
	var b base
	b.fill()
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10) // RFC 8032, section 5.1
	one := big.NewInt(1)
	var scalars []*big.Int
	for i := uint(0); i < 252; i++ {
		p := new(big.Int).Lsh(one, i)
		scalars = append(scalars, p, new(big.Int).Sub(p, one), new(big.Int).Sub(order, p), new(big.Int).Mul(p, big.NewInt(7)), new(big.Int).Mul(p, big.NewInt(9)))
	}
	for _, n := range scalars {
		n.Mod(n, order)
		le := n.FillBytes(make([]byte, 32))
		for i := range 16 {
			le[i], le[31-i] = le[31-i], le[i]
		}
		s, err := edwards25519.NewScalar().SetCanonicalBytes(le)
		if err != nil {
			t.Fatal(err)
		}
		p := b.multiply(s)
		if got, want := p.bytes(), new(edwards25519.Point).ScalarBaseMult(s).Bytes(); !bytes.Equal(got[:], want) {
			t.Errorf("%v·B is %x, want %x", n, got, want)
		}
	}
}

// TestRadix16: the digits are the number, and are small.
func TestRadix16(t *testing.T) {
	r := rand.NewChaCha8([32]byte{8})
	for range 1000 {
		b := make([]byte, 32)
		r.Read(b)
		b[31] &= 0x7f
		sum := new(big.Int)
		digits := radix16(b)
		for i := 63; i >= 0; i-- {
			if d := digits[i]; d < -8 || d > 8 {
				t.Fatalf("digit %d of %x is %d", i, b, d)
			}
			sum.Add(sum.Lsh(sum, 4), big.NewInt(int64(digits[i])))
		}
		le := sum.FillBytes(make([]byte, 32))
		for i := range 16 {
			le[i], le[31-i] = le[31-i], le[i]
		}
		if !bytes.Equal(le, b) {
			t.Fatalf("the digits of %x are %x", b, le)
		}
	}
}

func TestConcurrently(t *testing.T) {
	k := NewKey(make([]byte, 32))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			m := []byte{byte(i)}
			if !ed25519.Verify(k.Public(), m, k.Sign(m)) {
				t.Error("a bad signature")
			}
		})
	}
	all.Wait()
}

func TestNothingIsPrinted(t *testing.T) {
	seed := []byte("0123456789abcdef0123456789ABCDEF")
	k := NewKey(seed)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, k); got != "eddsa.Key(…)" || strings.Contains(got, "0123") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

func BenchmarkNewKey(b *testing.B) {
	seed := make([]byte, 32)
	for b.Loop() {
		NewKey(seed)
	}
}

func BenchmarkSign(b *testing.B) {
	message := make([]byte, 600)
	b.Run("this", func(b *testing.B) {
		for k := NewKey(make([]byte, 32)); b.Loop(); {
			k.Sign(message)
		}
	})
	b.Run("crypto-ed25519", func(b *testing.B) {
		for k := ed25519.NewKeyFromSeed(make([]byte, 32)); b.Loop(); {
			ed25519.Sign(k, message)
		}
	})
}
