package strict

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math/big"
	"testing"
)

func seeded(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }

func TestVerify(t *testing.T) {
	private := seeded(7)
	key, err := ParseKey(private.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	msg := []byte("message")
	sig := ed25519.Sign(private, msg)
	if !key.Verify(msg, sig) {
		t.Error("a good signature does not verify")
	}
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 1
		if key.Verify(msg, bad) {
			t.Errorf("a signature with byte %d changed verifies", i)
		}
	}
	for _, n := range []int{0, 63, 65} {
		if key.Verify(msg, make([]byte, n)) {
			t.Errorf("%d bytes verify", n)
		}
	}
	if (Key{}).Verify(msg, sig) {
		t.Error("the zero key verifies")
	}
}

// The order of the group, RFC 8032 section 5.1.
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func TestUnreducedS(t *testing.T) {
	private := seeded(7)
	key, _ := ParseKey(private.Public().(ed25519.PublicKey))
	sig := ed25519.Sign(private, []byte("m"))
	s := new(big.Int)
	le := bytes.Clone(sig[32:])
	for i, j := 0, 31; i < j; i, j = i+1, j-1 {
		le[i], le[j] = le[j], le[i]
	}
	s.SetBytes(le).Add(s, order)
	be := s.FillBytes(make([]byte, 32))
	for i, b := range be {
		sig[63-i] = b
	}
	if key.Verify([]byte("m"), sig) {
		t.Error("S + L verifies")
	}
}

// The eight points of small order, and their other encodings (RFC 7748 section 6 lists those of the Montgomery form).
func TestSmallOrder(t *testing.T) {
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"0100000000000000000000000000000000000000000000000000000000000080", // not reduced, or with a sign that it cannot have
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0200000000000000000000000000000000000000000000000000000000000000", // no point
	} {
		raw, _ := hex.DecodeString(text)
		if _, err := ParseKey(raw); err == nil {
			t.Errorf("%s is taken as a key", text)
		}
		// R of small order with S = 0 and a key of the same kind is the universal signature; with a good key it must fail too.
		key, _ := ParseKey(seeded(7).Public().(ed25519.PublicKey))
		if key.Verify([]byte("m"), append(raw, make([]byte, 32)...)) {
			t.Errorf("R %s verifies", text)
		}
	}
}

// A signature with an R of small order can be made by the owner of a good key: S = k·a. The standard library takes it.
func TestSmallOrderR(t *testing.T) {
	private := seeded(9)
	public := private.Public().(ed25519.PublicKey)
	key, _ := ParseKey(public)
	sig := signWithIdentityR(private, []byte("m"))
	if !ed25519.Verify(public, []byte("m"), sig) {
		t.Fatal("the test does not make the signature that it is about")
	}
	if key.Verify([]byte("m"), sig) {
		t.Error("a signature with R of small order verifies")
	}
}

func TestLength(t *testing.T) {
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := ParseKey(make([]byte, n)); err == nil {
			t.Errorf("%d bytes are taken as a key", n)
		}
	}
}
