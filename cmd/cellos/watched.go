package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// watchedCalls counts the system calls that the supervisor answers: those that were refused, for the record and for the person.
type watchedCalls struct {
	plan *plan.Plan
	arch *sysabi.Arch
	flag bool            // what would allow a call is said as a flag, not as a member of a document
	also func(cell.Call) // told of every call; may be nil

	mu      sync.Mutex
	claimed bool // they are what the guest of a virtual machine says
	index   map[refusedCall]int
	list    []countedCall
	dropped int64 // refusals that had no place in the list
}

// A refusedCall is a call with the arguments that the filter looks at, and its answer.
type refusedCall struct {
	nr, arch uint32
	args     [6]uint64
	verdict  seccomp.Action
	by       int
}

type countedCall struct {
	refusedCall
	name, grant string
	count       int64
}

// maxRefusals bounds the list: a command that tries every number with every argument fills neither the memory nor the record.
const maxRefusals = 256

func (a *asked) watched(p *plan.Plan) *watchedCalls {
	w := &watchedCalls{plan: p, flag: a.name == "", also: a.calls}
	w.arch, _ = sysabi.ArchByName(p.Arch)
	return w
}

// call counts one call. The command waits for it.
func (w *watchedCalls) call(c cell.Call) {
	if w.also != nil {
		w.also(c)
	}
	if c.Verdict == seccomp.Allow {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claimed = c.Claimed
	k := refusedCall{c.NR, c.Arch, [6]uint64{}, c.Verdict, c.By}
	looked := w.arguments(c)
	for _, n := range looked {
		k.args[n] = c.Args[n]
	}
	i, known := w.index[k]
	if !known {
		if len(w.list) == maxRefusals {
			w.dropped++
			return
		}
		if w.index == nil {
			w.index = map[refusedCall]int{}
		}
		i = len(w.list)
		w.index[k] = i
		w.list = append(w.list, countedCall{refusedCall: k, name: w.name(c, looked), grant: w.grant(c)})
	}
	w.list[i].count++
}

// policy is that of a filter; nil for a program that was read as it is.
func (w *watchedCalls) policy(n int) *seccomp.Policy {
	f := w.plan.Filters[n]
	if f.Policy == nil && f.By == "profile" {
		p, _ := seccomp.Profile(f.Name)
		return p
	}
	return f.Policy
}

// arguments are those that the filter looks at: all of them where nobody knows. Addresses are of no use to anybody.
func (w *watchedCalls) arguments(c cell.Call) (args []int) {
	name, ok := w.arch.Name(int(c.NR))
	if !ok {
		return nil
	}
	if p := w.policy(c.By); p != nil {
		return p.Arguments(name)
	}
	for n := range 6 {
		if k := seccomp.ArgKind(name, n); k != seccomp.KindUnknown && k != seccomp.KindPointer {
			args = append(args, n)
		}
	}
	return args
}

// name writes a call: "ptrace", or "socket(16, 3, 15)" where the arguments matter.
func (w *watchedCalls) name(c cell.Call, looked []int) string {
	name := fmt.Sprintf("system call %d", c.NR)
	if c.Arch != w.arch.Audit() {
		return name + " of another architecture"
	}
	if n, ok := w.arch.Name(int(c.NR)); ok {
		name = n
	}
	if len(looked) == 0 {
		return name
	}
	var args []string
	for n := range looked[len(looked)-1] + 1 {
		text := "…"
		for _, l := range looked {
			if l == n {
				text = valueText(c.Args[n])
			}
		}
		args = append(args, text)
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

// valueText writes the value of an argument as a person would.
func valueText(v uint64) string {
	switch {
	case v < 4096:
		return strconv.FormatUint(v, 10)
	case -v < 4096:
		return strconv.FormatInt(int64(v), 10)
	}
	return fmt.Sprintf("%#x", v)
}

// grant says what would allow a call; "" if nothing does.
func (w *watchedCalls) grant(c cell.Call) string {
	f := w.plan.Filters[c.By]
	switch {
	case f.By == "cellos":
		return ""
	case f.By == "profile":
	case f.Policy != nil && f.By == fromDocument:
		return "a rule in " + f.Name
	default:
		return "another filter than " + f.Name
	}
	for _, name := range wider(w.plan.Profile) {
		p, err := seccomp.Profile(name)
		if err != nil || p.Verdict(w.arch, c.Data) != seccomp.Allow {
			continue
		}
		if w.flag {
			return "--seccomp " + name
		}
		return "spec.run.seccomp.profile: " + name
	}
	return ""
}

// wider lists the profiles that allow more than one, the closest first. The baseline allows nearly everything, and is no advice.
func wider(profile string) (names []string) {
	base, _, _ := strings.Cut(profile, "+")
	if base == "baseline" {
		return nil
	}
	none := base == "strict" || strings.Contains(profile, "net-none")
	if base == "strict" {
		names = append(names, "strict", "strict+debug")
	}
	if none {
		names = append(names, "hardened+net-none", "hardened+net-none+debug")
	}
	return append(names, "hardened", "hardened+debug")
}

// Meter puts the refused calls into the record.
func (w *watchedCalls) Meter(u *evidence.Usage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.plan.Watch == authority.WatchNone {
		u.NotObserved = append(u.NotObserved, "system calls refused: the kernel answers them; --report-refusals or spec.run.seccomp.reportRefusals has them counted")
		return
	}
	for _, r := range w.list {
		u.Denials = append(u.Denials, evidence.Denial{What: evidence.DeniedSyscall, Name: r.name, Count: r.count, Grant: r.grant, Claimed: w.claimed})
	}
	if w.dropped > 0 {
		u.Denials = append(u.Denials, evidence.Denial{What: evidence.DeniedSyscall, Name: "further system calls", Count: w.dropped, Claimed: w.claimed})
	}
}

// say tells the person what was refused.
func (w *watchedCalls) say(ui *cli.Console) {
	const most = 10
	w.mu.Lock()
	defer w.mu.Unlock()
	more, says := w.dropped, ""
	if w.claimed {
		says = ", the guest claims"
	}
	for n, r := range w.list {
		if n >= most {
			more += r.count
			continue
		}
		times := ""
		if r.count > 1 {
			times = fmt.Sprintf(", %d times", r.count)
		}
		how := "answered with " + strings.TrimPrefix(r.verdict.String(), "errno ")
		if _, errno := r.verdict.Errno(); !errno {
			how = "the process was ended"
		}
		f := w.plan.Filters[r.by]
		by := "the filter " + f.Name
		if f.By == "profile" {
			by = "the profile " + f.Name
		} else if f.By != "cellos" && f.By != fromDocument {
			by += " of " + f.By
		}
		text := fmt.Sprintf("refused%s: %s%s: %s, by %s", says, r.name, times, how, by)
		switch {
		case r.grant == "":
			text += "; nothing allows it"
		default:
			text += "; " + r.grant + " allows it"
		}
		ui.Note(text)
	}
	if more > 0 {
		ui.Note(fmt.Sprintf("refused%s: %d more calls: cellos show --events last", says, more))
	}
}

// sigsys says what the signal means.
func sigsys(p *plan.Plan, ui *cli.Console) {
	text := "SIGSYS is how a filter ends a process: for a system call of another architecture"
	if strings.HasPrefix(p.Profile, "strict") || len(p.Filters) > p.EarlyFilters() {
		text += ", and where the filter says so"
	}
	text += "; the profile is " + p.Profile
	if p.Watch == authority.WatchNone {
		text += "; --report-refusals says which call it was"
	}
	ui.Hint(text)
}
