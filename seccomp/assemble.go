package seccomp

// assembler emits a program from its end to its start. Jumps only go forward, so that both targets of a test exist, at a known
// distance, before the test itself is emitted. A target out of reach of the eight bits of a conditional jump gets a copy of
// its RET, or a JA, next to the test.
type assembler struct {
	out  []Instruction // reversed: out[0] is the last instruction
	rets []retAt       // where each action was last returned
	work int           // decisions made so far
}

type retAt struct {
	action Action
	at     int
}

// target is a place to go on: an emitted instruction, or a RET that is emitted where it is needed.
type target struct {
	at     int // index into out; -1 for an action
	action Action
}

func result(a Action) target { return target{-1, a} }

// reach is the farthest that a conditional jump can skip.
const reach = 255

// near makes t an emitted instruction that a test emitted after slack more instructions can still reach.
func (a *assembler) near(t target, slack int) int {
	if t.at >= 0 {
		if len(a.out)-t.at-1+slack <= reach {
			return t.at
		}
		return a.emit(Instruction{Code: opJump, K: uint32(len(a.out) - t.at - 1)})
	}
	for i := range a.rets {
		if r := &a.rets[i]; r.action == t.action {
			if len(a.out)-r.at-1+slack > reach {
				r.at = a.emit(Instruction{Code: opRet, K: uint32(t.action)})
			}
			return r.at
		}
	}
	at := a.emit(Instruction{Code: opRet, K: uint32(t.action)})
	a.rets = append(a.rets, retAt{t.action, at})
	return at
}

func (a *assembler) emit(i Instruction) int {
	a.out = append(a.out, i)
	return len(a.out) - 1
}

// test emits a conditional jump with the operand K.
func (a *assembler) test(code uint16, k uint32, yes, no target) target {
	if yes == no {
		return yes
	}
	f := a.near(no, 1) // making the other near may emit one more
	t := a.near(yes, 0)
	n := len(a.out)
	return target{at: a.emit(Instruction{code, uint8(n - t - 1), uint8(n - f - 1), k})}
}

// before emits an instruction that falls through to next.
func (a *assembler) before(i Instruction, next target) target {
	switch {
	case next.at < 0:
		a.near(next, reach) // never near enough: a fresh RET, right here
	case next.at != len(a.out)-1:
		a.emit(Instruction{Code: opJump, K: uint32(len(a.out) - next.at - 1)})
	}
	return target{at: a.emit(i)}
}

// program returns the instructions in their order. start must be the instruction emitted last.
func (a *assembler) program() Program {
	p := make(Program, len(a.out))
	for i := range p {
		p[i] = a.out[len(a.out)-1-i]
	}
	return p
}

// piece is a range of values of A, from the end of the piece before it to hi, and where it goes.
type piece struct {
	hi uint32
	to target
}

// tree emits a binary search of A over pieces that cover all values up to the last one's hi.
func (a *assembler) tree(pieces []piece) target {
	pieces = join(pieces)
	return a.search(pieces, 0)
}

func (a *assembler) search(p []piece, lo uint32) target {
	if len(p) == 1 {
		return p[0].to
	}
	if t, ok := a.chain(p, lo); ok {
		return t
	}
	mid := len(p) / 2
	right := a.search(p[mid:], p[mid-1].hi+1)
	left := a.search(p[:mid], lo)
	return a.test(opJGE, p[mid-1].hi+1, right, left)
}

// maxChain is the most values tested one after the other; more are searched. A chain of n tests costs n/2 on average, and a
// search log2 of the number of pieces, about 2n+1: they meet at 8.
const maxChain = 8

// chain emits one JEQ a value, if all pieces but few single values go to one place and a search would not be shorter.
func (a *assembler) chain(p []piece, lo uint32) (target, bool) {
	rest, found := target{}, false
	singles := 0
	for i, x := range p {
		if x.hi == lo && (i == 0 || p[i-1].hi+1 == lo) {
			singles++
		} else if !found {
			rest, found = x.to, true
		} else if x.to != rest {
			return target{}, false
		}
		lo = x.hi + 1
	}
	if !found || singles > maxChain || singles >= len(p)-1 {
		return target{}, false
	}
	t := rest
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].to != rest {
			t = a.test(opJEQ, p[i].hi, p[i].to, t)
		}
	}
	return t, true
}

// join merges neighbours that go to the same place, in place.
func join(p []piece) []piece {
	out := p[:0]
	for _, x := range p {
		if n := len(out); n > 0 && out[n-1].to == x.to {
			out[n-1].hi = x.hi
			continue
		}
		out = append(out, x)
	}
	return out
}
