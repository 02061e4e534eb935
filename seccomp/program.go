package seccomp

import "encoding/binary"

// MaxInstructions is the longest program that the kernel takes: BPF_MAXINSNS, include/uapi/linux/bpf_common.h.
const MaxInstructions = 4096

// InstructionSize is the size of struct sock_filter in bytes.
const InstructionSize = 8

// Instruction is one instruction of classic BPF, struct sock_filter of include/uapi/linux/filter.h.
//
//	offset  size  field
//	     0     2  code
//	     2     1  jt, instructions to skip when a test is true
//	     3     1  jf, and when it is false
//	     4     4  k
type Instruction struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}

// Program is a filter. The kernel starts it at its first instruction with A and X zero.
type Program []Instruction

// Bytes returns the program as seccomp(2) takes it on the little-endian architectures, 8 bytes an instruction.
func (p Program) Bytes() []byte {
	b := make([]byte, 0, len(p)*InstructionSize)
	for _, i := range p {
		b = binary.LittleEndian.AppendUint16(b, i.Code)
		b = append(b, i.JT, i.JF)
		b = binary.LittleEndian.AppendUint32(b, i.K)
	}
	return b
}

// ParseProgram reads what Bytes returns. Its errors are those of the reference implementation: an empty program, a length that
// is no multiple of 8, and more than MaxInstructions, in this order. It does not look at the instructions; see Check.
func ParseProgram(b []byte) (Program, error) {
	if err := checkLength(int64(len(b))); err != nil {
		return nil, err
	}
	p := make(Program, len(b)/InstructionSize)
	for i := range p {
		r := b[i*InstructionSize:][:InstructionSize]
		p[i] = Instruction{binary.LittleEndian.Uint16(r), r[2], r[3], binary.LittleEndian.Uint32(r[4:])}
	}
	return p, nil
}

// The parts of an instruction's code, include/uapi/linux/bpf_common.h and filter.h.
const (
	classMask = 0x07
	classLD   = 0x00
	classLDX  = 0x01
	classST   = 0x02
	classSTX  = 0x03
	classALU  = 0x04
	classJMP  = 0x05
	classRET  = 0x06
	classMISC = 0x07

	opLoad    = 0x20 // LD W ABS
	opLoadLen = 0x80 // LD W LEN
	opLoadImm = 0x00
	opLoadMem = 0x60
	opLdxLen  = 0x81
	opLdxImm  = 0x01
	opLdxMem  = 0x61
	opStore   = 0x02
	opStoreX  = 0x03
	opTAX     = 0x07
	opTXA     = 0x87
	opRet     = 0x06 // RET K
	opRetA    = 0x16
	opJump    = 0x05 // JA
	opJEQ     = 0x15
	opJGT     = 0x25
	opJGE     = 0x35
	opJSET    = 0x45
	opAnd     = 0x54
	opNeg     = 0x84

	srcX     = 0x08 // in ALU and conditional jumps: the operand is X, not K
	aluShift = 0xf0

	offNR   = 0 // struct seccomp_data, include/uapi/linux/seccomp.h
	offArch = 4
	offIP   = 8
	offArgs = 16
	dataLen = 64
)
