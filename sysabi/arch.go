package sysabi

import "runtime"

// Arch is one architecture's view of system calls: its numbers and its AUDIT_ARCH value. The tables of every
// architecture are in every build, so that a filter for arm64 can be made and checked on amd64.
type Arch struct {
	goarch  string
	machine string
	audit   uint32
	foreign []uint32
	calls   calls
}

// AUDIT_ARCH values, include/uapi/linux/audit.h.
const (
	AUDIT_ARCH_I386    = 0x40000003
	AUDIT_ARCH_X86_64  = 0xc000003e
	AUDIT_ARCH_ARM     = 0x40000028
	AUDIT_ARCH_AARCH64 = 0xc00000b7
	AUDIT_ARCH_RISCV32 = 0x400000f3
	AUDIT_ARCH_RISCV64 = 0xc00000f3
)

// X32_SYSCALL_BIT marks the numbers of the x32 ABI, which share AUDIT_ARCH_X86_64 (arch/x86/include/uapi/asm/unistd.h).
const X32_SYSCALL_BIT = 0x40000000

var arches = [...]Arch{
	{"amd64", "x86_64", AUDIT_ARCH_X86_64, []uint32{AUDIT_ARCH_I386}, calls{callsAMD64, callsAMD64ByNumber}},
	{"arm64", "aarch64", AUDIT_ARCH_AARCH64, []uint32{AUDIT_ARCH_ARM}, calls{callsARM64, callsARM64ByNumber}},
	{"riscv64", "riscv64", AUDIT_ARCH_RISCV64, []uint32{AUDIT_ARCH_RISCV32}, calls{callsRISCV64, callsRISCV64ByNumber}},
}

var (
	i386 = calls{calls386, calls386ByNumber}
	x32  = calls{callsX32, callsX32ByNumber}
)

// ArchByName finds an architecture by Go's name for it (amd64, arm64, riscv64) or uname's (x86_64, aarch64).
func ArchByName(name string) (*Arch, bool) {
	for i := range arches {
		if a := &arches[i]; a.goarch == name || a.machine == name {
			return a, true
		}
	}
	return nil, false
}

// ArchByAudit finds the architecture whose AUDIT_ARCH value this is.
func ArchByAudit(audit uint32) (*Arch, bool) {
	for i := range arches {
		if a := &arches[i]; a.audit == audit {
			return a, true
		}
	}
	return nil, false
}

// Arches returns every architecture with a table.
func Arches() []*Arch {
	s := make([]*Arch, len(arches))
	for i := range arches {
		s[i] = &arches[i]
	}
	return s
}

// NativeArch returns the architecture that this program was built for, or nil if it has no table.
func NativeArch() *Arch {
	a, _ := ArchByName(runtime.GOARCH)
	return a
}

// String returns Go's name, such as "arm64".
func (a *Arch) String() string { return a.goarch }

// Machine returns the name that uname(2) has for it, such as "aarch64".
func (a *Arch) Machine() string { return a.machine }

// Audit returns the AUDIT_ARCH value that seccomp filters see in seccomp_data.arch.
func (a *Arch) Audit() uint32 { return a.audit }

// Foreign returns the AUDIT_ARCH values of the other ABIs that a kernel for this architecture may run, such as 32-bit x86.
func (a *Arch) Foreign() []uint32 { return append([]uint32(nil), a.foreign...) }

// HasX32 reports whether numbers with X32_SYSCALL_BIT mean system calls of a second ABI with the same AUDIT_ARCH.
func (a *Arch) HasX32() bool { return a.audit == AUDIT_ARCH_X86_64 }

// Number returns the number of the named system call on this architecture. It allocates nothing.
func (a *Arch) Number(name string) (int, bool) { return a.calls.number(name) }

// Name returns the name of the system call with this number. Numbers of the x32 ABI have none; see X32Number.
func (a *Arch) Name(nr int) (string, bool) { return a.calls.name(nr) }

// Len returns how many system calls the table has.
func (a *Arch) Len() int { return len(a.calls.byName) }

// At returns the i-th system call in the order of names; i is at least 0 and below Len.
func (a *Arch) At(i int) (name string, nr int) {
	c := a.calls.byName[i]
	return c.name, int(c.number)
}

// X32Number returns the number of the named call in the x32 ABI, X32_SYSCALL_BIT included. The calls with pointers to
// structures of another layout have numbers of their own from 512 on; the others have the number of amd64.
func (a *Arch) X32Number(name string) (int, bool) {
	if !a.HasX32() {
		return 0, false
	}
	if n, ok := x32.number(name); ok {
		return n | X32_SYSCALL_BIT, true
	}
	n, ok := a.calls.number(name)
	return n | X32_SYSCALL_BIT, ok
}
