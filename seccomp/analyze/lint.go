package analyze

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// Severity orders findings.
type Severity string

// The severities. An Error is a filter that does not do its work, or with which nothing starts.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Finding is something suspicious about a program.
type Finding struct {
	ID       string        `json:"id"`
	Severity Severity      `json:"severity"`
	Message  string        `json:"message"`
	Calls    []string      `json:"calls,omitempty"`
	At       []int         `json:"at,omitempty"` // instructions, from 0
	Witness  *seccomp.Data `json:"witness,omitempty"`
}

// String writes "error: arch-unchecked: …".
func (f Finding) String() string {
	s := string(f.Severity) + ": " + f.ID + ": " + f.Message
	if len(f.Calls) > 0 {
		s += ": " + strings.Join(f.Calls, ", ")
	}
	return s
}

// linter collects findings about one analysis.
type linter struct {
	*Analysis
	native ref            // the verdict on the analysed architecture
	calls  map[string]ref // and on each of its calls, as far as arguments matter
	rest   ref            // the verdict on most numbers without a name
	odd    []Range        // the numbers without a name that get another
	out    []Finding
}

// Lint looks for what usually is a mistake. Errors come first, then warnings, then information.
func (x *Analysis) Lint() []Finding {
	x.d.limit, x.d.gone = x.d.steps+stepsTotal, false
	l := &linter{Analysis: x, native: x.d.fixWord(x.f, archBit, x.arch.Audit()), calls: map[string]ref{}}
	for i := range x.arch.Len() {
		name, nr := x.arch.At(i)
		l.calls[name] = x.d.fixWord(l.native, nrBit, uint32(nr))
	}
	l.unknown()
	l.architectures()
	l.start()
	l.shape()
	l.baseline()
	l.siblings()
	l.arguments()
	l.errnos()
	l.values()
	l.structure()
	if x.d.gone || !x.Decided() {
		l.add("not-decided", Warning, "the program is too intricate to be decided completely; findings may be missing")
	}
	rank := map[Severity]int{Error: 0, Warning: 1, Info: 2}
	slices.SortStableFunc(l.out, func(a, b Finding) int { return rank[a.Severity] - rank[b.Severity] })
	return l.out
}

func (l *linter) add(id string, s Severity, format string, args ...any) *Finding {
	l.out = append(l.out, Finding{ID: id, Severity: s, Message: fmt.Sprintf(format, args...)})
	return &l.out[len(l.out)-1]
}

// some is the set of inputs of f whose action holds.
func (l *linter) some(f ref, holds func(a seccomp.Action) bool) ref {
	return l.d.where(f, func(t ref) bool {
		a, ok := l.action(t)
		return ok && holds(a)
	})
}

func (l *linter) permits(f ref) ref { return l.some(f, seccomp.Action.Permits) }

// allowed reports whether some input of the call is permitted, or left to a supervisor.
func (l *linter) allowed(call string) bool {
	f, ok := l.calls[call]
	return ok && l.some(f, func(a seccomp.Action) bool {
		return a.Permits() || a.Kind() == seccomp.Notify || a.Kind() == seccomp.Trace
	}) != no
}

// always returns the action of a call that does not depend on arguments.
func (l *linter) always(call string) (seccomp.Action, bool) {
	f, ok := l.calls[call]
	if !ok || f >= maxTerminals {
		return 0, false
	}
	return l.action(f)
}

// unknown finds the verdict on numbers that no call has: the one on the most numbers.
func (l *linter) unknown() {
	limit := uint64(1 << 32)
	if l.arch.HasX32() {
		limit = sysabi.X32_SYSCALL_BIT
	}
	ranges, ok := l.d.intervals(l.native, nrBit, 32, 1<<12)
	size := map[ref]uint64{}
	all := map[ref][]Range{}
	for _, i := range ranges {
		if i.lo >= limit {
			continue
		}
		for _, r := range l.nameless(Range{i.lo, min(i.hi, limit-1)}) {
			size[i.to] += r.To - r.From + 1
			all[i.to] = append(all[i.to], r)
		}
	}
	l.rest = undecided
	for f, n := range size {
		if n > size[l.rest] {
			l.rest = f
		}
	}
	for f, r := range all {
		if f != l.rest {
			l.odd = append(l.odd, r...)
		}
	}
	slices.SortFunc(l.odd, func(a, b Range) int { return int(int64(a.From) - int64(b.From)) })
	if !ok {
		l.odd = nil
	}
}

func (l *linter) architectures() {
	d := l.d
	foreign := d.and(l.permits(l.f), d.not(l.isArch(l.arch.Audit())))
	if foreign != no {
		in := d.witness(foreign)
		f := l.add("arch-unchecked", Error, "calls of another architecture's ABI are allowed, for example number %d with arch %#x", in.NR, in.Arch)
		f.Witness = &in
	}
	if l.native < maxTerminals {
		for _, a := range sysabi.Arches() {
			if a != l.arch && d.fixWord(l.f, archBit, a.Audit()) >= maxTerminals {
				l.add("arch-foreign", Error, "the program distinguishes calls on %v only; it was built for another machine than %v", a, l.arch)
			}
		}
	}
	if !l.arch.HasX32() {
		return
	}
	p := l.permits(l.native)
	x32 := d.fix(d.fix(p, nrBit, false), nrBit+1, true)
	plain := d.fix(d.fix(p, nrBit, false), nrBit+1, false)
	if open := d.and(x32, d.not(plain)); open != no {
		in := d.witness(open)
		name, _ := l.arch.Name(int(in.NR))
		in.NR |= sysabi.X32_SYSCALL_BIT
		in.Arch = l.arch.Audit()
		f := l.add("x32-open", Error, "a call that is refused by its own number is allowed as an x32 call, number %#x", in.NR)
		f.Witness = &in
		if name != "" {
			f.Message += " (" + name + ")"
		}
	}
}

func (l *linter) start() {
	if l.native < maxTerminals {
		if a, ok := l.action(l.native); ok && a.Permits() {
			l.add("everything-allowed", Warning, "every call is allowed")
		} else if ok {
			l.add("nothing-allowed", Error, "no call is allowed, all get %v", a)
		}
		return
	}
	if !l.allowed("execve") && !l.allowed("execveat") {
		l.add("exec-denied", Error, "no call can execute a program, so that the command cannot start")
	} else if !l.allowed("execve") {
		l.add("exec-denied", Warning, "only execveat can execute a program")
	}
	for _, need := range [][]string{{"exit_group"}, {"rt_sigreturn"}, {"brk", "mmap"}} {
		if !slices.ContainsFunc(need, l.allowed) {
			f := l.add("exec-denied", Warning, "programs need it and it is refused")
			f.Calls = need
		}
	}
}

func (l *linter) shape() {
	if l.permits(l.rest) != no && l.native >= maxTerminals {
		l.add("denylist", Warning, "calls that the program does not know are allowed, and so is what future kernels add")
	}
	if len(l.odd) > 0 {
		f := l.add("unknown-numbers", Warning, "numbers that no call of %v has get a verdict of their own; they may be meant for another architecture", l.arch)
		for _, r := range l.odd {
			if r.From == r.To {
				f.Calls = append(f.Calls, fmt.Sprint(r.From))
			} else {
				f.Calls = append(f.Calls, fmt.Sprintf("%d-%d", r.From, r.To))
			}
		}
	}
}

// baseline lists what the weakest profile refuses and this program does not.
func (l *linter) baseline() {
	p, err := seccomp.Profile("baseline")
	if err != nil {
		return
	}
	var open []string
	for _, r := range p.Rules {
		if l.allowed(r.Names[0]) {
			open = append(open, r.Names[0])
		}
	}
	if len(open) > 0 {
		l.add("baseline-gap", Warning, "the profile baseline refuses calls that are allowed").Calls = open
	}
}
