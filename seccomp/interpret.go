package seccomp

import "fmt"

// Outcome is the end of a run.
type Outcome struct {
	Action Action
	PC     int // the instruction that decided: a RET, or a division by zero
}

// Run interprets the program for a call, as the kernel does after Check: A and X start as zero, arithmetic is on 32 bits, a shift
// by X uses its low five bits, and a division by an X of zero ends the program with 0, which is KillThread
// (net/core/filter.c:bpf_convert_filter).
//
// It fails for a program that Check refuses, when it meets the reason.
func (p Program) Run(d Data) (Outcome, error) {
	return p.run(&d, func(int) {})
}

// Trace runs the program like Run and returns the instructions it took, the last one being the one that decided.
func (p Program) Trace(d Data) (Outcome, []int, error) {
	var path []int
	o, err := p.run(&d, func(pc int) { path = append(path, pc) })
	return o, path, err
}

func (p Program) run(d *Data, visit func(pc int)) (Outcome, error) {
	var a, x uint32
	var mem [16]uint32
	for pc := 0; pc < len(p); {
		i := p[pc]
		visit(pc)
		if err := checkInstruction(i); err != "" {
			return Outcome{}, &CheckError{PC: pc, Instruction: i, Rule: err}
		}
		k := i.K
		if i.Code&srcX != 0 {
			k = x
		}
		next := pc + 1
		switch i.Code & classMask {
		case classLD, classLDX:
			v := i.K
			switch i.Code {
			case opLoad:
				v = d.word(i.K)
			case opLoadLen, opLdxLen:
				v = dataLen
			case opLoadMem, opLdxMem:
				v = mem[i.K]
			}
			if i.Code&classMask == classLD {
				a = v
			} else {
				x = v
			}
		case classST:
			mem[i.K] = a
		case classSTX:
			mem[i.K] = x
		case classALU:
			if i.Code&aluShift == opDiv&aluShift && k == 0 {
				return Outcome{KillThread, pc}, nil
			}
			a = alu(i.Code, a, k)
		case classJMP:
			switch {
			case i.Code == opJump:
				if i.K >= uint32(len(p)-pc-1) {
					return Outcome{}, &CheckError{PC: pc, Instruction: i, Rule: ruleJump}
				}
				next += int(i.K)
			case holds(i.Code, a, k):
				next += int(i.JT)
			default:
				next += int(i.JF)
			}
		case classRET:
			if i.Code == opRetA {
				return Outcome{Action(a), pc}, nil
			}
			return Outcome{Action(i.K), pc}, nil
		case classMISC:
			if i.Code == opTAX {
				x = a
			} else {
				a = x
			}
		}
		pc = next
	}
	return Outcome{}, fmt.Errorf("running a seccomp program: it runs past its last instruction")
}

const opDiv = 0x34

// alu computes A op k. The operation is in the high four bits of the code's low byte.
func alu(code uint16, a, k uint32) uint32 {
	switch code & aluShift {
	case 0x00:
		return a + k
	case 0x10:
		return a - k
	case 0x20:
		return a * k
	case 0x30:
		return a / k
	case 0x40:
		return a | k
	case 0x50:
		return a & k
	case 0x60:
		return a << (k & 31)
	case 0x70:
		return a >> (k & 31)
	case 0xa0:
		return a ^ k
	}
	return -a // NEG
}

// holds evaluates a conditional jump.
func holds(code uint16, a, k uint32) bool {
	switch code & aluShift {
	case 0x10:
		return a == k
	case 0x20:
		return a > k
	case 0x30:
		return a >= k
	}
	return a&k != 0
}
