package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/analyze"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// A Filter is one seccomp filter of the command. Filters stack: the kernel asks all of them, and the strictest answer counts, so
// none can widen another.
type Filter struct {
	Name    string // a profile, "set-id", or the file that it was read from
	By      string // who asks for it: "profile", "cellos", or where it was named, such as spec.run.seccomp.file
	Program []byte // as seccomp(2) takes it
	// Late filters are loaded by the command's own process, just before it is executed; the others already bind PID 1.
	Late bool
	// Policy is what Program was compiled from; nil for a program. If it allows execve once, the backend chooses three secret addresses and
	// loads Policy.WithExecOnce.
	Policy *seccomp.Policy
}

// Once reports whether the filter allows no execve but the one that starts the command.
func (f Filter) Once() bool { return f.Policy != nil && f.Policy.ExecOnce }

// Instructions is the length of the program. One that allows execve once is some instructions longer when it is loaded.
func (f Filter) Instructions() int { return len(f.Program) / seccomp.InstructionSize }

// Digest is the SHA-256 of the program, in hexadecimal.
func (f Filter) Digest() string {
	sum := sha256.Sum256(f.Program)
	return hex.EncodeToString(sum[:])
}

// String is the filter's line in a printed plan.
func (f Filter) String() string {
	s := fmt.Sprintf("%s, %d instructions, from %s", oneLine(f.Name), f.Instructions(), oneLine(f.By))
	if f.Instructions() == 1 {
		s = fmt.Sprintf("%s, 1 instruction, from %s", oneLine(f.Name), oneLine(f.By))
	}
	if f.Late {
		s += ", loaded just before the command"
	}
	if f.Once() {
		s += ", which is the only execve"
	}
	return s + ", sha256 " + f.Digest()
}

// EarlyFilters is how many filters PID 1 has, and LateFilters how many the command has besides.
func (p *Plan) EarlyFilters() (n int) {
	for _, f := range p.Filters {
		if !f.Late {
			n++
		}
	}
	return n
}

// LateFilters is how many filters the command's process loads itself.
func (p *Plan) LateFilters() (n int) {
	if p.Watch != authority.WatchNone {
		return 1 // the watching one, which has what the others say
	}
	for _, f := range p.Filters {
		if f.Late {
			n++
		}
	}
	return n
}

// base is the profile that binds PID 1 already. Under strict it could not start the command, so strict comes late, on top of it.
func (p *planner) base() string {
	if rest, ok := strings.CutPrefix(p.a.Syscalls, "strict"); ok {
		return "hardened" + rest
	}
	return p.a.Syscalls
}

// filter loads the seccomp filters. Nothing may follow them but the start: everything before needs calls that they deny.
func (p *planner) filter() {
	b := &p.b
	b.in(LayerSeccomp)
	b.do("unblocking every signal", "rt_sigprocmask", table.Flags(sysabi.SIG_SETMASK, "SIG_SETMASK"), table.Struct(make([]byte, 8), "[]"), table.Null(), table.Num(8))
	a, ok := sysabi.ArchByName(p.h.Arch)
	if !ok {
		p.refuse("", "no system call tables for "+p.h.Arch, "")
		return
	}
	p.setID()
	p.guardInit(a)
	p.p.Profile = p.a.Syscalls
	prog, err := seccomp.ProfileBytes(p.base(), a)
	if err != nil {
		p.refuse("spec.run.seccomp.profile", err.Error(), "")
		return
	}
	p.load(Filter{Name: p.base(), By: "profile", Program: prog}, "the seccomp profile "+p.base(), a)
	more := p.a.Filters
	if p.base() != p.a.Syscalls {
		policy, err := seccomp.Profile(p.a.Syscalls)
		if err != nil {
			p.refuse("spec.run.seccomp.profile", err.Error(), "")
			return
		}
		more = append([]authority.Filter{{Name: p.a.Syscalls, From: "profile", Policy: policy}}, more...)
	}
	for _, f := range more {
		p.late(f, a)
	}
	p.stack()
	p.watch()
	if p.sandbox != nil {
		p.sandboxFilter(a) // the command's own are loaded inside
	}
}

// load adds a filter to the table.
func (p *planner) load(f Filter, what string, a *sysabi.Arch) {
	p.p.Filters = append(p.p.Filters, f)
	loaded := f.Program
	if p.a.Watch != authority.WatchNone {
		prog, err := deferred(f, a)
		if err != nil {
			p.refuse("spec.run.seccomp.reportRefusals", f.Name+": "+err.Error(), "")
			return
		}
		loaded, what = prog.Bytes(), what+", which leaves its answers to a later one"
	}
	if p.sandbox == nil {
		p.loadHere(f.Name, loaded, what)
	}
}

func (p *planner) loadHere(name string, loaded []byte, what string) {
	p.b.do("loading "+what, "seccomp", table.Flags(sysabi.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"), noFlags,
		table.Filter(loaded, fmt.Sprintf("{%s, %d instructions}", name, len(loaded)/seccomp.InstructionSize)))
}

// deferred is what PID 1 gets of a filter when the command is watched. A profile also lets the watching filter be loaded, which that one
// then refuses to everybody after it.
func deferred(f Filter, a *sysabi.Arch) (seccomp.Program, error) {
	var prog seccomp.Program
	var err error
	if f.By == "profile" {
		var policy *seccomp.Policy
		if policy, err = seccomp.Profile(f.Name); err == nil {
			prog, err = seccomp.Compile(policy.WithRule(seccomp.Rule{Names: []string{"seccomp"}, Else: seccomp.Allow}), a)
		}
	} else {
		prog, err = seccomp.ParseProgram(f.Program)
	}
	if err != nil {
		return nil, err
	}
	return prog.Deferred()
}

// late adds a filter that the command's process loads.
func (p *planner) late(f authority.Filter, a *sysabi.Arch) {
	prog, policy := f.Program, f.Policy
	out := Filter{Name: f.Name, By: f.From, Late: true}
	from := f.From
	if from == "profile" {
		from = "spec.run.seccomp.profile"
	}
	if policy != nil {
		var err error
		if prog, err = seccomp.Compile(policy, a); err != nil {
			p.refuse(from, err.Error(), "")
			return
		}
		out.Policy = policy
	}
	if err := prog.Check(); err != nil {
		p.refuse(from, f.Name+": the kernel would not take it: "+err.Error(), "cellos seccomp check says more")
		return
	}
	if policy == nil || !policy.ExecOnce {
		if why, hint := cannotStart(prog, policy, a); why != "" {
			p.refuse(from, f.Name+": "+why, hint)
			return
		}
	}
	out.Program = prog.Bytes()
	p.p.Filters = append(p.p.Filters, out)
}

// cannotStart says why no command can start under a program; "" if one can.
func cannotStart(prog seccomp.Program, policy *seccomp.Policy, a *sysabi.Arch) (why, hint string) {
	if nr, ok := a.Number("execve"); ok && prog.ConstantAllow(uint32(nr), a.Audit()) {
		return "", ""
	}
	x, err := analyze.Program(prog, a)
	if err != nil {
		return err.Error(), ""
	}
	for _, f := range x.Lint() {
		switch {
		case f.ID == "arch-foreign":
			return f.Message, "compile it for this architecture"
		case f.ID == "nothing-allowed", f.ID == "exec-denied" && len(f.Calls) == 0: // with calls it is about what the command needs later
			hint := "allow execve"
			if policy != nil {
				hint += `, or write "exec: once", or extend strict: then the command is started and executes nothing more`
			}
			return "the command could not be started: " + f.Message, hint
		}
	}
	return "", ""
}

// watch makes sure that the filters can be answered for by the supervisor. Every filter then refuses as before, but leaves the answer to
// one more, which is loaded last and hands the call over; should nobody listen, the call gets ENOSYS.
func (p *planner) watch() {
	p.p.Watch = p.a.Watch
	if p.a.Watch == authority.WatchNone {
		return
	}
	var programs []seccomp.Program
	for _, f := range p.p.Filters {
		prog, err := seccomp.ParseProgram(f.Program)
		if err == nil {
			_, err = seccomp.Watch(prog)
		}
		if err != nil {
			p.refuse("spec.run.seccomp.reportRefusals", f.Name+": "+err.Error(), "leave it out")
			return
		}
		programs = append(programs, prog)
	}
	// 64: what execve once adds to two policies.
	if prog, err := seccomp.Watch(programs...); p.a.Watch == authority.WatchRefused && (err != nil || len(prog) > seccomp.MaxInstructions-64) {
		if err == nil {
			err = fmt.Errorf("the filters together have %d instructions; %d can be watched", len(prog), seccomp.MaxInstructions-64)
		}
		p.refuse("spec.run.seccomp.reportRefusals", err.Error(), "leave it out, or use shorter filters")
	}
}

// watched expects of every probe that a filter refuses what the early filters answer while they leave the answer to the watching one, which PID 1
// does not have.
func (p *planner) watched() {
	a, ok := sysabi.ArchByName(p.h.Arch)
	if p.a.Watch == authority.WatchNone || !ok {
		return
	}
	var programs []seccomp.Program
	for _, f := range p.p.Filters {
		if prog, err := seccomp.ParseProgram(f.Program); err == nil && !f.Late {
			programs = append(programs, prog)
		}
	}
	for i := range p.p.Boot.Probes {
		x := &p.p.Boot.Probes[i]
		nr, ok := a.Number(x.Call)
		if !ok {
			continue // expects ENOSYS already
		}
		d := seccomp.Data{NR: uint32(nr), Arch: a.Audit()}
		for n, o := range x.Args {
			d.Args[n] = o.Value // that of a pointer does not matter: no filter looks at one
		}
		if verdict, _, err := seccomp.Strictest(d, programs...); err == nil && verdict != seccomp.Allow {
			x.Want = enosys
		}
	}
}

// stack refuses more filters than the kernel takes.
func (p *planner) stack() {
	if p.p.LateFilters() == 0 {
		return // two short ones of our own
	}
	var programs []seccomp.Program
	for _, f := range p.p.Filters {
		prog, err := seccomp.ParseProgram(f.Program)
		if err != nil {
			return // refused already
		}
		programs = append(programs, prog)
	}
	if err := seccomp.CheckStack(programs...); err != nil {
		p.refuse("", "the filters of the profile, the document and the operator together: "+err.Error(), "use shorter ones")
	}
}
