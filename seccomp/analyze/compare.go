package analyze

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// Comparison is how two programs differ.
type Comparison struct {
	Arch    string `json:"arch"`
	Decided bool   `json:"decided"` // false: a bound was met, and differences may be missing
	Equal   bool   `json:"equal"`   // every input gets the same action, its data included
	// FirstAtLeastAsStrict is true if no input exists to which the first program's answer loses against the second's, by the
	// kernel's order of actions. SecondAtLeastAsStrict is the other way round. Both are false when it is not decided.
	FirstAtLeastAsStrict  bool         `json:"firstAtLeastAsStrict"`
	SecondAtLeastAsStrict bool         `json:"secondAtLeastAsStrict"`
	Differences           []Difference `json:"differences,omitempty"`
}

// Difference is a call that gets different answers, with an input as a witness.
type Difference struct {
	Call    string       `json:"call"` // a name, numbers, or "other architectures"
	First   string       `json:"first"`
	Second  string       `json:"second"`
	Witness seccomp.Data `json:"witness"`
	// Looser says who permits more: "first", "second", or "both" when it depends on the arguments; empty if only an error number
	// or other data differs.
	Looser string `json:"looser,omitempty"`
	Always bool   `json:"always"` // the arguments do not matter
}

// Compare analyses two programs for one architecture. It fails if the kernel would refuse one of them.
func Compare(first, second seccomp.Program, a *sysabi.Arch) (*Comparison, error) {
	d, actions := newDiagrams(), &[]seccomp.Action{}
	x, err := within(d, actions, first, a)
	if err != nil {
		return nil, fmt.Errorf("the first program: %w", err)
	}
	d.steps = 0
	y, err := within(d, actions, second, a)
	if err != nil {
		return nil, fmt.Errorf("the second program: %w", err)
	}
	c := &Comparison{Arch: a.String(), Decided: x.Decided() && y.Decided()}
	differ := x.relate(y, func(s, t seccomp.Action) bool { return s != t })
	firstLoses := x.relate(y, func(s, t seccomp.Action) bool { return t.Stricter(s) })
	secondLoses := x.relate(y, func(s, t seccomp.Action) bool { return s.Stricter(t) })
	c.Decided = c.Decided && !d.gone
	if d.gone {
		return c, nil
	}
	c.Equal = c.Decided && differ == no
	c.FirstAtLeastAsStrict = c.Decided && firstLoses == no
	c.SecondAtLeastAsStrict = c.Decided && secondLoses == no
	report := func(call string, differ, firstLoses, secondLoses ref) {
		if differ == no {
			return
		}
		in := d.witness(differ)
		switch { // a witness of what matters most
		case firstLoses != no:
			in = d.witness(firstLoses)
		case secondLoses != no:
			in = d.witness(secondLoses)
		}
		c.Differences = append(c.Differences, Difference{Call: call, Witness: in, Always: differ == yes, Looser: looser(firstLoses != no, secondLoses != no)})
	}
	fixed := func(f ref, nr uint32) ref { return d.fixWord(d.fixWord(f, archBit, a.Audit()), nrBit, nr) }
	for i := range a.Len() {
		name, nr := a.At(i)
		n := uint32(nr)
		before := len(c.Differences)
		report(name, fixed(differ, n), fixed(firstLoses, n), fixed(secondLoses, n))
		for j := before; j < len(c.Differences); j++ {
			c.Differences[j].Witness.NR, c.Differences[j].Witness.Arch = n, a.Audit()
		}
	}
	slices.SortStableFunc(c.Differences, func(x, y Difference) int { return int(x.Witness.NR) - int(y.Witness.NR) })
	ranges, ok := d.intervals(d.fixWord(differ, archBit, a.Audit()), nrBit, 32, 1<<12)
	c.Decided = c.Decided && ok
	for _, i := range ranges {
		for _, r := range x.nameless(Range{i.lo, i.hi}) {
			n := uint32(r.From)
			name := fmt.Sprintf("%d-%d", r.From, r.To)
			if r.From == r.To {
				name = fmt.Sprint(r.From)
			}
			before := len(c.Differences)
			report(name, i.to, fixed(firstLoses, n), fixed(secondLoses, n))
			for j := before; j < len(c.Differences); j++ {
				c.Differences[j].Witness.NR, c.Differences[j].Witness.Arch = n, a.Audit()
			}
		}
	}
	foreign := d.ite(x.isArch(a.Audit()), no, yes)
	report("other architectures", d.and(differ, foreign), d.and(firstLoses, foreign), d.and(secondLoses, foreign))
	for i := range c.Differences {
		w := &c.Differences[i]
		s, _ := x.Verdict(w.Witness)
		t, _ := y.Verdict(w.Witness)
		w.First, w.Second = s.String(), t.String()
	}
	return c, nil
}

func looser(first, second bool) string {
	switch {
	case first && second:
		return "both"
	case first:
		return "first"
	case second:
		return "second"
	}
	return ""
}

// relate is the set of inputs that both decide and on which holds(action of x, action of y).
func (x *Analysis) relate(y *Analysis, holds func(s, t seccomp.Action) bool) ref {
	return x.d.relate(x.f, y.f, func(s, t ref) bool {
		a, ok := x.action(s)
		b, ok2 := y.action(t)
		return ok && ok2 && holds(a, b)
	})
}

// isArch is the set of inputs with this arch.
func (x *Analysis) isArch(audit uint32) ref {
	w, k := x.d.word(archBit), constant(audit)
	return x.d.equal(&w, &k)
}

// String writes the comparison for people.
func (c *Comparison) String() string {
	var b strings.Builder
	switch {
	case !c.Decided:
		b.WriteString("The programs are too intricate to be compared completely.\n")
	case c.Equal:
		b.WriteString("The programs are equal.\n")
	case c.FirstAtLeastAsStrict && c.SecondAtLeastAsStrict:
		b.WriteString("The programs are equally strict and differ in error numbers.\n")
	case c.FirstAtLeastAsStrict:
		b.WriteString("The first is at least as strict as the second.\n")
	case c.SecondAtLeastAsStrict:
		b.WriteString("The second is at least as strict as the first.\n")
	default:
		b.WriteString("Neither is at least as strict as the other.\n")
	}
	for _, d := range c.Differences {
		fmt.Fprintf(&b, "  %-24s %s, then %s", d.Call, d.First, d.Second)
		if !d.Always {
			fmt.Fprintf(&b, " with arguments %s", arguments(d.Witness))
		}
		if d.Looser == "both" {
			b.WriteString("; with others the other way round")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func arguments(in seccomp.Data) string {
	last := 0
	for i, v := range in.Args {
		if v != 0 {
			last = i
		}
	}
	var s []string
	for _, v := range in.Args[:last+1] {
		s = append(s, hexOrDec(v))
	}
	return strings.Join(s, ", ")
}
