package learn

import (
	"fmt"

	"cellos.io/cellos/seccomp"
)

// Rules are what has to be said on top of strict so that the calls that were allowed are allowed again.
func (r *Recorder) Rules() []seccomp.Rule {
	r.mu.Lock()
	defer r.mu.Unlock()
	plain := seccomp.Rule{Else: seccomp.Allow}
	var rules []seccomp.Rule
	for _, c := range r.sorted() {
		var need []*class
		for _, x := range c.classes {
			if r.says(x) == Added {
				need = append(need, x)
			}
		}
		switch {
		case len(need) > 0 && c.many && r.wall(c) != nil:
			rules = append(rules, *r.wall(c))
		case len(need) > 0 && (len(c.vars) == 0 || c.many || unrepeatable(c, need)):
			plain.Names = append(plain.Names, c.name)
		case len(need) > 0:
			rules = append(rules, r.conditional(c, need))
		default:
			if x := r.spared(c); x != nil {
				rules = append(rules, seccomp.Rule{Names: []string{c.name}, Else: x.verdict})
			}
		}
	}
	if len(plain.Names) > 0 {
		rules = append([]seccomp.Rule{plain}, rules...)
	}
	return rules
}

// wall is what hardened says of a call that it allows for some arguments; nil if it does not look at them.
func (r *Recorder) wall(c *call) *seccomp.Rule {
	h, ok := r.hardened.Rule(c.name)
	if !ok || len(h.Cases) == 0 {
		return nil
	}
	return &seccomp.Rule{Names: []string{c.name}, Cases: h.Cases, Else: h.Else}
}

// conditional allows what strict allows of a call, and the classes.
func (r *Recorder) conditional(c *call, need []*class) seccomp.Rule {
	old, ok := r.strict.Rule(c.name)
	out := seccomp.Rule{Names: []string{c.name}, Cases: append([]seccomp.Case(nil), old.Cases...), Else: old.Else}
	if !ok {
		out.Else = r.strict.Default
	}
	if len(c.vars) == 1 {
		v := c.vars[0]
		var values []uint64
		for _, x := range need {
			values = append(values, x.values[0])
		}
		out.Cases = append(out.Cases, seccomp.Case{All: []seccomp.Cond{v.condition(values...)}, Then: seccomp.Allow})
		return out
	}
	for _, x := range need {
		var all []seccomp.Cond
		for i, v := range c.vars {
			all = append(all, v.condition(x.values[i]))
		}
		out.Cases = append(out.Cases, seccomp.Case{All: all, Then: seccomp.Allow})
	}
	return out
}

func (v variable) condition(values ...uint64) seccomp.Cond {
	mask := v.mask
	if mask == ^uint64(0)>>(64-v.width) {
		mask = 0
	}
	return seccomp.Masked(v.arg, v.width, mask, values...)
}

// unrepeatable reports whether the arguments name something that has another number in the next run: the process of prlimit64.
func unrepeatable(c *call, need []*class) bool {
	for _, x := range need {
		if c.name == "prlimit64" && x.values[0] != 0 {
			return true
		}
	}
	return false
}

// spared is a class that was refused with an error number and would end the process under strict; nil if there is none. The program took the
// refusal, and is to get it again.
func (r *Recorder) spared(c *call) *class {
	for _, x := range c.classes {
		if _, errno := x.verdict.Errno(); errno && r.strict.Verdict(r.arch, x.sample) == seccomp.KillProcess {
			return x
		}
	}
	return nil
}

// Check says whether a policy gives every call that was seen what it got, or more strictly the same refusal. It is for whoever wrote the rules down and read
// them again.
func (r *Recorder) Check(p *seccomp.Policy) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.sorted() {
		for _, x := range c.classes {
			if got := p.Verdict(r.arch, x.sample); x.verdict == seccomp.Allow && got != seccomp.Allow {
				return fmt.Errorf("learn bug: %s(%s) was allowed, and the policy says %v", c.name, c.arguments(x), got)
			}
		}
	}
	return nil
}
