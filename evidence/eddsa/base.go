package eddsa

import (
	"crypto/subtle"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// base has the multiples of the base point B: base[i][j] is (j+1)·256ⁱ·B.
type base [32][8]cached

func (b *base) fill() {
	p, d2 := generator()
	for i := range b {
		q := p
		for j := range b[i] {
			if j > 0 {
				q.add(&b[i][0])
			}
			b[i][j].set(&q, &d2)
		}
		for range 8 {
			p.double()
		}
	}
}

// multiply returns s·B, in constant time.
//
// With s = Σ dᵢ·16ⁱ and |dᵢ| ≤ 8, s·B = Σ d₂ᵢ·256ⁱ·B + 16·Σ d₂ᵢ₊₁·256ⁱ·B.
func (b *base) multiply(s *edwards25519.Scalar) point {
	digits := radix16(s.Bytes())
	var p point
	var c cached
	p.zero()
	for i := 1; i < len(digits); i += 2 {
		b.pick(&c, i/2, digits[i])
		p.add(&c)
	}
	for range 4 {
		p.double()
	}
	for i := 0; i < len(digits); i += 2 {
		b.pick(&c, i/2, digits[i])
		p.add(&c)
	}
	return p
}

// pick sets c to d·256ⁱ·B for d from -8 to 8. Which d it is shows neither in time nor in addresses.
func (b *base) pick(c *cached, i int, d int8) {
	sign := int(uint8(d) >> 7)
	size := int32((int(d) ^ -sign) + sign)
	c.plus.One()
	c.minus.One()
	c.z.One()
	c.t2d.Zero()
	for j := range b[i] {
		is, x := subtle.ConstantTimeEq(size, int32(j+1)), &b[i][j]
		c.plus.Select(&x.plus, &c.plus, is)
		c.minus.Select(&x.minus, &c.minus, is)
		c.z.Select(&x.z, &c.z, is)
		c.t2d.Select(&x.t2d, &c.t2d, is)
	}
	var negative field.Element
	negative.Negate(&c.t2d)
	c.plus.Swap(&c.minus, sign)
	c.t2d.Select(&negative, &c.t2d, sign)
}

// radix16 returns the digits of a scalar below 2²⁵⁵, little-endian, each from -8 to 8.
func radix16(s []byte) (digits [64]int8) {
	for i, b := range s {
		digits[2*i] = int8(b & 15)
		digits[2*i+1] = int8(b >> 4)
	}
	for i := range len(digits) - 1 {
		carry := (digits[i] + 8) >> 4
		digits[i] -= carry << 4
		digits[i+1] += carry
	}
	return digits
}
