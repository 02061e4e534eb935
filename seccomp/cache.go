package seccomp

// ConstantAllow reports whether the kernel can tell, when the filter is loaded, that it always allows this number: then it does not run
// the filter for the call at all (kernel/seccomp.c:seccomp_is_const_allow, since Linux 5.11). The path may load nr and arch,
// compare with constants, mask and jump, and must end in RET K with exactly Allow.
//
// x32 numbers, with bit 30, are outside of the kernel's table and always run the filter.
func (p Program) ConstantAllow(nr, arch uint32) bool {
	a := uint32(0)
	for pc := 0; pc < len(p); pc++ {
		switch i := p[pc]; {
		case i.Code == opLoad && i.K == offNR:
			a = nr
		case i.Code == opLoad && i.K == offArch:
			a = arch
		case i.Code == opRet:
			return Action(i.K) == Allow
		case i.Code == opJump:
			pc += int(i.K)
		case i.conditional() && i.Code&srcX == 0:
			if holds(i.Code, a, i.K) {
				pc += int(i.JT)
			} else {
				pc += int(i.JF)
			}
		case i.Code == opAnd:
			a &= i.K
		default:
			return false
		}
	}
	return false
}
