package seccomp

import "cellos.io/cellos/sysabi"

// Data is what a filter sees of a call: struct seccomp_data of include/uapi/linux/seccomp.h.
type Data struct {
	NR   uint32    `json:"nr"`   // as the program sees it; -1 is 0xffffffff
	Arch uint32    `json:"arch"` // AUDIT_ARCH value
	IP   uint64    `json:"ip"`   // instruction pointer
	Args [6]uint64 `json:"args"`
}

// word returns the 32 bits at an offset that is a multiple of 4 below 64, as a little-endian machine lays the structure out.
func (d *Data) word(off uint32) uint32 {
	switch off {
	case offNR:
		return d.NR
	case offArch:
		return d.Arch
	case offIP:
		return uint32(d.IP)
	case offIP + 4:
		return uint32(d.IP >> 32)
	}
	arg := d.Args[(off-offArgs)/8]
	if off%8 == 4 {
		return uint32(arg >> 32)
	}
	return uint32(arg)
}

// Verdict is what the policy says about a call on an architecture. It reads the rules as they are written and shares nothing
// with Compile, whose programs must agree with it.
func (p *Policy) Verdict(a *sysabi.Arch, d Data) Action {
	if d.Arch != a.Audit() {
		return p.foreign()
	}
	if a.HasX32() && d.NR&sysabi.X32_SYSCALL_BIT != 0 && !p.Open || a.HasX32() && d.NR>>31 != 0 && !p.Open {
		return p.x32()
	}
	if d.NR > 1<<31-1 {
		return p.Default
	}
	name, ok := a.Name(int(d.NR))
	if !ok {
		return p.Default
	}
	r, ok := p.Rule(name)
	if !ok {
		return p.Default
	}
	for _, c := range r.Cases {
		if c.holds(&d) {
			return c.Then
		}
	}
	return r.Else
}

func (c Case) holds(d *Data) bool {
	for _, cond := range c.All {
		if !cond.Holds(d.Args[cond.Arg]) {
			return false
		}
	}
	return true
}
