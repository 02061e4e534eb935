package seccomp

import (
	"errors"
	"slices"
)

var errTooLong = errors.New("the program would have more than 4096 instructions, the most that the kernel takes")

// maxWork bounds the work on one program, in pairs of a case and a range of values: hardened needs 120. A case or a range that
// matters becomes an instruction, so a program of 4096 has no use for more.
const maxWork = 1 << 22

// decide emits the decision of a rule: the first case that holds, or else otherwise. It works on a table of decisions and not
// on chains of tests: it takes the variable that the first case tests first, cuts its values into classes within which every
// condition on it holds or does not, and decides the cases that are left for each class.
func (a *assembler) decide(cases []Case, otherwise Action) (target, error) {
	if len(cases) == 0 {
		return result(otherwise), nil
	}
	if len(cases[0].All) == 0 {
		return result(cases[0].Then), nil
	}
	v := cases[0].All[0].variable()
	cuts := cutpoints(v, cases)
	if a.work += len(cuts) * len(cases); a.work > maxWork || len(a.out) > MaxInstructions {
		return target{}, errTooLong
	}
	type class struct {
		cases []Case
		to    target
	}
	var classes []class
	parts := make([]part, 0, len(cuts))
	for i, lo := range cuts {
		hi := v.mask
		if i+1 < len(cuts) {
			hi = cuts[i+1] - 1
		}
		rest := restrict(v, cases, lo)
		k := slices.IndexFunc(classes, func(c class) bool { return sameCases(c.cases, rest) })
		if k < 0 {
			k = len(classes)
			classes = append(classes, class{cases: rest})
		}
		parts = append(parts, part{hi: hi, class: k})
	}
	for i := range classes { // backwards would put the first class nearest; the difference is a nanosecond
		to, err := a.decide(classes[i].cases, otherwise)
		if err != nil {
			return target{}, err
		}
		classes[i].to = to
	}
	for i := range parts {
		parts[i].to = classes[parts[i].class].to
	}
	return a.argument(v, parts), nil
}

// part is a range of values of an argument under its mask, from the end of the part before it to hi.
type part struct {
	hi    uint64
	class int
	to    target
}

// cutpoints returns the values at which a condition on v begins or ceases to hold, in order, the first of them 0.
func cutpoints(v variable, cases []Case) []uint64 {
	cuts := []uint64{0}
	add := func(n uint64) {
		if n <= v.mask { // no masked value is greater than the mask
			cuts = append(cuts, n)
		}
	}
	for _, c := range cases {
		for _, d := range c.All {
			if d.variable() == v {
				for _, s := range d.In {
					add(s.Lo)
					if s.Hi < v.mask {
						add(s.Hi + 1)
					}
				}
			}
		}
	}
	slices.Sort(cuts)
	return slices.Compact(cuts)
}

// restrict returns the cases that can still hold when v is n under its mask, without their conditions on v. Nothing follows a case
// without conditions, and trailing cases with the verdict of the rule itself are left to the caller.
func restrict(v variable, cases []Case, n uint64) []Case {
	var out []Case
	for _, c := range cases {
		rest := c.All
		holds := true
		for _, d := range c.All {
			if d.variable() == v {
				holds = holds && d.has(n)
			}
		}
		if !holds {
			continue
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(d Cond) bool { return d.variable() == v })
		out = append(out, Case{rest, c.Then})
		if len(rest) == 0 {
			break
		}
	}
	return out
}

func sameCases(a, b []Case) bool {
	return slices.EqualFunc(a, b, func(c, d Case) bool { return c.Then == d.Then && sameConds(c.All, d.All) })
}

// argument emits loads and tests of one argument. The low word is at 16+8n, the high word after it: seccomp_data is in the byte
// order of the machine, and all of ours are little-endian.
func (a *assembler) argument(v variable, parts []part) target {
	off := uint32(offArgs + 8*v.arg)
	var pieces []piece // of the high word
	var lows []piece   // of the low word, under the high word at hand
	start := uint64(0)
	for i, p := range parts {
		for {
			high := uint32(start >> 32)
			if uint32(p.hi>>32) == high { // the part ends under this high word
				lows = append(lows, piece{uint32(p.hi), p.to})
				if last := i == len(parts)-1; last || uint32(p.hi) == 0xffffffff {
					pieces = append(pieces, piece{high, a.word(off, uint32(v.mask), lows)})
					lows = nil
				}
				break
			}
			lows = append(lows, piece{0xffffffff, p.to})
			pieces = append(pieces, piece{high, a.word(off, uint32(v.mask), lows)})
			lows = nil
			start = (start>>32 + 1) << 32
			if end := p.hi >> 32; start>>32 < end { // whole high words inside the part
				pieces = append(pieces, piece{uint32(end) - 1, p.to})
				start = end << 32
			}
		}
		start = p.hi + 1
	}
	if v.mask>>32 == 0 {
		return pieces[0].to
	}
	return a.word(off+4, uint32(v.mask>>32), pieces)
}

// word emits the load of the word at off, the mask, and the search. Pieces above the mask do not count.
func (a *assembler) word(off, mask uint32, pieces []piece) target {
	pieces = join(slices.Clone(pieces))
	n := slices.IndexFunc(pieces, func(p piece) bool { return p.hi >= mask })
	if n >= 0 {
		pieces = pieces[:n+1]
		pieces[n].hi = mask
	} else {
		pieces[len(pieces)-1].hi = mask
	}
	if len(pieces) == 1 {
		return pieces[0].to
	}
	load := Instruction{Code: opLoad, K: off}
	if mask != 0xffffffff && len(pieces) == 2 && pieces[0].hi == 0 {
		return a.before(load, a.test(opJSET, mask, pieces[1].to, pieces[0].to))
	}
	t := a.tree(pieces)
	if mask != 0xffffffff {
		t = a.before(Instruction{Code: opAnd, K: mask}, t)
	}
	return a.before(load, t)
}
