package analyze

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation says what a program does, action by action.
type Explanation struct {
	Arch    string   `json:"arch"`
	Decided bool     `json:"decided"` // false if some inputs are under no action because a bound was met
	Foreign []string `json:"foreign"` // what other architectures get: one action, or several
	Actions []Group  `json:"actions"`
}

// Group is what leads to one action on the analysed architecture.
type Group struct {
	Action      string        `json:"action"`
	Calls       []string      `json:"calls,omitempty"`       // whatever their arguments
	Numbers     []Range       `json:"numbers,omitempty"`     // without a name, whatever their arguments
	Conditional []Conditional `json:"conditional,omitempty"` // depending on arguments
}

// Conditional is a call that gets the action if any of the alternatives holds.
type Conditional struct {
	Call string `json:"call"` // a name, or a number, or a range of numbers
	Any  []All  `json:"any"`
	More bool   `json:"more,omitempty"` // there are more alternatives than are worth writing down
}

// All is a conjunction of conditions.
type All []Condition

// Condition is a condition on one input: an argument ("arg0" to "arg5") or the instruction pointer ("ip").
type Condition struct {
	Input string `json:"input"`
	Set   Set    `json:"set"`
}

// maxAlternatives is how many conjunctions an explanation lists for one call and action.
const maxAlternatives = 32

// Explain describes the program.
func (x *Analysis) Explain() *Explanation {
	d := x.d
	d.limit, d.gone = d.steps+stepsTotal, false
	e := &Explanation{Arch: x.arch.String(), Decided: x.Decided()}
	native := d.fixWord(x.f, archBit, x.arch.Audit())
	in, _ := d.intervals(x.f, archBit, 32, 64)
	seen := map[string]bool{}
	for _, i := range in {
		if i.lo <= uint64(x.arch.Audit()) && uint64(x.arch.Audit()) <= i.hi {
			continue
		}
		d.terminals(i.to, func(t ref) { seen[x.text(t)] = true })
	}
	for s := range seen {
		e.Foreign = append(e.Foreign, s)
	}
	slices.Sort(e.Foreign)

	groups := map[ref]*Group{}
	add := func(f ref, name string, r *Range) {
		if f < maxTerminals {
			g := x.group(groups, f)
			if r != nil {
				g.Numbers = append(g.Numbers, *r)
			} else {
				g.Calls = append(g.Calls, name)
			}
			return
		}
		for t, c := range x.alternatives(f) {
			c.Call = name
			g := x.group(groups, t)
			g.Conditional = append(g.Conditional, *c)
		}
	}
	for i := range x.arch.Len() {
		name, nr := x.arch.At(i)
		add(d.fixWord(native, nrBit, uint32(nr)), name, nil)
	}
	numbers, ok := d.intervals(native, nrBit, 32, 1<<12)
	for _, i := range numbers {
		for _, r := range x.nameless(Range{i.lo, i.hi}) {
			name := fmt.Sprintf("%d-%d", r.From, r.To)
			if r.From == r.To {
				name = fmt.Sprint(r.From)
			}
			add(i.to, name, &r)
		}
	}
	e.Decided = e.Decided && ok
	for _, g := range groups {
		slices.SortFunc(g.Conditional, func(a, b Conditional) int { return strings.Compare(a.Call, b.Call) })
		e.Actions = append(e.Actions, *g)
	}
	slices.SortFunc(e.Actions, func(a, b Group) int { return strings.Compare(a.Action, b.Action) })
	return e
}

func (x *Analysis) text(t ref) string {
	if a, ok := x.action(t); ok {
		return a.String()
	}
	return "not decided"
}

func (x *Analysis) group(groups map[ref]*Group, t ref) *Group {
	g := groups[t]
	if g == nil {
		g = &Group{Action: x.text(t)}
		groups[t] = g
	}
	return g
}

// nameless cuts the numbers with a name out of a range.
func (x *Analysis) nameless(r Range) []Range {
	var out []Range
	for n := r.From; n <= r.To && n < 1024; n++ {
		if _, ok := x.arch.Name(int(n)); ok {
			continue
		}
		if k := len(out); k > 0 && out[k-1].To == n-1 {
			out[k-1].To = n
		} else {
			out = append(out, Range{n, n})
		}
	}
	if r.To >= 1024 {
		from := max(r.From, 1024)
		if k := len(out); k > 0 && out[k-1].To == from-1 {
			out[k-1].To = r.To
		} else {
			out = append(out, Range{from, r.To})
		}
	}
	return out
}

// alternatives describes how the arguments lead to each terminal of f.
func (x *Analysis) alternatives(f ref) map[ref]*Conditional {
	d := x.d
	out := map[ref]*Conditional{}
	var walk func(f ref, so All)
	walk = func(f ref, so All) {
		if f < maxTerminals {
			c := out[f]
			if c == nil {
				c = &Conditional{}
				out[f] = c
			}
			if len(c.Any) == maxAlternatives {
				c.More = true
			} else {
				c.Any = append(c.Any, slices.Clone(so))
			}
			return
		}
		if x.full(out) {
			return
		}
		bit := d.nodes[f].bit
		first, name := uint32(ipBit), "ip"
		if bit < ipBit {
			first = bit - (bit-argBit)%64
			name = fmt.Sprintf("arg%d", (first-argBit)/64)
		}
		for _, rest := range d.cut(f, first+64) {
			if len(out) > maxAlternatives*4 {
				return
			}
			in := d.leadsTo(f, first+64, rest)
			walk(rest, append(slices.Clone(so), Condition{name, d.set(in, first)}))
		}
	}
	walk(f, nil)
	return out
}

// full reports whether every terminal seen so far has all the alternatives that it may have.
func (x *Analysis) full(out map[ref]*Conditional) bool {
	for _, c := range out {
		if !c.More {
			return false
		}
	}
	return len(out) > 0
}

// cut lists the diagrams that f continues with from a bit on, at most maxAlternatives, in the order of the values that lead there.
func (d *diagrams) cut(f ref, bit uint32) []ref {
	var out []ref
	seen := map[ref]bool{}
	var walk func(f ref)
	walk = func(f ref) {
		if seen[f] || len(out) >= maxAlternatives {
			return
		}
		seen[f] = true
		if d.nodes[f].bit >= bit {
			out = append(out, f)
			return
		}
		walk(d.nodes[f].lo)
		walk(d.nodes[f].hi)
	}
	walk(f)
	return out
}

// leadsTo is the set of values of the bits before bit under which f continues with rest.
func (d *diagrams) leadsTo(f ref, bit uint32, rest ref) ref {
	memo := map[ref]ref{}
	var walk func(f ref) ref
	walk = func(f ref) ref {
		n := d.nodes[f]
		if n.bit >= bit {
			if f == rest {
				return yes
			}
			return no
		}
		if r, ok := memo[f]; ok {
			return r
		}
		r := d.make(n.bit, walk(n.lo), walk(n.hi))
		memo[f] = r
		return r
	}
	return walk(f)
}
