package seccomp

import "math/rand/v2"

// generator makes random programs, most of them nearly right.
type generator struct{ r *rand.Rand }

// legalCodes are the codes that seccomp takes; nearCodes are those that only sockets take, or nobody.
func legalCodes() []uint16 {
	var s []uint16
	for c := range uint16(0x200) {
		if legal(c) {
			s = append(s, c)
		}
	}
	return s
}

func (g generator) program() Program {
	codes := legalCodes()
	near := []uint16{0x94, 0x9c, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1, 0xa1, 0x8c, 0x85, 0x0e, 0x120, 0x2000, 0x100, 0xffff, 0x65, 0x17, 0x1e, 0x82}
	n := 1 + g.r.IntN(24)
	p := make(Program, n)
	wild := g.r.IntN(4) == 0 // anything may be wrong, not only one thing
	written := uint32(0)
	for pc := range p {
		i := Instruction{Code: codes[g.r.IntN(len(codes))]}
		left := n - pc - 1
		if i.Code == opRet || i.Code == opRetA { // fewer, or most of a program is dead
			i.Code = codes[g.r.IntN(len(codes))]
		}
		switch {
		case i.Code == opLoad:
			i.K = 4 * uint32(g.r.IntN(16))
		case i.Code == opLoadMem || i.Code == opLdxMem || i.Code == opStore || i.Code == opStoreX:
			i.K = uint32(g.r.IntN(16))
			if i.Code == opLoadMem || i.Code == opLdxMem {
				for range 32 {
					if written>>i.K&1 != 0 {
						break
					}
					i.K = uint32(g.r.IntN(16))
				}
			}
			written |= 1 << i.K
		case i.Code == opJump:
			i.K = uint32(g.r.IntN(left + 1))
			if left > 0 && g.r.IntN(16) != 0 {
				i.K %= uint32(left)
			}
		case i.Code&classMask == classJMP:
			i.K = g.word()
			i.JT, i.JF = uint8(g.r.IntN(left+1)), uint8(g.r.IntN(left+1))
			if left > 0 && g.r.IntN(16) != 0 {
				i.JT, i.JF = uint8(int(i.JT)%left), uint8(int(i.JF)%left)
			}
		case i.Code == 0x64 || i.Code == 0x74:
			i.K = uint32(g.r.IntN(33))
			if g.r.IntN(8) != 0 {
				i.K %= 32
			}
		default:
			i.K = g.word()
			if i.Code == opDiv && i.K == 0 && g.r.IntN(4) != 0 {
				i.K = 1
			}
		}
		if g.r.IntN(8) == 0 { // the kernel ignores these on other codes
			i.JT, i.JF = i.JT|uint8(g.r.IntN(2)), i.JF|uint8(g.r.IntN(2))
		}
		if wild && g.r.IntN(8) == 0 {
			switch g.r.IntN(4) {
			case 0:
				i.Code = near[g.r.IntN(len(near))]
			case 1:
				i.Code ^= 1 << g.r.IntN(16)
			case 2:
				i.K = []uint32{1, 2, 61, 62, 63, 64, 68, 31, 32, 15, 16, 17, 0xfffff000, 0xfffff004, 0xffffffff}[g.r.IntN(15)]
			case 3:
				i.JT, i.JF = uint8(g.r.IntN(256)), uint8(g.r.IntN(256))
			}
		}
		p[pc] = i
	}
	if g.r.IntN(12) != 0 {
		p[n-1] = Instruction{Code: []uint16{opRet, opRetA}[g.r.IntN(2)], K: g.word()}
	}
	return p
}

func (g generator) word() uint32 {
	switch g.r.IntN(4) {
	case 0:
		return uint32(g.r.IntN(8))
	case 1:
		return 1 << g.r.IntN(32)
	case 2:
		return ^uint32(0) >> g.r.IntN(32)
	}
	return g.r.Uint32()
}

// specialPrograms are at the borders of each rule.
func specialPrograms() []Program {
	ret := Instruction{Code: opRet, K: uint32(Allow)}
	fill := func(n int, i Instruction) Program {
		p := make(Program, n)
		for k := range p {
			p[k] = i
		}
		p[n-1] = ret
		return p
	}
	all := []Program{
		{}, {ret}, {{}}, {{Code: opRetA}},
		fill(MaxInstructions, Instruction{Code: opJEQ}), fill(MaxInstructions+1, Instruction{Code: opJEQ}),
		fill(MaxInstructions, ret), fill(MaxInstructions+1, ret),
		fill(MaxInstructions, Instruction{Code: opLoad, K: 60}),
		{{Code: opStore, K: 3}, {Code: opLoadMem, K: 3}, ret},
		{{Code: opStoreX, K: 15}, {Code: opLdxMem, K: 15}, ret},
		{{Code: opStore, K: 3}, {Code: opLoadMem, K: 4}, ret},
		{{Code: opJEQ, JT: 1}, {Code: opStore, K: 0}, {Code: opLoadMem, K: 0}, ret},
		{{Code: opJEQ, JT: 1}, {Code: opJump, K: 0}, {Code: opStore, K: 0}, {Code: opLoadMem, K: 0}, ret},
		{{Code: opJump, K: 1}, {Code: opLoadMem, K: 0}, ret},
		{ret, {Code: opLoadMem, K: 0}, ret},
		{{Code: opStore}, ret, {Code: opLoadMem, K: 0}, ret},
		{{Code: opJump, K: 0xffffffff}, ret}, {{Code: opJump, K: 1}, ret}, {{Code: opJump}, ret},
		{{Code: opJump, K: 0xfffffffe}, ret, ret},
		{{Code: opJEQ, JT: 255, JF: 0}, ret}, {{Code: opJEQ, JT: 0, JF: 1}, ret},
	}
	for code := range 1 << 16 { // every code, alone
		if code < 0x200 || code&0xff == 0 || legal(uint16(code&0xff)) && code>>8 < 4 {
			all = append(all, Program{{Code: uint16(code), K: 0}, ret}, Program{{Code: uint16(code), K: 0, JT: 1}, ret, ret})
		}
	}
	for _, k := range []uint32{0, 1, 2, 3, 4, 15, 16, 31, 32, 33, 60, 61, 63, 64, 68, 0xfffff000, 0xffffffff} {
		for _, code := range []uint16{opLoad, opLoadLen, opLdxLen, opStore, opStoreX, 0x64, 0x6c, 0x74, 0x7c, opDiv, 0x3c, opJump, opNeg, opTAX, opTXA, opRetA} {
			all = append(all, Program{{Code: code, K: k}, ret, ret, ret})
		}
	}
	return all
}
