package seccomp

import (
	"errors"
	"fmt"
)

// Deferred returns a copy of the program in which every refusal with an error number has become Trace, which without a tracer answers
// ENOSYS. A Notify of a filter that was loaded later wins over it, so that one such filter can answer for all (kernel/seccomp.c:seccomp_run_filters).
// It fails for a program with other verdicts than Allow, errno and KillProcess.
func (p Program) Deferred() (Program, error) {
	if err := p.watchable(); err != nil {
		return nil, err
	}
	out := append(Program(nil), p...)
	for i := range out {
		if out[i].Code == opRet && Action(out[i].K).Kind() == errnoAction {
			out[i].K = uint32(Trace)
		}
	}
	return out, nil
}

// Watch makes one program of several: it hands a call over (Notify) when one of them refuses it, with an error number or by ending the
// process, and allows it otherwise. It fails for programs with other verdicts than these, and when the result is too long.
func Watch(programs ...Program) (Program, error) {
	var out Program
	for n, p := range programs {
		if err := p.watchable(); err != nil {
			return nil, err
		}
		// A and X are zero at the start of a program. One that begins with a load, and has no use for X, does not care.
		if n > 0 && (p[0].Code != opLoad || p.usesX()) {
			out = append(out, Instruction{Code: opLoadImm}, Instruction{Code: opLdxImm})
		}
		for pc, i := range p {
			switch {
			case i.Code != opRet:
			case Action(i.K) != Allow:
				i.K = uint32(Notify)
			case n < len(programs)-1:
				i = Instruction{Code: opJump, K: uint32(len(p) - pc - 1)}
			}
			out = append(out, i)
		}
	}
	if len(out) > MaxInstructions {
		return nil, fmt.Errorf("watching takes a program of %d instructions; the kernel takes %d", len(out), MaxInstructions)
	}
	return out, out.Check()
}

// watchable says why the verdicts of a program cannot be given by another process.
func (p Program) watchable() error {
	if err := p.Check(); err != nil {
		return err
	}
	for pc, i := range p {
		switch {
		case i.Code == opRetA:
			return fmt.Errorf("instruction %d (%v): the verdict is computed, and cannot be watched", pc, i)
		case i.Code&classMask == classALU && i.Code&0xf0 == 0x30 && i.Code&srcX != 0:
			return fmt.Errorf("instruction %d (%v): a division by zero ends the thread, which cannot be watched", pc, i)
		case i.Code == opRet:
			if k := Action(i.K); k != Allow && k.Kind() != errnoAction && k.Kind() != KillProcess {
				return fmt.Errorf("instruction %d (%v): only allow, errno and kill_process can be watched", pc, i)
			}
		}
	}
	return nil
}

func (p Program) usesX() bool {
	for _, i := range p {
		if i.Code == opStoreX || i.Code == opTXA || i.Code&srcX != 0 && (i.Code&classMask == classALU || i.conditional()) {
			return true
		}
	}
	return false
}

// Strictest runs all programs for a call, as the kernel does with stacked filters, and returns the verdict that counts and the index of
// the program that gave it. It fails for programs that Check refuses, and for none.
func Strictest(d Data, programs ...Program) (Action, int, error) {
	verdict, by := Action(0), -1
	for n, p := range programs {
		o, err := p.Run(d)
		if err != nil {
			return 0, 0, err
		}
		if by < 0 || o.Action.Stricter(verdict) {
			verdict, by = o.Action, n
		}
	}
	if by < 0 {
		return 0, 0, errors.New("no program")
	}
	return verdict, by, nil
}

// Arguments lists the arguments of a call that the policy looks at, in order.
func (p *Policy) Arguments(name string) (args []int) {
	r, _ := p.Rule(name)
	for n := range 6 {
		for _, c := range r.Cases {
			for _, d := range c.All {
				if d.Arg == n && (len(args) == 0 || args[len(args)-1] != n) {
					args = append(args, n)
				}
			}
		}
	}
	return args
}
