package analyze

import (
	"cellos.io/cellos/seccomp"
)

// The order of the input's bits, and so of the diagrams: arch, nr, then each argument with its high word first, and last the
// instruction pointer. Within a word the highest bit comes first, so that ranges are small.
const (
	archBit = 0
	nrBit   = 32
	argBit  = 64 // plus 64 for each argument
	ipBit   = 448
)

// firstBit returns the highest bit of the word at an offset in seccomp_data.
func firstBit(off uint32) uint32 {
	switch {
	case off == 0:
		return nrBit
	case off == 4:
		return archBit
	case off < 16:
		return ipBit + 32*(1-off/4%2)
	}
	return argBit + 64*((off-16)/8) + 32*(1-off/4%2)
}

const (
	// A test or a sum costs some hundred steps, a product of two unknown numbers more than any limit.
	stepsPerInstruction = 1 << 18
	// 8 million steps take less than a second on a machine of 2020.
	stepsTotal = 6 << 20

	undecided   ref = 2 // the terminals after it are actions
	firstAction ref = 3
)

// registers is a set of A, X and the scratch slots: bit 0, bit 1, and 2 plus the slot.
type registers uint32

const (
	regA registers = 1
	regX registers = 2
)

func slot(k uint32) registers { return 4 << k }

// state is what is known before an instruction: which inputs reach it, and the values of the registers that are still read.
type state struct {
	reach  ref
	values map[registers]*vector
}

func (s *state) get(r registers) vector {
	if v := s.values[r]; v != nil {
		return *v
	}
	return constant(0)
}

// executor runs one program on all inputs.
type executor struct {
	d       *diagrams
	prog    seccomp.Program
	live    []registers
	states  []*state
	actions *[]seccomp.Action
	f       ref // the verdict as far as it is known
	reached []bool
	taken   []branches
}

// branches says which ways of a test some input takes.
type branches struct{ yes, no bool }

// bound gives the next operations n steps, within the total.
func (e *executor) bound(n int) {
	e.d.limit = min(e.d.steps+n, stepsTotal)
	e.d.gone = len(e.d.nodes) >= maxNodes
}

func (e *executor) run() {
	e.live = liveness(e.prog)
	e.states = make([]*state, len(e.prog))
	e.reached = make([]bool, len(e.prog))
	e.taken = make([]branches, len(e.prog))
	e.f = undecided
	e.states[0] = &state{reach: yes}
	for pc := range e.prog {
		s := e.states[pc]
		e.states[pc] = nil
		if s == nil || s.reach == no {
			continue
		}
		e.reached[pc] = true
		e.bound(stepsPerInstruction)
		e.step(pc, s) // what a bound cuts off stays undecided
	}
}

// step executes one instruction and passes the state on.
func (e *executor) step(pc int, s *state) {
	d, i := e.d, e.prog[pc]
	k := constant(i.K)
	if i.Code&0x08 != 0 {
		k = s.get(regX)
	}
	switch i.Code & 0x07 {
	case 0, 1: // LD, LDX
		to := registers(1 + i.Code&0x07)
		v := constant(i.K)
		switch i.Code & 0xe0 {
		case 0x20:
			v = d.word(firstBit(i.K))
		case 0x80:
			v = constant(64)
		case 0x60:
			v = s.get(slot(i.K))
		}
		e.set(s, to, v)
	case 2, 3: // ST, STX
		e.set(s, slot(i.K), s.get(registers(i.Code&0x07)-1))
	case 4:
		e.arithmetic(s, i.Code, &k)
	case 5:
		e.jump(pc, s, i, &k)
		return
	case 6:
		if i.Code == 0x16 {
			k = s.get(regA)
		}
		e.result(s.reach, &k)
		return
	case 7:
		if i.Code == 0x07 {
			e.set(s, regX, s.get(regA))
		} else {
			e.set(s, regA, s.get(regX))
		}
	}
	e.pass(pc+1, s, s.reach)
}

func (e *executor) set(s *state, r registers, v vector) {
	values := make(map[registers]*vector, len(s.values)+1)
	for k, old := range s.values {
		values[k] = old
	}
	values[r] = &v
	s.values = values
}

func (e *executor) arithmetic(s *state, code uint16, k *vector) {
	d, a := e.d, s.get(regA)
	var v vector
	switch code & 0xf0 {
	case 0x00:
		v, _ = d.add(&a, k, no)
	case 0x10:
		v, _ = d.sub(&a, k)
	case 0x20:
		v = d.mul(&a, k)
	case 0x30:
		zero := constant(0)
		isZero := d.and(s.reach, d.equal(k, &zero))
		e.result(isZero, &zero)
		s.reach = d.and(s.reach, d.not(isZero))
		v = d.div(&a, k)
	case 0x40:
		v = d.each2(&a, k, d.or)
	case 0x50:
		v = d.each2(&a, k, d.and)
	case 0x60:
		v = d.shift(&a, k, true)
	case 0x70:
		v = d.shift(&a, k, false)
	case 0xa0:
		v = d.each2(&a, k, d.xor)
	case 0x80:
		zero := constant(0)
		v, _ = d.sub(&zero, &a)
	}
	e.set(s, regA, v)
}

func (e *executor) jump(pc int, s *state, i seccomp.Instruction, k *vector) {
	if i.Code == 0x05 {
		e.pass(pc+1+int(i.K), s, s.reach)
		return
	}
	d, a := e.d, s.get(regA)
	var test ref
	switch i.Code & 0xf0 {
	case 0x10:
		test = d.equal(&a, k)
	case 0x20:
		test = d.not(d.atLeast(k, &a))
	case 0x30:
		test = d.atLeast(&a, k)
	default:
		test = d.anyBit(&a, k)
	}
	holds, fails := d.and(s.reach, test), d.and(s.reach, d.not(test))
	if d.gone {
		e.taken[pc] = branches{true, true} // as far as we know
		return
	}
	e.taken[pc] = branches{holds != no, fails != no}
	e.pass(pc+1+int(i.JT), s, holds)
	e.pass(pc+1+int(i.JF), s, fails)
}

// pass adds a state, with the inputs of reach, to what arrives at an instruction. Where paths with different values of a register
// meet, its new value is a choice between them.
func (e *executor) pass(pc int, s *state, reach ref) {
	if reach == no || e.d.gone {
		return
	}
	live := e.live[pc]
	there := e.states[pc]
	if there == nil {
		there = &state{reach: reach, values: map[registers]*vector{}}
		for r, v := range s.values {
			if live&r != 0 {
				there.values[r] = v
			}
		}
		e.states[pc] = there
		return
	}
	merged := &state{values: map[registers]*vector{}}
	for r := registers(1); r <= live && r != 0; r <<= 1 {
		if live&r == 0 {
			continue
		}
		a, b := s.get(r), there.get(r)
		if a != b {
			a = e.d.choose(reach, &a, &b)
		}
		merged.values[r] = &a
	}
	merged.reach = e.d.or(reach, there.reach)
	if !e.d.gone {
		e.states[pc] = merged
	}
}

// result records that the inputs of reach end with a value.
func (e *executor) result(reach ref, v *vector) {
	if reach == no || e.d.gone {
		return
	}
	left := 256 // the most different values that one RET A is followed to
	var walk func(reach ref, bit int, value uint32)
	walk = func(reach ref, bit int, value uint32) {
		switch {
		case reach == no || e.d.gone || left == 0:
			return
		case bit < 0:
			left--
			if t, ok := e.terminal(seccomp.Action(value)); ok {
				if f := e.d.ite(reach, t, e.f); !e.d.gone {
					e.f = f
				}
			}
			return
		}
		walk(e.d.and(reach, e.d.not(v[bit])), bit-1, value)
		walk(e.d.and(reach, v[bit]), bit-1, value|1<<bit)
	}
	walk(reach, 31, 0)
}

// terminal names an action. Actions that the kernel cannot tell apart are kept apart: they are different values to a reader.
func (e *executor) terminal(a seccomp.Action) (ref, bool) {
	for i, b := range *e.actions {
		if a == b {
			return firstAction + ref(i), true
		}
	}
	if int(firstAction)+len(*e.actions) >= maxTerminals {
		return 0, false
	}
	*e.actions = append(*e.actions, a)
	return firstAction + ref(len(*e.actions)-1), true
}
