package seccomp

import (
	"errors"
	"fmt"

	"cellos.io/cellos/sysabi"
)

// numbers is how many call numbers get a verdict of their own. The tables end below 600.
const numbers = 1024

// Compile makes the program of a policy for an architecture. The same policy always gives the same bytes.
//
//	ld arch; jeq NATIVE; else ret foreign
//	ld nr;   jge X32, ret x32             (amd64)
//	binary search over the numbers, merged into ranges of one verdict;
//	each argument check inside the leaf of its own call
//
// The architecture and the number are loaded once, at the top, and arguments only in the leaf of their call: so the kernel can
// tell which calls are always allowed, and does not run the filter for them (kernel/seccomp.c:seccomp_cache_prepare).
//
// The baseline alone has another shape, one compare a call in the reference's order, because its bytes are fixed.
func Compile(p *Policy, a *sysabi.Arch) (Program, error) {
	if p.linear {
		return compileLinear(p, a)
	}
	var leaf [numbers]uint16 // index of the rule + 1
	for i := range p.Rules {
		for _, name := range p.Rules[i].Names {
			nr, ok := a.Number(name)
			if ok && leaf[nr] != 0 || !ok && !sysabi.KnownCall(name) {
				return nil, p.invalid()
			}
			if ok {
				leaf[nr] = uint16(i) + 1
			}
		}
		for _, c := range p.Rules[i].Cases {
			for _, d := range c.All {
				if d.validate() != nil {
					return nil, p.invalid()
				}
			}
		}
	}
	asm := assembler{out: make([]Instruction, 0, 512)}
	pieces, err := asm.leaves(p, &leaf)
	if err != nil {
		return nil, fmt.Errorf("compiling the seccomp policy %s for %v: %w", p.Name, a, err)
	}
	pieces = append(pieces, piece{0xffffffff, result(p.Default)})
	t := asm.tree(pieces)
	if a.HasX32() && !p.Open {
		t = asm.test(opJGE, sysabi.X32_SYSCALL_BIT, result(p.x32()), t)
	}
	t = asm.before(Instruction{Code: opLoad, K: offNR}, t)
	t = asm.test(opJEQ, a.Audit(), t, result(p.foreign()))
	asm.before(Instruction{Code: opLoad, K: offArch}, t)
	if len(asm.out) > MaxInstructions {
		return nil, fmt.Errorf("compiling the seccomp policy %s for %v: %w", p.Name, a, errTooLong)
	}
	return asm.program(), nil
}

// leaves emits the argument checks and returns the verdict of every number below numbers, neighbours merged.
func (a *assembler) leaves(p *Policy, leaf *[numbers]uint16) ([]piece, error) {
	to := make([]target, len(p.Rules)+1)
	done := make([]bool, len(to))
	to[0], done[0] = result(p.Default), true
	pieces := make([]piece, 0, 256)
	for nr, r := range leaf {
		if !done[r] {
			t, err := a.decide(p.Rules[r-1].Cases, p.Rules[r-1].Else)
			if err != nil {
				return nil, err
			}
			to[r], done[r] = t, true
		}
		if n := len(pieces); n > 0 && pieces[n-1].to == to[r] {
			pieces[n-1].hi = uint32(nr)
			continue
		}
		pieces = append(pieces, piece{uint32(nr), to[r]})
	}
	return pieces, nil
}

func (p *Policy) foreign() Action {
	if p.Foreign == 0 {
		return KillProcess
	}
	return p.Foreign
}

func (p *Policy) x32() Action {
	if p.X32 == 0 {
		return Errno(sysabi.ENOSYS)
	}
	return p.X32
}

// invalid says what Validate finds. Compile calls it when it meets something wrong itself.
func (p *Policy) invalid() error {
	return fmt.Errorf("seccomp policy %s: %w", p.Name, p.Validate())
}

// errBaselineArch is the reference's text, word for word.
var errBaselineArch = errors.New("bundled baseline seccomp profile currently supports x86_64 and aarch64 only")

// compileLinear makes the reference's program: for amd64 and arm64 it is the same, byte for byte.
func compileLinear(p *Policy, a *sysabi.Arch) (Program, error) {
	if m := a.Machine(); m != "x86_64" && m != "aarch64" {
		return nil, errBaselineArch
	}
	prog := Program{
		{Code: opLoad, K: offArch},
		{Code: opJEQ, JT: 1, K: a.Audit()},
		{Code: opRet, K: uint32(KillProcess)},
		{Code: opLoad, K: offNR},
	}
	for _, r := range p.Rules {
		nr, _ := a.Number(r.Names[0])
		prog = append(prog, Instruction{Code: opJEQ, JF: 1, K: uint32(nr)}, Instruction{Code: opRet, K: uint32(r.Else)})
	}
	return append(prog, Instruction{Code: opRet, K: uint32(p.Default)}), nil
}
