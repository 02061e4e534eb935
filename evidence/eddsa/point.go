package eddsa

import (
	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// A point of the curve in extended coordinates: x = X/Z, y = Y/Z, xy = T/Z (Hisil, Wong, Carter, Dawson: "Twisted Edwards Curves Revisited",
// 2008, section 3).
type point struct{ x, y, z, t field.Element }

// A cached point is the right operand of an addition.
type cached struct{ plus, minus, z, t2d field.Element } // Y+X, Y-X, Z, 2dT

// generator returns the base point, and 2d of the curve's equation.
func generator() (p point, d2 field.Element) {
	x, y, z, t := edwards25519.NewGeneratorPoint().ExtendedCoordinates()
	// d = -121665/121666.
	var n, m field.Element
	n.One()
	m.Mult32(&n, 121666)
	n.Mult32(&n, 121665)
	n.Negate(&n)
	d2.Multiply(&n, m.Invert(&m))
	d2.Add(&d2, &d2)
	return point{*x, *y, *z, *t}, d2
}

func (p *point) zero() {
	p.x.Zero()
	p.y.One()
	p.z.One()
	p.t.Zero()
}

func (c *cached) set(p *point, d2 *field.Element) {
	c.plus.Add(&p.y, &p.x)
	c.minus.Subtract(&p.y, &p.x)
	c.z.Set(&p.z)
	c.t2d.Multiply(&p.t, d2)
}

// add sets p to p+q.
func (p *point) add(q *cached) {
	var plus, minus, pp, mm, tt, zz field.Element
	plus.Add(&p.y, &p.x)
	minus.Subtract(&p.y, &p.x)
	pp.Multiply(&plus, &q.plus)
	mm.Multiply(&minus, &q.minus)
	tt.Multiply(&p.t, &q.t2d)
	zz.Multiply(&p.z, &q.z)
	zz.Add(&zz, &zz)

	var x, y, z, t field.Element
	x.Subtract(&pp, &mm)
	y.Add(&pp, &mm)
	z.Add(&zz, &tt)
	t.Subtract(&zz, &tt)
	p.complete(&x, &y, &z, &t)
}

// double sets p to 2p.
func (p *point) double() {
	var xx, yy, zz, sum field.Element
	xx.Square(&p.x)
	yy.Square(&p.y)
	zz.Square(&p.z)
	zz.Add(&zz, &zz)
	sum.Add(&p.x, &p.y)
	sum.Square(&sum)

	var x, y, z, t field.Element
	y.Add(&yy, &xx)
	z.Subtract(&yy, &xx)
	x.Subtract(&sum, &y)
	t.Subtract(&zz, &z)
	p.complete(&x, &y, &z, &t)
}

// complete sets p from the coordinates of a sum, in which x = X/Z and y = Y/T.
func (p *point) complete(x, y, z, t *field.Element) {
	p.x.Multiply(x, t)
	p.y.Multiply(y, z)
	p.z.Multiply(z, t)
	p.t.Multiply(x, y)
}

// bytes returns the encoding of RFC 8032, section 5.1.2.
func (p *point) bytes() [32]byte {
	var inverse, x, y field.Element
	inverse.Invert(&p.z)
	x.Multiply(&p.x, &inverse)
	y.Multiply(&p.y, &inverse)
	b := [32]byte(y.Bytes())
	b[31] |= byte(x.IsNegative() << 7)
	return b
}
