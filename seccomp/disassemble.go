package seccomp

import (
	"fmt"
	"strconv"
	"strings"

	"cellos.io/cellos/sysabi"
)

// String returns the instruction in the notation of the kernel's bpf_asm, with jumps counted in instructions to skip.
func (i Instruction) String() string {
	if !legal(i.Code) {
		return fmt.Sprintf(".code %#04x, %d, %d, %#x", i.Code, i.JT, i.JF, i.K)
	}
	switch i.Code {
	case opLoad:
		return fmt.Sprintf("ld [%d]", i.K)
	case opLoadLen:
		return "ld len"
	case opLdxLen:
		return "ldx len"
	case opLoadImm:
		return "ld " + number(i.K)
	case opLdxImm:
		return "ldx " + number(i.K)
	case opLoadMem:
		return fmt.Sprintf("ld M[%d]", i.K)
	case opLdxMem:
		return fmt.Sprintf("ldx M[%d]", i.K)
	case opStore:
		return fmt.Sprintf("st M[%d]", i.K)
	case opStoreX:
		return fmt.Sprintf("stx M[%d]", i.K)
	case opTAX:
		return "tax"
	case opTXA:
		return "txa"
	case opRet:
		return fmt.Sprintf("ret #%#08x", i.K)
	case opRetA:
		return "ret a"
	case opJump:
		return fmt.Sprintf("ja %d", i.K)
	case opNeg:
		return "neg"
	}
	operand := number(i.K)
	if i.Code&srcX != 0 {
		operand = "x"
	}
	if i.Code&classMask == classJMP {
		return fmt.Sprintf("%s %s, %d, %d", [...]string{1: "jeq", 2: "jgt", 3: "jge", 4: "jset"}[i.Code>>4&7], operand, i.JT, i.JF)
	}
	return [...]string{"add", "sub", "mul", "div", "or", "and", "lsh", "rsh", 10: "xor"}[i.Code>>4&15] + " " + operand
}

func number(k uint32) string {
	if k < 4096 {
		return "#" + strconv.Itoa(int(k))
	}
	return fmt.Sprintf("#%#x", k)
}

// Disassemble returns one line an instruction: its position, its text, and what it means on the architecture, which may be nil.
//
//	4  jge #319, 58, 0          ; nr >= 319 ? 63 : 5
func (p Program) Disassemble(a *sysabi.Arch) string {
	var b strings.Builder
	held := p.held()
	for pc, i := range p {
		text, note := i.String(), p.note(pc, held[pc], a)
		if note != "" {
			fmt.Fprintf(&b, "%4d  %-26s ; %s\n", pc, text, note)
		} else {
			fmt.Fprintf(&b, "%4d  %s\n", pc, text)
		}
	}
	return b.String()
}

// content says what A holds before an instruction, as far as the listing can tell.
type content struct {
	off   uint32 // offset in seccomp_data
	mask  uint32 // bits kept of it
	known bool
}

// held computes the content of A before each instruction. Where paths with different contents meet it is unknown.
func (p Program) held() []content {
	in := make([]content, len(p))
	seen := make([]bool, len(p))
	meet := func(pc int, c content) {
		if pc >= len(p) {
			return
		}
		if !seen[pc] {
			in[pc], seen[pc] = c, true
		} else if in[pc] != c {
			in[pc] = content{}
		}
	}
	for pc, i := range p {
		c := in[pc]
		switch i.Code & classMask {
		case classLD:
			c = content{i.K, 0xffffffff, i.Code == opLoad}
		case classALU:
			if i.Code == opAnd && c.known {
				c.mask &= i.K
			} else {
				c = content{}
			}
		case classMISC:
			if i.Code == opTXA {
				c = content{}
			}
		case classJMP:
			if i.Code == opJump {
				if i.K < uint32(len(p)-pc) {
					meet(pc+1+int(i.K), c)
				}
			} else {
				meet(pc+1+int(i.JT), c)
				meet(pc+1+int(i.JF), c)
			}
			continue
		case classRET:
			continue
		}
		meet(pc+1, c)
	}
	return in
}

func (p Program) note(pc int, c content, a *sysabi.Arch) string {
	i := p[pc]
	switch {
	case !legal(i.Code):
		return illegal(i.Code)
	case i.Code == opLoad:
		return fieldName(i.K)
	case i.Code == opRet:
		return Action(i.K).String()
	case i.Code == opJump:
		return "to " + strconv.FormatUint(uint64(pc)+1+uint64(i.K), 10)
	case !i.conditional():
		return ""
	}
	left, right := "a", "x"
	if c.known {
		left = fieldName(c.off)
		if c.mask != 0xffffffff {
			left += fmt.Sprintf(" & %#x", c.mask)
		}
	}
	op := [...]string{1: "==", 2: ">", 3: ">=", 4: "&"}[i.Code>>4&7]
	if i.Code&srcX == 0 {
		right = number(i.K)[1:]
		if c.known && c.off == offNR && a != nil && c.mask == 0xffffffff && op != "&" {
			if name, ok := a.Name(int(i.K)); ok {
				right = name
			}
		}
		if arch, ok := sysabi.ArchByAudit(i.K); ok && c.known && c.off == offArch {
			right = arch.String()
		}
	}
	return fmt.Sprintf("%s %s %s ? %d : %d", left, op, right, pc+1+int(i.JT), pc+1+int(i.JF))
}

// fieldName names the word at an offset in seccomp_data.
func fieldName(off uint32) string {
	switch {
	case off == offNR:
		return "nr"
	case off == offArch:
		return "arch"
	case off == offIP:
		return "ip"
	case off == offIP+4:
		return "ip.high"
	case off >= offArgs && off < dataLen && off%8 == 0:
		return "arg" + strconv.Itoa(int(off-offArgs)/8)
	case off >= offArgs && off < dataLen && off%8 == 4:
		return "arg" + strconv.Itoa(int(off-offArgs)/8) + ".high"
	}
	return "[" + strconv.FormatUint(uint64(off), 10) + "]"
}
