package seccomp

import (
	"errors"
	"fmt"
	"strconv"

	"cellos.io/cellos/sysabi"
)

// Validate reports everything that is wrong with the policy, in one error of several lines: calls that no architecture has,
// a call in two rules, arguments above 5, a missing width, spans that are upside down, do not fit the width, or can never hold
// under the mask.
func (p *Policy) Validate() error {
	var errs []error
	rule := map[string]int{}
	for i, r := range p.Rules {
		at := "rules[" + strconv.Itoa(i) + "]"
		if len(r.Names) == 0 {
			errs = append(errs, fmt.Errorf("%s: names no system call", at))
		}
		for _, n := range r.Names {
			if !sysabi.KnownCall(n) {
				errs = append(errs, fmt.Errorf("%s: no system call is called %q", at, n))
			}
			if j, ok := rule[n]; ok && j == i {
				errs = append(errs, fmt.Errorf("%s: names %q twice", at, n))
			} else if ok {
				errs = append(errs, fmt.Errorf("%s: contradicts rules[%d], which also decides on %s", at, j, n))
			}
			rule[n] = i
		}
		if !r.Else.Known() {
			errs = append(errs, fmt.Errorf("%s: the kernel knows no action %s", at, r.Else))
		}
		errs = append(errs, validCases(at, r)...)
	}
	for _, a := range []Action{p.Default, p.Foreign, p.X32} {
		if !a.Known() {
			errs = append(errs, fmt.Errorf("the kernel knows no action %s", a))
		}
	}
	return errors.Join(errs...)
}

func validCases(at string, r Rule) []error {
	var errs []error
	for j, c := range r.Cases {
		if len(c.All) == 0 {
			errs = append(errs, fmt.Errorf("%s.cases[%d]: has no condition; the verdict of the rule itself is for that", at, j))
		}
		for k, cond := range c.All {
			if err := cond.validate(); err != nil {
				errs = append(errs, fmt.Errorf("%s.cases[%d].all[%d]: %w", at, j, k, err))
			}
		}
		if !c.Then.Known() {
			errs = append(errs, fmt.Errorf("%s.cases[%d]: the kernel knows no action %s", at, j, c.Then))
		}
		for k, d := range r.Cases[:j] {
			if c.Then != d.Then && sameConds(c.All, d.All) {
				errs = append(errs, fmt.Errorf("%s.cases[%d]: contradicts cases[%d]: the same conditions, but %s and not %s", at, j, k, c.Then, d.Then))
			}
		}
	}
	return errs
}

func (c Cond) validate() error {
	if c.Arg < 0 || c.Arg > 5 {
		return fmt.Errorf("there is no argument %d: a system call has the arguments 0 to 5", c.Arg)
	}
	if c.Width != Bits32 && c.Width != Bits64 {
		return fmt.Errorf("argument %d: the width is missing: it must be 32 or 64, what the kernel reads of it", c.Arg)
	}
	if c.Mask > c.Width.max() {
		return fmt.Errorf("argument %d: the mask %#x does not fit %d bits", c.Arg, c.Mask, c.Width)
	}
	if len(c.In) == 0 {
		return fmt.Errorf("argument %d: no value can satisfy this condition", c.Arg)
	}
	for i, s := range c.In {
		if s.Lo > s.Hi {
			return fmt.Errorf("argument %d: the range from %#x to %#x is upside down", c.Arg, s.Lo, s.Hi)
		}
		if s.Hi > c.Width.max() {
			return fmt.Errorf("argument %d: %#x does not fit %d bits", c.Arg, s.Hi, c.Width)
		}
		if s.Lo == s.Hi && s.Lo&^c.mask() != 0 {
			return fmt.Errorf("argument %d: %#x has bits outside the mask %#x and can never match", c.Arg, s.Lo, c.mask())
		}
		if i > 0 && c.In[i-1].Hi >= s.Lo {
			return fmt.Errorf("argument %d: the ranges are not in order", c.Arg)
		}
	}
	return nil
}

func sameConds(a, b []Cond) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].same(b[i]) {
			return false
		}
	}
	return true
}

// variable is what a condition looks at: two conditions with the same variable are decided by one load.
type variable struct {
	arg   int
	width Width
	mask  uint64
}

func (c Cond) variable() variable { return variable{c.Arg, c.Width, c.mask()} }

func (c Cond) same(d Cond) bool {
	if c.variable() != d.variable() || len(c.In) != len(d.In) {
		return false
	}
	for i := range c.In {
		if c.In[i] != d.In[i] {
			return false
		}
	}
	return true
}
