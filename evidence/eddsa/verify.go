package eddsa

import (
	"crypto/ed25519"
	"crypto/sha512"
	"sync"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// A Verifier verifies many signatures of one key. It takes what crypto/ed25519.Verify takes, and nothing else: R is compared as bytes, S must be
// canonical, and [S]B = R + [k]A must hold without a cofactor, for every point that is accepted as a key, also one of small order. What is faster is
// that the multiples of the key are known, as those of the base point are, so that 64 additions and no doubling give the sum. They take 480 KiB,
// and the time of some dozen signatures. Its methods may be called concurrently. Nothing in it is secret, and its time depends on its input.
type Verifier struct {
	public [ed25519.PublicKeySize]byte
	minus  *multiples // of -A
}

// NewVerifier returns a verifier for a key; nil if no signature verifies with it: its length is wrong, or it is no point of the curve.
func NewVerifier(public ed25519.PublicKey) *Verifier {
	if len(public) != ed25519.PublicKeySize {
		return nil
	}
	a, err := new(edwards25519.Point).SetBytes(public)
	if err != nil {
		return nil
	}
	return &Verifier{[ed25519.PublicKeySize]byte(public), newMultiples(a.Negate(a))}
}

// Verify reports whether sig is the signature of message.
func (v *Verifier) Verify(message, sig []byte) bool {
	if len(sig) != ed25519.SignatureSize {
		return false
	}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(sig[32:])
	if err != nil {
		return false
	}
	h := sha512.New()
	h.Write(sig[:32])
	h.Write(v.public[:])
	h.Write(message)
	var sum [sha512.Size]byte
	k, _ := edwards25519.NewScalar().SetUniformBytes(h.Sum(sum[:0])) // 64 bytes are no error
	var p point
	p.zero()
	v.minus.addTo(&p, k)
	ofBase().addTo(&p, s)
	return p.bytes() == [32]byte(sig)
}

// multiples has those of a point P: multiples[i][j] is (j+1)·256ⁱ·P.
type multiples [32][128]affine

// An affine point is the right operand of an addition, with Z = 1.
type affine struct{ plus, minus, t2d field.Element } // y+x, y-x, 2dxy

// ofBase are the multiples of the base point.
var ofBase = sync.OnceValue(func() *multiples { return newMultiples(edwards25519.NewGeneratorPoint()) })

func newMultiples(of *edwards25519.Point) *multiples {
	_, d2 := generator()
	x, y, z, t := of.ExtendedCoordinates()
	p := point{*x, *y, *z, *t}
	m := new(multiples)
	for i := range m {
		var row [128]point
		var one cached
		one.set(&p, &d2)
		row[0] = p
		for j := 1; j < len(row); j++ {
			row[j] = row[j-1]
			row[j].add(&one)
		}
		normalize(&row)
		for j := range row {
			q := &row[j]
			m[i][j].plus.Add(&q.y, &q.x)
			m[i][j].minus.Subtract(&q.y, &q.x)
			m[i][j].t2d.Multiply(q.t.Multiply(&q.x, &q.y), &d2)
		}
		for range 8 {
			p.double()
		}
	}
	return m
}

// normalize makes Z of each point 1, by one inversion (Montgomery's trick); T it leaves undefined. Z is never 0 on this curve.
func normalize(row *[128]point) {
	var before [128]field.Element // the product of Z up to there
	var all field.Element
	all.One()
	for i := range row {
		before[i].Set(&all)
		all.Multiply(&all, &row[i].z)
	}
	all.Invert(&all)
	for i := len(row) - 1; i >= 0; i-- {
		var inverse field.Element
		inverse.Multiply(&all, &before[i])
		all.Multiply(&all, &row[i].z)
		row[i].x.Multiply(&row[i].x, &inverse)
		row[i].y.Multiply(&row[i].y, &inverse)
		row[i].z.One()
	}
}

// addTo adds s·P to p. The product is that of the number s, which is not reduced any more: so it is the right one also where the order of P is
// not that of the base point.
func (m *multiples) addTo(p *point, s *edwards25519.Scalar) {
	carry := 0
	for i, b := range s.Bytes() { // little-endian, below 2²⁵³: nothing is carried out of the last one
		d := int(b) + carry
		carry = 0
		if d > 128 {
			d, carry = d-256, 1
		}
		switch {
		case d > 0:
			p.addAffine(&m[i][d-1], false)
		case d < 0:
			p.addAffine(&m[i][-d-1], true)
		}
	}
}

// addAffine sets p to p+q, or to p-q.
func (p *point) addAffine(q *affine, negative bool) {
	var plus, minus, pp, mm, tt, zz field.Element
	plus.Add(&p.y, &p.x)
	minus.Subtract(&p.y, &p.x)
	zz.Add(&p.z, &p.z)
	tt.Multiply(&p.t, &q.t2d)
	var x, y, z, t field.Element
	if negative { // -q has plus and minus exchanged, and 2dxy negative
		pp.Multiply(&plus, &q.minus)
		mm.Multiply(&minus, &q.plus)
		z.Subtract(&zz, &tt)
		t.Add(&zz, &tt)
	} else {
		pp.Multiply(&plus, &q.plus)
		mm.Multiply(&minus, &q.minus)
		z.Add(&zz, &tt)
		t.Subtract(&zz, &tt)
	}
	x.Subtract(&pp, &mm)
	y.Add(&pp, &mm)
	p.complete(&x, &y, &z, &t)
}
