package analyze

import (
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// Analysis is what one program does on all inputs.
type Analysis struct {
	prog    seccomp.Program
	arch    *sysabi.Arch
	d       *diagrams
	f       ref // terminals: undecided, or firstAction plus an index into actions
	actions *[]seccomp.Action
	reached []bool
	taken   []branches
}

// Program analyses a program for an architecture. It fails if the kernel would refuse the program.
func Program(p seccomp.Program, a *sysabi.Arch) (*Analysis, error) {
	return within(newDiagrams(), &[]seccomp.Action{}, p, a)
}

func within(d *diagrams, actions *[]seccomp.Action, p seccomp.Program, a *sysabi.Arch) (*Analysis, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	e := executor{d: d, prog: p, actions: actions}
	e.run()
	d.limit, d.gone = d.steps+stepsTotal, false
	return &Analysis{prog: p, arch: a, d: d, f: e.f, actions: actions, reached: e.reached, taken: e.taken}, nil
}

// action returns what a terminal stands for, and false for inputs that are not decided.
func (x *Analysis) action(t ref) (seccomp.Action, bool) {
	if t < firstAction {
		return 0, false
	}
	return (*x.actions)[t-firstAction], true
}

// Decided reports whether the verdict on every input is known.
func (x *Analysis) Decided() bool {
	all := true
	x.d.terminals(x.f, func(t ref) { all = all && t != undecided })
	return all
}

// Verdict returns the action for one input, and false if it is not decided.
func (x *Analysis) Verdict(in seccomp.Data) (seccomp.Action, bool) {
	r := x.f
	for r >= maxTerminals {
		n := x.d.nodes[r]
		if inputBit(&in, n.bit) {
			r = n.hi
		} else {
			r = n.lo
		}
	}
	return x.action(r)
}

func inputBit(in *seccomp.Data, bit uint32) bool {
	switch {
	case bit < nrBit:
		return in.Arch>>(31-bit)&1 != 0
	case bit < argBit:
		return in.NR>>(63-bit)&1 != 0
	case bit < ipBit:
		return in.Args[(bit-argBit)/64]>>(63-(bit-argBit)%64)&1 != 0
	}
	return in.IP>>(63-(bit-ipBit))&1 != 0
}

func setInputBit(in *seccomp.Data, bit uint32) {
	switch {
	case bit < nrBit:
		in.Arch |= 1 << (31 - bit)
	case bit < argBit:
		in.NR |= 1 << (63 - bit)
	case bit < ipBit:
		in.Args[(bit-argBit)/64] |= 1 << (63 - (bit-argBit)%64)
	default:
		in.IP |= 1 << (63 - (bit - ipBit))
	}
}

// witness returns an input of the set f, which is not empty, with as many zero bits as its path allows.
func (d *diagrams) witness(f ref) seccomp.Data {
	var in seccomp.Data
	for f >= maxTerminals {
		n := d.nodes[f]
		if n.lo == no {
			setInputBit(&in, n.bit)
			f = n.hi
		} else {
			f = n.lo
		}
	}
	return in
}
