package analyze

import (
	"fmt"
	"strings"
)

// interval is a range of the values of a word or of an argument that lead to the same rest of a diagram.
type interval struct {
	lo, hi uint64
	to     ref
}

// intervals cuts the values of the bits from first to first+width into ranges, and reports whether there are at most limit.
// f tests no bit before first.
func (d *diagrams) intervals(f ref, first, width uint32, limit int) ([]interval, bool) {
	var out []interval
	var walk func(f ref, bit uint32, lo uint64) bool
	walk = func(f ref, bit uint32, lo uint64) bool {
		n := d.nodes[f]
		if n.bit >= first+width {
			hi := lo + (1<<(first+width-bit) - 1)
			if bit == first && width == 64 {
				hi = ^uint64(0)
			}
			if k := len(out); k > 0 && out[k-1].to == f {
				out[k-1].hi = hi
				return true
			}
			out = append(out, interval{lo, hi, f})
			return len(out) <= limit
		}
		if n.bit > bit { // this bit does not matter here
			return walk(f, bit+1, lo) && walk(f, bit+1, lo|1<<(first+width-1-bit))
		}
		return walk(n.lo, bit+1, lo) && walk(n.hi, bit+1, lo|1<<(first+width-1-bit))
	}
	ok := walk(f, first, 0)
	return out, ok
}

// Cube is the set of the numbers v with v & Mask == Value.
type Cube struct {
	Mask  uint64 `json:"mask"`
	Value uint64 `json:"value"`
}

// Range is a set of consecutive numbers, both ends included.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Set is a set of values of an argument: the union of Ranges and Cubes, or, with Not, everything else. If it is too irregular to
// be written down, More is true, and what is there is only a part of it.
type Set struct {
	Bits   int     `json:"bits"` // 32 if the high word does not matter, and 64
	Ranges []Range `json:"ranges,omitempty"`
	Cubes  []Cube  `json:"masked,omitempty"`
	Not    bool    `json:"not,omitempty"`
	More   bool    `json:"more,omitempty"`
}

const maxParts = 16 // of a set that is written down

// set describes the set f of values of the argument whose bits begin at first.
func (d *diagrams) set(f ref, first uint32) Set {
	s := Set{Bits: 32}
	width, start := uint32(32), first+32
	if d.nodes[f].bit < start {
		s.Bits, width, start = 64, 64, first
	}
	collect := func(f ref) ([]Range, bool) {
		in, ok := d.intervals(f, start, width, 2*maxParts)
		var out []Range
		for _, i := range in {
			if i.to == yes {
				out = append(out, Range{i.lo, i.hi})
			}
		}
		return out, ok && len(out) <= maxParts
	}
	inside, ok := collect(f)
	rest, outOK := collect(d.not(f))
	cubes, cubesOK := d.cubes(f, start, width, maxParts)
	outside, outsideOK := d.cubes(d.not(f), start, width, maxParts)
	values, valuesOK := d.values(f, start, width)
	others, othersOK := d.values(d.not(f), start, width)
	switch {
	case outsideOK && len(outside) == 1 && !(ok && len(inside) == 1):
		s.Not, s.Cubes = true, outside
	case outOK && len(rest) < len(inside):
		s.Not, s.Ranges = true, rest
	case ok && len(inside) <= maxParts/2:
		s.Ranges = inside
	case valuesOK:
		s.Cubes = values
	case othersOK:
		s.Not, s.Cubes = true, others
	case ok:
		s.Ranges = inside
	case cubesOK:
		s.Cubes = cubes
	case outsideOK:
		s.Not, s.Cubes = true, outside
	default:
		s.Cubes, s.More = cubes, true
	}
	return s
}

// cubes lists the paths to yes, and reports whether there are at most limit.
func (d *diagrams) cubes(f ref, first, width uint32, limit int) ([]Cube, bool) {
	var out []Cube
	var walk func(f ref, c Cube) bool
	walk = func(f ref, c Cube) bool {
		if f == no {
			return true
		}
		if f == yes {
			if len(out) == limit {
				return false
			}
			out = append(out, c)
			return true
		}
		n := d.nodes[f]
		bit := uint64(1) << (first + width - 1 - n.bit)
		c.Mask |= bit
		return walk(n.lo, c) && walk(n.hi, Cube{c.Mask, c.Value | bit})
	}
	ok := walk(f, Cube{})
	return out, ok
}

// values describes f by the values of all the bits that it tests, together, if they are few.
func (d *diagrams) values(f ref, first, width uint32) ([]Cube, bool) {
	mask, bits := uint64(0), 0
	d.each(f, func(r ref) {
		if n := d.nodes[r]; r >= maxTerminals {
			if bit := uint64(1) << (first + width - 1 - n.bit); mask&bit == 0 {
				mask |= bit
				bits++
			}
		}
	})
	if bits == 0 || bits > 10 {
		return nil, false
	}
	var out []Cube
	for v := uint64(0); ; v = (v - mask) & mask { // every subset of mask, in ascending order
		r := f
		for r >= maxTerminals {
			n := d.nodes[r]
			if v>>(first+width-1-n.bit)&1 != 0 {
				r = n.hi
			} else {
				r = n.lo
			}
		}
		if r == yes {
			if len(out) == maxParts {
				return nil, false
			}
			out = append(out, Cube{mask, v})
		}
		if v == mask {
			return out, true
		}
	}
}

// text writes the set as a condition on the name that stands before it, such as "arg1 & 0xf000 == 0x8000" or "arg0 in {1, 5-7}".
func (s Set) text(name string) string {
	if len(s.Cubes) == 1 && len(s.Ranges) == 0 && !s.More {
		c, op := s.Cubes[0], "=="
		if s.Not {
			op = "!="
		}
		all := ^uint64(0)
		if s.Bits == 32 {
			all = 0xffffffff
		}
		if c.Mask == all {
			return fmt.Sprintf("%s %s %s", name, op, hexOrDec(c.Value))
		}
		if s.Not && c.Value == c.Mask && c.Mask&(c.Mask-1) == 0 {
			return fmt.Sprintf("%s & %#x == 0", name, c.Mask)
		}
		return fmt.Sprintf("%s & %#x %s %s", name, c.Mask, op, hexOrDec(c.Value))
	}
	max := ^uint64(0)
	if s.Bits == 32 {
		max = 0xffffffff
	}
	if len(s.Ranges) == 1 && len(s.Cubes) == 0 && !s.Not {
		switch r := s.Ranges[0]; {
		case r.From == r.To:
			return fmt.Sprintf("%s == %s", name, hexOrDec(r.From))
		case r.From == 0:
			return fmt.Sprintf("%s <= %s", name, hexOrDec(r.To))
		case r.To == max:
			return fmt.Sprintf("%s >= %s", name, hexOrDec(r.From))
		}
	}
	var parts []string
	for _, r := range s.Ranges {
		if r.From == r.To {
			parts = append(parts, hexOrDec(r.From))
		} else {
			parts = append(parts, hexOrDec(r.From)+"-"+hexOrDec(r.To))
		}
	}
	is := " in {"
	if s.Not && len(s.Cubes) == 0 {
		is = " not in {"
	}
	in := name + is + strings.Join(parts, ", ") + "}"
	if one := len(s.Cubes) > 0 && len(parts) == 0; one && sameMask(s.Cubes) {
		for _, c := range s.Cubes {
			parts = append(parts, hexOrDec(c.Value))
		}
		in = fmt.Sprintf("%s & %#x in {%s}", name, s.Cubes[0].Mask, strings.Join(parts, ", "))
	} else if len(s.Cubes) > 0 {
		var alternatives []string
		if len(parts) > 0 {
			alternatives = append(alternatives, in)
		}
		for _, c := range s.Cubes {
			alternatives = append(alternatives, fmt.Sprintf("%s & %#x == %#x", name, c.Mask, c.Value))
		}
		in = "(" + strings.Join(alternatives, " or ") + ")"
	}
	if s.Not && len(s.Cubes) > 0 {
		in = "not " + in
	}
	if s.More {
		in += " or more"
	}
	return in
}

func sameMask(cubes []Cube) bool {
	for _, c := range cubes {
		if c.Mask != cubes[0].Mask {
			return false
		}
	}
	return true
}

func hexOrDec(n uint64) string {
	if n < 4096 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%#x", n)
}
