package plan

import (
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// guardInit keeps signals of the command from PID 1. Linux does that by itself (pid_namespaces(7)); gVisor does not, so that a command could
// end or stop the process that reports its end. It would harm nothing but its own cell, but programs that try, and mean nothing, exist.
func (p *planner) guardInit(a *sysabi.Arch) {
	if p.sandbox == nil {
		return
	}
	prog, err := seccomp.Compile(guardInitPolicy(), a)
	if err != nil {
		p.refuse("", "compiling the filter that keeps signals from PID 1: "+err.Error(), "")
		return
	}
	p.load(Filter{Name: "init", By: "cellos", Program: prog.Bytes()}, "the filter that keeps signals from PID 1", a)
}

// guardInitPolicy denies to signal process 1, and to enter its group. Signal 0 is only a question. kill(-1) leaves PID 1 out in gVisor, too.
func guardInitPolicy() *seccomp.Policy {
	denied := seccomp.Errno(sysabi.EPERM)
	one := func(arg int) seccomp.Cond { return seccomp.Is(arg, seccomp.Bits32, 1) }
	rule := func(cases [][]seccomp.Cond, names ...string) seccomp.Rule {
		r := seccomp.Rule{Names: names, Else: seccomp.Allow}
		for _, c := range cases {
			r.Cases = append(r.Cases, seccomp.Case{All: c, Then: denied})
		}
		return r
	}
	signal := func(arg int) seccomp.Cond { return seccomp.Not(arg, seccomp.Bits32, 0) }
	return &seccomp.Policy{Name: "init", Default: seccomp.Allow, Rules: []seccomp.Rule{
		rule([][]seccomp.Cond{{one(0), signal(1)}}, "kill", "tkill", "rt_sigqueueinfo"),
		rule([][]seccomp.Cond{{one(0), signal(2)}, {one(1), signal(2)}}, "tgkill", "rt_tgsigqueueinfo"),
		rule([][]seccomp.Cond{{one(0)}}, "pidfd_open"),
		rule([][]seccomp.Cond{{one(1)}}, "setpgid"),
	}}
}
