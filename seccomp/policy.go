package seccomp

import (
	"slices"

	"cellos.io/cellos/sysabi"
)

// Policy says what happens to each system call. It is a value: methods that change one return a copy.
type Policy struct {
	Name string // for messages; may be empty

	// Default is the verdict on every number that no rule names. Its zero value is KillThread.
	Default Action
	// Foreign is the verdict on calls of another architecture's ABI. Zero means KillProcess.
	Foreign Action
	// X32 is the verdict on x32 numbers, on amd64 only. Zero means an errno action with ENOSYS.
	X32 Action
	// Open leaves x32 numbers to Default, which a number is compared with as it is. It exists for the baseline alone.
	Open bool

	Rules []Rule

	// ExecOnce says that the command is to be started under this policy and may then execute nothing: whoever loads it compiles
	// WithExecOnce. A rule for execve takes it back.
	ExecOnce bool

	linear bool // the baseline's own shape: one compare a rule, in the order of Rules
}

// Rule is the verdict on some system calls: that of the first case that matches, or Else.
type Rule struct {
	Names []string // no name in two rules; those that an architecture lacks are skipped there
	Cases []Case   // may be empty: then the verdict is Else, whatever the arguments
	Else  Action
}

// Case is a verdict under conditions on the arguments, all of which must hold.
type Case struct {
	All  []Cond
	Then Action
}

// Width says how much of an argument the kernel reads. It has no default: a filter that compares 64 bits of an int can be
// passed with a bit that the kernel ignores (CVE-2019-10063, CVE-2019-7303).
type Width uint8

// The two widths.
const (
	Bits32 Width = 32 // int, unsigned int, umode_t: the high word is ignored
	Bits64 Width = 64 // long, size_t, pointers
)

// max returns the greatest value of the width.
func (w Width) max() uint64 {
	if w == Bits32 {
		return 0xffffffff
	}
	return ^uint64(0)
}

// Span is a set of consecutive unsigned numbers, both ends included.
type Span struct{ Lo, Hi uint64 }

// Cond holds when an argument, cut to Width and masked with Mask, is in one of the spans.
//
// Use [Is], [Not], [In], [Masked], [AnyBit], [NoBit], [AtLeast], [AtMost] and [Between] to make one.
type Cond struct {
	Arg   int // 0 to 5
	Width Width
	Mask  uint64 // zero means every bit of Width
	In    []Span // sorted, not touching
}

func (c Cond) mask() uint64 {
	if c.Mask == 0 {
		return c.Width.max()
	}
	return c.Mask & c.Width.max()
}

// Holds evaluates the condition for the value of the argument.
func (c Cond) Holds(arg uint64) bool {
	return c.has(arg & c.mask())
}

// has reports whether v, already masked, is in one of the spans.
func (c Cond) has(v uint64) bool {
	for _, s := range c.In {
		if s.Lo <= v && v <= s.Hi {
			return true
		}
	}
	return false
}

// Is holds when the argument equals v.
func Is(arg int, w Width, v uint64) Cond { return In(arg, w, v) }

// Not holds when the argument differs from v.
func Not(arg int, w Width, v uint64) Cond { return In(arg, w, v).Negate() }

// In holds when the argument is one of the values.
func In(arg int, w Width, values ...uint64) Cond { return Masked(arg, w, 0, values...) }

// Masked holds when the argument under the mask is one of the values. A zero mask means every bit.
func Masked(arg int, w Width, mask uint64, values ...uint64) Cond {
	spans := make([]Span, len(values))
	for i, v := range values {
		spans[i] = Span{v, v}
	}
	return Cond{Arg: arg, Width: w, Mask: mask, In: Union(spans...)}
}

// AnyBit holds when the argument has at least one bit of the mask.
func AnyBit(arg int, w Width, mask uint64) Cond {
	return Cond{Arg: arg, Width: w, Mask: mask, In: []Span{{1, w.max()}}}
}

// NoBit holds when the argument has no bit of the mask.
func NoBit(arg int, w Width, mask uint64) Cond { return Masked(arg, w, mask, 0) }

// AtLeast holds when the argument, as an unsigned number, is v or greater.
func AtLeast(arg int, w Width, v uint64) Cond { return Between(arg, w, v, w.max()) }

// AtMost holds when the argument, as an unsigned number, is v or less.
func AtMost(arg int, w Width, v uint64) Cond { return Between(arg, w, 0, v) }

// Between holds when the argument, as an unsigned number, is in lo to hi.
func Between(arg int, w Width, lo, hi uint64) Cond {
	return Cond{Arg: arg, Width: w, In: []Span{{lo, hi}}}
}

// BetweenSigned holds when the argument, as a signed number of its width, is in lo to hi.
func BetweenSigned(arg int, w Width, lo, hi int64) Cond {
	c := Cond{Arg: arg, Width: w}
	switch {
	case lo > hi: // nothing
	case lo < 0 && hi >= 0:
		c.In = Union(Span{0, uint64(hi) & w.max()}, Span{uint64(lo) & w.max(), w.max()})
	default:
		c.In = []Span{{uint64(lo) & w.max(), uint64(hi) & w.max()}}
	}
	return c
}

// Negate returns the condition that holds exactly when c does not.
func (c Cond) Negate() Cond {
	var out []Span
	next, end := uint64(0), c.Width.max()
	for _, s := range Union(c.In...) {
		if s.Lo > next {
			out = append(out, Span{next, s.Lo - 1})
		}
		if s.Hi >= end {
			c.In = out
			return c
		}
		next = s.Hi + 1
	}
	c.In = append(out, Span{next, end})
	return c
}

// Union sorts spans and joins those that touch. It leaves out spans whose ends are upside down.
func Union(spans ...Span) []Span {
	s := slices.DeleteFunc(slices.Clone(spans), func(s Span) bool { return s.Lo > s.Hi })
	slices.SortFunc(s, func(a, b Span) int {
		if a.Lo < b.Lo {
			return -1
		}
		return 1
	})
	out := s[:0]
	for _, x := range s {
		if n := len(out); n > 0 && (out[n-1].Hi == ^uint64(0) || x.Lo <= out[n-1].Hi+1) {
			out[n-1].Hi = max(out[n-1].Hi, x.Hi)
			continue
		}
		out = append(out, x)
	}
	return out
}

// WithRule returns a copy in which r is the only rule for its names.
func (p *Policy) WithRule(r Rule) *Policy {
	q := p.Without(r.Names...)
	q.Rules = append(q.Rules, r)
	return q
}

// Without returns a copy in which Default decides on the named calls.
func (p *Policy) Without(names ...string) *Policy {
	q := *p
	q.linear = false
	q.ExecOnce = p.ExecOnce && !slices.Contains(names, "execve")
	q.Rules = make([]Rule, 0, len(p.Rules)+1)
	for _, r := range p.Rules {
		if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(r.Names, n) }) {
			r.Names = slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool { return slices.Contains(names, n) })
		}
		if len(r.Names) > 0 {
			q.Rules = append(q.Rules, r)
		}
	}
	return &q
}

// WithExecOnce returns a copy that allows execve only with exactly these three addresses, and refuses execveat. The caller puts
// the path, the argument vector and the environment at random addresses: after the exec they are gone and nobody can learn
// them, so the call works once.
func (p *Policy) WithExecOnce(path, argv, envp uint64) *Policy {
	return p.WithRule(Rule{
		Names: []string{"execve"},
		Cases: []Case{{All: []Cond{Is(0, Bits64, path), Is(1, Bits64, argv), Is(2, Bits64, envp)}, Then: Allow}},
		Else:  Errno(sysabi.EPERM),
	}).WithRule(Rule{Names: []string{"execveat"}, Else: Errno(sysabi.EPERM)})
}

// Rule returns the rule for a call. Without one, Default decides.
func (p *Policy) Rule(name string) (Rule, bool) {
	for _, r := range p.Rules {
		if slices.Contains(r.Names, name) {
			return r, true
		}
	}
	return Rule{}, false
}
