package seccomp

import "fmt"

// CheckError says why the kernel would refuse a program. seccomp(2) itself answers EINVAL to all of them.
type CheckError struct {
	PC          int         // the instruction, counted from 0; -1 for the program as a whole
	Instruction Instruction // zero if PC is -1
	Rule        string      // what it should be
}

func (e *CheckError) Error() string {
	if e.PC < 0 {
		return e.Rule
	}
	return fmt.Sprintf("instruction %d (%v): %s", e.PC, e.Instruction, e.Rule)
}

const (
	ruleJump = "the jump must end inside the program"
	ruleEnd  = "the last instruction must be a ret"
)

// Check says whether the kernel takes the program: nil exactly when seccomp(2) does. The rules are those of
// net/core/filter.c:bpf_check_classic and kernel/seccomp.c:seccomp_check_filter; tests compare with the running kernel.
// A refusal is a *CheckError.
//
// The kernel looks at no return value: a program may still return actions that nobody knows. See package analyze for that.
func (p Program) Check() error {
	if n := len(p); n < 1 || n > MaxInstructions {
		return &CheckError{PC: -1, Rule: fmt.Sprintf("the program has %d instructions; it must have 1 to %d", n, MaxInstructions)}
	}
	for pc, i := range p {
		if !legal(i.Code) {
			return &CheckError{pc, i, illegal(i.Code)}
		}
	}
	for pc, i := range p {
		if rule := checkInstruction(i); rule != "" {
			return &CheckError{pc, i, rule}
		}
	}
	for pc, i := range p {
		// Compared without a sign, so that nothing jumps back.
		left := uint32(len(p) - pc - 1)
		switch {
		case i.Code == opJump && i.K >= left, i.conditional() && (uint32(i.JT) >= left || uint32(i.JF) >= left):
			return &CheckError{pc, i, ruleJump}
		}
	}
	if last := len(p) - 1; p[last].Code&classMask != classRET {
		return &CheckError{last, p[last], ruleEnd}
	}
	return p.checkMemory()
}

// conditional reports whether it is a jump with two targets.
func (i Instruction) conditional() bool { return i.Code&classMask == classJMP && i.Code != opJump }

// checkInstruction returns the rule that an instruction breaks by itself, wherever it is.
func checkInstruction(i Instruction) string {
	switch i.Code {
	case opLoad:
		if i.K%4 != 0 || i.K >= dataLen {
			return "the offset must be a multiple of 4 below 64"
		}
	case opDiv:
		if i.K == 0 {
			return "a constant divisor must not be 0"
		}
	case 0x64, 0x74: // LSH K, RSH K
		if i.K >= 32 {
			return "a constant shift must be below 32"
		}
	case opLoadMem, opLdxMem, opStore, opStoreX:
		if i.K >= 16 {
			return "the scratch slot must be below 16"
		}
	default:
		if !legal(i.Code) {
			return illegal(i.Code)
		}
	}
	return ""
}

// legal reports whether seccomp takes the code: exactly one of these, without a stray bit.
func legal(code uint16) bool {
	switch code {
	case opLoad, opLoadLen, opLdxLen, opLoadImm, opLdxImm, opLoadMem, opLdxMem, opStore, opStoreX, opTAX, opTXA, opRet, opRetA, opJump,
		0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, // JEQ, JGT, JGE, JSET
		0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, // ADD, SUB, MUL, DIV, OR
		0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0xa4, 0xac, opNeg: // AND, LSH, RSH, XOR, NEG
		return true
	}
	return false
}

// illegal explains a code that is not legal.
func illegal(code uint16) string {
	switch code {
	case 0x94, 0x9c:
		return "seccomp has no modulo"
	case 0x28, 0x30, 0x40, 0x48, 0x50, 0xa1, 0xb1:
		return "seccomp loads words at fixed offsets only"
	}
	if legal(code>>8|code<<8) && code&0xff == 0 && code != 0 {
		return "unknown instruction; the file looks big-endian"
	}
	return "unknown instruction"
}

// checkMemory refuses loads of scratch slots that some path has not stored to. It is one pass that keeps the set of slots surely
// written, like net/core/filter.c:check_load_and_stores: after a jump the set is full until another jump ends there, so that
// code which nothing reaches passes; after a RET it stays.
func (p Program) checkMemory() error {
	var arrived [MaxInstructions]uint16 // complement of the sets, so that zero means full
	var missing uint16 = 0xffff
	at := func(pc int) { arrived[pc] |= missing }
	for pc, i := range p {
		missing |= arrived[pc]
		switch {
		case i.Code == opStore || i.Code == opStoreX:
			missing &^= 1 << i.K
		case i.Code == opLoadMem || i.Code == opLdxMem:
			if missing&(1<<i.K) != 0 {
				return &CheckError{pc, i, "the scratch slot may be read before it is written"}
			}
		case i.Code == opJump:
			at(pc + 1 + int(i.K))
			missing = 0
		case i.conditional():
			at(pc + 1 + int(i.JT))
			at(pc + 1 + int(i.JF))
			missing = 0
		}
	}
	return nil
}

// FilterCost is what the kernel counts for the program against the limit of MaxStack: its length after the conversion to eBPF
// (net/core/filter.c:bpf_convert_filter), and 4 (kernel/seccomp.c:seccomp_attach_filter).
func (p Program) FilterCost() int {
	n := 4 + 3 // and a prologue
	for _, i := range p {
		n++
		switch {
		case i.Code == opRet:
			n++
		case i.conditional():
			if i.Code&srcX == 0 && i.K >= 1<<31 { // constants have a sign there
				n++
			}
			if i.JF != 0 && (i.JT != 0 || i.Code&^srcX == opJSET) { // no single jump for it
				n++
			}
		case i.Code == opDiv|srcX: // tests for zero
			n += 4
		}
	}
	return n
}

// MaxStack is the greatest sum of FilterCost over all filters of a task: MAX_INSNS_PER_PATH of kernel/seccomp.c.
const MaxStack = 32768

// CheckStack says whether the kernel loads all of these programs into one task, next to none other: see FilterCost.
func CheckStack(programs ...Program) error {
	sum := -4 // the last filter's penalty does not count
	for _, p := range programs {
		sum += p.FilterCost()
	}
	if sum > MaxStack {
		return fmt.Errorf("the kernel loads filters of %d instructions together, counted after its conversion; these %d have %d", MaxStack, len(programs), sum)
	}
	return nil
}
