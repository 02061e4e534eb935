package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"cellos.io/cellos/seccomp"
)

// MaxSize is the most bytes of a policy that are read. Docker's default profile has 14,000.
const MaxSize = 1 << 20

type file struct {
	Name    string `yaml:"name"`
	Extends string `yaml:"extends"`
	Default string `yaml:"default"`
	Foreign string `yaml:"foreign"`
	X32     string `yaml:"x32"`
	Exec    string `yaml:"exec"`
	Rules   []rule `yaml:"rules"`
}

type rule struct {
	Calls  []string `yaml:"calls"`
	When   []when   `yaml:"when"`
	Action string   `yaml:"action"`
}

type when struct {
	If     []cond `yaml:"if"`
	Action string `yaml:"action"`
}

type cond struct {
	Arg        *int       `yaml:"arg"`
	Width      *int       `yaml:"width"`
	Mask       *uint64    `yaml:"mask"`
	Is         *uint64    `yaml:"is"`
	In         []uint64   `yaml:"in"`
	Not        *uint64    `yaml:"not"`
	NotIn      []uint64   `yaml:"not_in"`
	AnyBit     *uint64    `yaml:"any_bit"`
	NoBit      *uint64    `yaml:"no_bit"`
	AtLeast    *uint64    `yaml:"at_least"`
	AtMost     *uint64    `yaml:"at_most"`
	From       *uint64    `yaml:"from"`
	To         *uint64    `yaml:"to"`
	Ranges     [][]uint64 `yaml:"ranges"`
	SignedFrom *int64     `yaml:"signed_from"`
	SignedTo   *int64     `yaml:"signed_to"`
}

// Parse reads a policy of our own format, in YAML or JSON. The error has one line for each mistake.
func Parse(text []byte) (*seccomp.Policy, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("the policy has %d bytes, more than %d", len(text), MaxSize)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var f file
	if err := d.Decode(&f); err == io.EOF {
		return nil, errors.New("the policy is empty")
	} else if err != nil {
		return nil, readable(err)
	}
	if err := d.Decode(new(yaml.Node)); err != io.EOF {
		return nil, errors.New("the file has more than one document")
	}
	return f.policy()
}

// readable makes the library's errors ours: one line each, without the names of Go types.
func readable(err error) error {
	var t *yaml.TypeError
	if !errors.As(err, &t) {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var errs []error
	for _, s := range t.Errors {
		if before, _, ok := strings.Cut(s, " not found in type "); ok {
			s = before + " is unknown"
		}
		if before, after, ok := strings.Cut(s, " into "); ok {
			s = strings.Replace(before, "cannot unmarshal ", "unexpected value ", 1) + ", want " + wanted(after)
		}
		errs = append(errs, errors.New(s))
	}
	return errors.Join(errs...)
}

func wanted(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case goType == "uint64" || goType == "int" || goType == "int64":
		return "a number"
	case goType == "string":
		return "a text"
	}
	return "a mapping"
}

func (f *file) policy() (*seccomp.Policy, error) {
	var errs []error
	problem := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	action := func(at, s string) seccomp.Action {
		a, err := seccomp.ParseAction(s)
		if s == "" {
			problem("%s: the action is missing", at)
		} else if err != nil {
			problem("%s: %w", at, err)
		}
		return a
	}
	own := &seccomp.Policy{Name: f.Name}
	base := own
	switch {
	case f.Extends != "" && f.Default+f.Foreign+f.X32 != "":
		problem("extends: a policy that extends a profile takes default, foreign and x32 from it")
	case f.Extends != "":
		p, err := seccomp.Profile(f.Extends)
		if err != nil {
			problem("extends: %w", err)
			break
		}
		p.Name = f.Name
		base = p
	default:
		own.Default = action("default", f.Default)
		if f.Foreign != "" {
			own.Foreign = action("foreign", f.Foreign)
		}
		if f.X32 != "" {
			own.X32 = action("x32", f.X32)
		}
	}
	switch f.Exec {
	case "":
	case "once":
		own.ExecOnce = true
	default:
		problem("exec: it can be once: the command is started and executes nothing more")
	}
	for i, r := range f.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		out := seccomp.Rule{Names: r.Calls, Else: action(at+".action", r.Action)}
		for j, w := range r.When {
			at := fmt.Sprintf("%s.when[%d]", at, j)
			c := seccomp.Case{Then: action(at+".action", w.Action)}
			for k, x := range w.If {
				cond, err := x.condition(r.Calls)
				if err != nil {
					problem("%s.if[%d]: %w", at, k, err)
					continue
				}
				c.All = append(c.All, cond)
			}
			if len(c.All) == len(w.If) {
				out.Cases = append(out.Cases, c)
			}
		}
		own.Rules = append(own.Rules, out)
	}
	if err := own.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if base == own {
		return own, nil
	}
	for _, r := range own.Rules {
		base = base.WithRule(r)
	}
	base.ExecOnce = base.ExecOnce || own.ExecOnce
	return base, nil
}

const tests = "is, in, not, not_in, any_bit, no_bit, at_least, at_most, from and to, ranges, signed_from and signed_to"

// condition makes the condition, and finds every mistake in it.
func (c cond) condition(calls []string) (seccomp.Cond, error) {
	var errs []error
	problem := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	arg := 0
	if c.Arg == nil {
		problem("arg is missing")
	} else if arg = *c.Arg; arg < 0 || arg > 5 {
		problem("there is no argument %d: a system call has the arguments 0 to 5", arg)
	}
	w := seccomp.Bits64
	switch {
	case c.Width == nil && len(calls) > 0 && seccomp.ArgKind(calls[0], arg) != seccomp.KindUnknown:
		problem("width is missing; the kernel reads %d bits of argument %d of %s", seccomp.ArgKind(calls[0], arg).Width(), arg, calls[0])
	case c.Width == nil:
		problem("width is missing: it must be 32 or 64, what the kernel reads of the argument")
	case *c.Width != 32 && *c.Width != 64:
		problem("width is %d: it must be 32 or 64, what the kernel reads of the argument", *c.Width)
	default:
		w = seccomp.Width(*c.Width)
	}
	var made []seccomp.Cond
	add := func(cond seccomp.Cond) { made = append(made, cond) }
	mask := uint64(0)
	if c.Mask != nil {
		if mask = *c.Mask; mask == 0 {
			problem("mask is 0: no bit would be compared")
		}
	}
	if c.Is != nil {
		add(seccomp.Masked(arg, w, mask, *c.Is))
	}
	if c.In != nil {
		add(seccomp.Masked(arg, w, mask, c.In...))
	}
	if c.Not != nil {
		add(seccomp.Masked(arg, w, mask, *c.Not).Negate())
	}
	if c.NotIn != nil {
		add(seccomp.Masked(arg, w, mask, c.NotIn...).Negate())
	}
	if c.AnyBit != nil {
		add(seccomp.AnyBit(arg, w, *c.AnyBit))
	}
	if c.NoBit != nil {
		add(seccomp.NoBit(arg, w, *c.NoBit))
	}
	if mask != 0 && (c.AnyBit != nil || c.NoBit != nil || len(made) == 0 && c.Ranges == nil) {
		problem("mask goes with is, in, not, not_in and ranges only")
	}
	if c.AnyBit != nil && *c.AnyBit == 0 || c.NoBit != nil && *c.NoBit == 0 {
		problem("the bits are 0: no bit would be looked at")
	}
	if c.AtLeast != nil {
		add(seccomp.AtLeast(arg, w, *c.AtLeast))
	}
	if c.AtMost != nil {
		add(seccomp.AtMost(arg, w, *c.AtMost))
	}
	switch {
	case (c.From == nil) != (c.To == nil), (c.SignedFrom == nil) != (c.SignedTo == nil):
		problem("from and to go together, and so do signed_from and signed_to")
	case c.From != nil && *c.From > *c.To:
		problem("the range from %d to %d is upside down", *c.From, *c.To)
	case c.From != nil:
		add(seccomp.Between(arg, w, *c.From, *c.To))
	case c.SignedFrom != nil && *c.SignedFrom > *c.SignedTo:
		problem("the range from %d to %d is upside down", *c.SignedFrom, *c.SignedTo)
	case c.SignedFrom != nil && w == seccomp.Bits32 && (*c.SignedFrom < -1<<31 || *c.SignedTo > 1<<31-1):
		problem("the range from %d to %d does not fit 32 bits", *c.SignedFrom, *c.SignedTo)
	case c.SignedFrom != nil:
		add(seccomp.BetweenSigned(arg, w, *c.SignedFrom, *c.SignedTo))
	}
	if c.Ranges != nil {
		in := seccomp.Cond{Arg: arg, Width: w, Mask: mask}
		for _, r := range c.Ranges {
			if len(r) != 2 {
				problem("ranges: a range has two ends, not %d", len(r))
			} else if r[0] > r[1] {
				problem("the range from %d to %d is upside down", r[0], r[1])
			} else {
				in.In = append(in.In, seccomp.Span{Lo: r[0], Hi: r[1]})
			}
		}
		in.In = seccomp.Union(in.In...)
		add(in)
	}
	if len(errs) == 0 && len(made) != 1 {
		problem("it has %d tests; it must have one of %s", len(made), tests)
	}
	if len(errs) > 0 {
		return seccomp.Cond{}, errors.Join(errs...)
	}
	return made[0], nil
}
