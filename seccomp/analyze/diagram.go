package analyze

// node is one decision of a diagram: a bit of the input, and where to go for 0 and for 1. A diagram is reduced and ordered:
// bits are tested in ascending order on each path, no node has two equal branches, and no two nodes are equal. So two diagrams
// are the same function exactly when they are the same ref (Bryant, "Graph-Based Algorithms for Boolean Function Manipulation").
type node struct {
	bit    uint32
	lo, hi ref
}

// ref names a node. The first maxTerminals are terminals: no and yes, and after them whatever the user of the diagram means.
type ref int32

const (
	no  ref = 0
	yes ref = 1

	maxTerminals = 1 << 10
	terminalBit  = 1 << 20 // greater than every bit of the input
)

// diagrams owns nodes. It gives up, for good, when a limit on nodes or on steps is exceeded: gone is then true and results have no
// meaning. limit can be raised and lowered between operations.
type diagrams struct {
	nodes []node
	table []ref // open addressing; 0 is empty, as terminals are not in it
	cache []cached
	steps int
	limit int // most steps
	gone  bool
}

type cached struct {
	f, g, h ref
	op      int32
	result  ref
}

// maxNodes bounds the memory of one analysis: 16 MiB of nodes, 8 of table, 5 of cache.
const maxNodes = 1 << 20

func newDiagrams() *diagrams {
	d := &diagrams{nodes: make([]node, maxTerminals, 1<<12), table: make([]ref, 1<<12), cache: make([]cached, 1<<10)}
	for i := range d.nodes {
		d.nodes[i].bit = terminalBit
	}
	return d
}

func hash(a, b, c uint32) uint32 {
	h := uint64(a)*0x9e3779b97f4a7c15 ^ uint64(b)*0xc2b2ae3d27d4eb4f ^ uint64(c)*0x165667b19e3779f9
	return uint32(h>>32) ^ uint32(h>>13)
}

// make returns the node that tests bit.
func (d *diagrams) make(bit uint32, lo, hi ref) ref {
	if lo == hi {
		return lo
	}
	mask := uint32(len(d.table) - 1)
	i := hash(bit, uint32(lo), uint32(hi)) & mask
	for ; d.table[i] != 0; i = (i + 1) & mask {
		if n := d.nodes[d.table[i]]; n.bit == bit && n.lo == lo && n.hi == hi {
			return d.table[i]
		}
	}
	if len(d.nodes) >= maxNodes {
		d.gone = true
		return no
	}
	r := ref(len(d.nodes))
	d.nodes = append(d.nodes, node{bit, lo, hi})
	d.table[i] = r
	if len(d.nodes)*2 > len(d.table) {
		d.grow()
	}
	return r
}

func (d *diagrams) grow() {
	d.table = make([]ref, 2*len(d.table))
	mask := uint32(len(d.table) - 1)
	for r := maxTerminals; r < len(d.nodes); r++ {
		n := d.nodes[r]
		i := hash(n.bit, uint32(n.lo), uint32(n.hi)) & mask
		for d.table[i] != 0 {
			i = (i + 1) & mask
		}
		d.table[i] = ref(r)
	}
	if n := len(d.table) / 2; n <= maxCache {
		d.cache = make([]cached, n)
	}
}

// maxCache is how many results are remembered at most. More was not faster on the programs of the tests.
const maxCache = 1 << 18

// variable is the diagram of one bit of the input.
func (d *diagrams) variable(bit uint32) ref { return d.make(bit, no, yes) }

const (
	opITE int32 = iota + 1
	opFix
	opPair
)

func (d *diagrams) lookup(op int32, f, g, h ref) (*cached, bool) {
	c := &d.cache[hash(uint32(f)^uint32(op)<<28, uint32(g), uint32(h))&uint32(len(d.cache)-1)]
	return c, c.op == op && c.f == f && c.g == g && c.h == h
}

// ite is "if f then g else h". f has the terminals no and yes; g and h may have any.
func (d *diagrams) ite(f, g, h ref) ref {
	switch {
	case f == yes || g == h:
		return g
	case f == no:
		return h
	case g == yes && h == no:
		return f
	}
	if d.steps++; d.steps > d.limit || d.gone {
		d.gone = true
		return no
	}
	c, ok := d.lookup(opITE, f, g, h)
	if ok {
		return c.result
	}
	bit := min(d.nodes[f].bit, d.nodes[g].bit, d.nodes[h].bit)
	f0, f1 := d.split(f, bit)
	g0, g1 := d.split(g, bit)
	h0, h1 := d.split(h, bit)
	lo := d.ite(f0, g0, h0)
	hi := d.ite(f1, g1, h1)
	r := d.make(bit, lo, hi)
	if !d.gone {
		*c = cached{f, g, h, opITE, r}
	}
	return r
}

// split returns f for a bit that f does not test later than its first node.
func (d *diagrams) split(f ref, bit uint32) (lo, hi ref) {
	if n := d.nodes[f]; n.bit == bit {
		return n.lo, n.hi
	}
	return f, f
}

func (d *diagrams) and(f, g ref) ref {
	if f > g {
		f, g = g, f // the same question has one place in the cache
	}
	return d.ite(f, g, no)
}

func (d *diagrams) or(f, g ref) ref {
	if f > g {
		f, g = g, f
	}
	return d.ite(f, yes, g)
}

func (d *diagrams) not(f ref) ref { return d.ite(f, no, yes) }

func (d *diagrams) xor(f, g ref) ref {
	switch {
	case f == no:
		return g
	case g == no:
		return f
	case f > g:
		f, g = g, f
	}
	return d.ite(f, d.not(g), g)
}

// fix returns f with a bit of the input known.
func (d *diagrams) fix(f ref, bit uint32, value bool) ref {
	n := d.nodes[f]
	if n.bit > bit {
		return f
	}
	if n.bit == bit {
		if value {
			return n.hi
		}
		return n.lo
	}
	if d.steps++; d.steps > d.limit || d.gone {
		d.gone = true
		return no
	}
	key := ref(bit << 1)
	if value {
		key++
	}
	c, ok := d.lookup(opFix, f, key, 0)
	if ok {
		return c.result
	}
	lo := d.fix(n.lo, bit, value)
	hi := d.fix(n.hi, bit, value)
	r := d.make(n.bit, lo, hi)
	if !d.gone {
		*c = cached{f, key, 0, opFix, r}
	}
	return r
}

// fixWord returns f with a whole word known. Bits of a word are numbered from its highest.
func (d *diagrams) fixWord(f ref, first uint32, value uint32) ref {
	for i := range uint32(32) {
		f = d.fix(f, first+i, value>>(31-i)&1 != 0)
	}
	return f
}

// relate returns the diagram of the inputs on which holds(f(input), g(input)) for the terminals of f and g.
func (d *diagrams) relate(f, g ref, holds func(a, b ref) bool) ref {
	memo := map[[2]ref]ref{}
	var walk func(f, g ref) ref
	walk = func(f, g ref) ref {
		bit := min(d.nodes[f].bit, d.nodes[g].bit)
		if bit == terminalBit {
			if holds(f, g) {
				return yes
			}
			return no
		}
		if r, ok := memo[[2]ref{f, g}]; ok {
			return r
		}
		if d.steps++; d.steps > d.limit || d.gone {
			d.gone = true
			return no
		}
		f0, f1 := d.split(f, bit)
		g0, g1 := d.split(g, bit)
		r := d.make(bit, walk(f0, g0), walk(f1, g1))
		memo[[2]ref{f, g}] = r
		return r
	}
	return walk(f, g)
}

// where returns the diagram of the inputs on which holds for the terminal of f.
func (d *diagrams) where(f ref, holds func(t ref) bool) ref {
	return d.relate(f, no, func(a, _ ref) bool { return holds(a) })
}

// terminals calls visit for every terminal that f can reach.
func (d *diagrams) terminals(f ref, visit func(t ref)) {
	d.each(f, func(r ref) {
		if r < maxTerminals {
			visit(r)
		}
	})
}

// each calls visit once for every node of f, terminals included.
func (d *diagrams) each(f ref, visit func(r ref)) {
	seen := map[ref]bool{}
	stack := []ref{f}
	for len(stack) > 0 {
		r := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[r] {
			continue
		}
		seen[r] = true
		visit(r)
		if r >= maxTerminals {
			stack = append(stack, d.nodes[r].lo, d.nodes[r].hi)
		}
	}
}
