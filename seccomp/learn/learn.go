// Package learn makes a policy from the system calls that a program was seen to make.
//
//	r := learn.New(arch)
//	r.Add(tid, data, verdict)            // for each call
//	for _, u := range r.Uses() {}        // what was used, with the classes of arguments
//	rules := r.Rules()                   // what strict needs on top, and no more
//
// A call that strict allows needs no rule. For any other one that was allowed, a rule allows it with the arguments that were seen, as far as the profiles look
// at arguments at all: socket(2) by family, type and protocol, clone(2) by the flags that make threads and namespaces, ioctl(2) by its request. A call that was refused
// stays refused. The package runs nothing: what it is told of, others have seen.
package learn

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// maxClasses is how many classes of arguments of one call are told apart. A call with more is allowed where hardened allows it.
const maxClasses = 32

// A Recorder collects calls. Its methods may be called concurrently.
type Recorder struct {
	arch             *sysabi.Arch
	strict, hardened *seccomp.Policy

	mu      sync.Mutex
	calls   map[string]*call
	starter int // the thread that executes the command; 0: not seen yet
	started bool
}

type call struct {
	name    string
	vars    []variable
	count   int64
	classes []*class
	many    bool // more classes than are kept
}

// A variable is a part of an argument that a profile looks at.
type variable struct {
	arg   int
	width seccomp.Width
	mask  uint64
}

type class struct {
	values  []uint64 // of the call's variables
	sample  seccomp.Data
	verdict seccomp.Action
	count   int64
}

// New makes a Recorder for the calls of an architecture.
func New(a *sysabi.Arch) (*Recorder, error) {
	strict, err := seccomp.Profile("strict")
	if err != nil {
		return nil, err
	}
	hardened, err := seccomp.Profile("hardened")
	if err != nil {
		return nil, err
	}
	return &Recorder{arch: a, strict: strict, hardened: hardened, calls: map[string]*call{}}, nil
}

// Add records a call and what it got. The calls of execve that a command starts with, which may be one for each folder of PATH, are
// not the command's own and are left out: they are those that the first thread makes before anything else.
func (r *Recorder) Add(tid int, d seccomp.Data, verdict seccomp.Action) {
	name, ok := r.arch.Name(int(d.NR))
	if !ok || d.Arch != r.arch.Audit() {
		return // no policy can name it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.starter == 0 {
		r.starter = tid
	}
	if !r.started && tid == r.starter {
		if name == "execve" {
			return
		}
		r.started = true
	}
	c := r.calls[name]
	if c == nil {
		c = &call{name: name, vars: variables(name, r.strict, r.hardened)}
		r.calls[name] = c
	}
	c.count++
	values := make([]uint64, len(c.vars))
	for i, v := range c.vars {
		values[i] = d.Args[v.arg] & v.mask
	}
	for _, x := range c.classes {
		if slices.Equal(x.values, values) && x.verdict == verdict {
			x.count++
			return
		}
	}
	if len(c.classes) == maxClasses {
		c.many = true
		return
	}
	c.classes = append(c.classes, &class{values, d, verdict, 1})
}

// variables lists what the policies look at in a call.
func variables(name string, policies ...*seccomp.Policy) (vars []variable) {
	for _, p := range policies {
		rule, _ := p.Rule(name)
		for _, c := range rule.Cases {
			for _, d := range c.All {
				v := variable{d.Arg, d.Width, d.Mask}
				top := ^uint64(0) >> (64 - d.Width)
				if v.mask &= top; v.mask == 0 {
					v.mask = top
				}
				// One variable an argument: the bits that anybody looks at.
				if i := slices.IndexFunc(vars, func(w variable) bool { return w.arg == v.arg }); i >= 0 {
					vars[i].mask |= v.mask
					vars[i].width = max(vars[i].width, v.width)
				} else {
					vars = append(vars, v)
				}
			}
		}
	}
	slices.SortFunc(vars, func(a, b variable) int { return cmp.Compare(a.arg, b.arg) })
	return vars
}

// What strict says of a use.
const (
	Allowed = "strict allows it"
	Added   = "the policy allows it"
	Refused = "refused"
)

// A Use is a call that was made.
type Use struct {
	Call    string  `json:"call"`
	Count   int64   `json:"count"`
	Verdict string  `json:"verdict"`           // Allowed, Added or Refused; the least of its classes
	Classes []Class `json:"classes,omitempty"` // of arguments, where a profile looks at them
	More    bool    `json:"more,omitempty"`    // there were more classes
}

// A Class are calls with the same arguments, as far as a profile looks at them.
type Class struct {
	Arguments string `json:"arguments"` // "arg0 = 2, arg1 & 0xf = 1"
	Count     int64  `json:"count"`
	Verdict   string `json:"verdict"`
}

// Uses lists every call that was made, in the order of names.
func (r *Recorder) Uses() []Use {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Use
	for _, c := range r.sorted() {
		u := Use{Call: c.name, Count: c.count, More: c.many, Verdict: Allowed}
		for _, x := range c.classes {
			v := r.says(x)
			if v == Refused || v == Added && u.Verdict == Allowed {
				u.Verdict = v
			}
			if len(c.vars) > 0 {
				u.Classes = append(u.Classes, Class{c.arguments(x), x.count, v})
			}
		}
		out = append(out, u)
	}
	return out
}

func (r *Recorder) sorted() (list []*call) {
	for _, c := range r.calls {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *call) int { return strings.Compare(a.name, b.name) })
	return list
}

func (r *Recorder) says(x *class) string {
	switch {
	case x.verdict != seccomp.Allow:
		return Refused
	case r.permits(x.sample):
		return Allowed
	}
	return Added
}

// permits reports whether strict allows a call; execve only starts the command there.
func (r *Recorder) permits(d seccomp.Data) bool {
	nr, _ := r.arch.Number("execve")
	return int(d.NR) != nr && r.strict.Verdict(r.arch, d) == seccomp.Allow
}

func (c *call) arguments(x *class) string {
	var s []string
	for i, v := range c.vars {
		if v.mask == ^uint64(0)>>(64-v.width) {
			s = append(s, fmt.Sprintf("arg%d = %#x", v.arg, x.values[i]))
		} else {
			s = append(s, fmt.Sprintf("arg%d & %#x = %#x", v.arg, v.mask, x.values[i]))
		}
	}
	return strings.Join(s, ", ")
}
