package analyze

// vector is a 32-bit value as a function of the input: one diagram a bit, the lowest first.
type vector [32]ref

func constant(k uint32) vector {
	var v vector
	for i := range v {
		v[i] = ref(k >> i & 1)
	}
	return v
}

// word is the vector of a word of the input whose highest bit is first.
func (d *diagrams) word(first uint32) vector {
	var v vector
	for i := range v {
		v[i] = d.variable(first + 31 - uint32(i))
	}
	return v
}

func (d *diagrams) each2(a, b *vector, op func(x, y ref) ref) (v vector) {
	for i := range v {
		v[i] = op(a[i], b[i])
	}
	return v
}

func (d *diagrams) choose(f ref, a, b *vector) vector {
	return d.each2(a, b, func(x, y ref) ref { return d.ite(f, x, y) })
}

// add returns a + b + carry and the last carry.
func (d *diagrams) add(a, b *vector, carry ref) (v vector, out ref) {
	for i := range v {
		x := d.xor(a[i], b[i])
		v[i] = d.xor(x, carry)
		carry = d.ite(x, carry, a[i])
	}
	return v, carry
}

func (d *diagrams) inverted(a *vector) (v vector) {
	for i := range v {
		v[i] = d.not(a[i])
	}
	return v
}

// sub returns a - b, and whether a is at least b.
func (d *diagrams) sub(a, b *vector) (vector, ref) {
	n := d.inverted(b)
	return d.add(a, &n, yes)
}

func (d *diagrams) mul(a, b *vector) vector {
	v := constant(0)
	for i, bit := range b {
		if bit == no || d.gone {
			continue
		}
		part := constant(0)
		for j := i; j < 32; j++ {
			part[j] = d.and(a[j-i], bit)
		}
		v, _ = d.add(&v, &part, no)
	}
	return v
}

// div returns a / b, for b other than 0: long division.
func (d *diagrams) div(a, b *vector) vector {
	var q vector
	rest := constant(0)
	for i := 31; i >= 0 && !d.gone; i-- {
		carry := rest[31] // the rest has 33 bits here
		copy(rest[1:], rest[:31])
		rest[0] = a[i]
		less, enough := d.sub(&rest, b)
		q[i] = d.or(carry, enough)
		rest = d.choose(q[i], &less, &rest)
	}
	return q
}

// shift moves a by the low five bits of b, to the left or to the right.
func (d *diagrams) shift(a, b *vector, left bool) vector {
	v := *a
	for k := range 5 {
		if b[k] == no {
			continue
		}
		moved := constant(0)
		for i := range moved {
			from := i + 1<<k
			if left {
				from = i - 1<<k
			}
			if from >= 0 && from < 32 {
				moved[i] = v[from]
			}
		}
		v = d.choose(b[k], &moved, &v)
	}
	return v
}

// equal, greater, atLeast and anyBit compare without a sign.
func (d *diagrams) equal(a, b *vector) ref {
	r := yes
	for i := range a { // from the lowest bit, which the diagrams test last
		r = d.ite(d.xor(a[i], b[i]), no, r)
	}
	return r
}

func (d *diagrams) atLeast(a, b *vector) ref {
	r := yes
	for i := range a {
		// The higher bit decides where they differ.
		r = d.ite(d.xor(a[i], b[i]), a[i], r)
	}
	return r
}

func (d *diagrams) anyBit(a, b *vector) ref {
	r := no
	for i := range a {
		if b[i] != no {
			r = d.or(d.and(a[i], b[i]), r)
		}
	}
	return r
}
