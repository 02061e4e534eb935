package policyfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// oci is linux.seccomp of the OCI runtime specification (config-linux.md, "Seccomp"). Container engines' own profiles, which have
// archMap, includes and excludes, are templates for it.
type oci struct {
	DefaultAction    string    `json:"defaultAction"`
	DefaultErrnoRet  *uint     `json:"defaultErrnoRet,omitempty"`
	Architectures    []string  `json:"architectures,omitempty"`
	Flags            []string  `json:"flags,omitempty"`
	ListenerPath     string    `json:"listenerPath,omitempty"`
	ListenerMetadata string    `json:"listenerMetadata,omitempty"`
	Syscalls         []ociCall `json:"syscalls,omitempty"`
}

type ociCall struct {
	Names    []string `json:"names"`
	Action   string   `json:"action"`
	ErrnoRet *uint    `json:"errnoRet,omitempty"`
	Args     []ociArg `json:"args,omitempty"`
}

type ociArg struct {
	Index    uint   `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo,omitempty"`
	Op       string `json:"op"`
}

// OCIOptions say how to read an OCI policy.
type OCIOptions struct {
	// Whole compares all 64 bits of every argument, as libseccomp does. Without it an argument of which the kernel reads 32 bits is
	// compared in these, so that a rule cannot be passed with bits that the kernel ignores.
	Whole bool
}

// ParseOCI reads linux.seccomp of the OCI runtime specification. The notes tell what the policy asks for and this package does not
// give: calls of other architectures' ABIs, which stay refused, and names that no architecture with a table has.
//
// Entries for one call are joined as runtimes join them: each is an alternative, and conditions of one entry on the same argument
// are alternatives too. Entries that contradict each other are errors.
func ParseOCI(text []byte, opt OCIOptions) (p *seccomp.Policy, notes []string, err error) {
	if len(text) > MaxSize {
		return nil, nil, fmt.Errorf("the policy has %d bytes, more than %d", len(text), MaxSize)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var f oci
	if err := d.Decode(&f); err != nil {
		return nil, nil, fmt.Errorf("reading an OCI policy: %w", err)
	}
	if d.More() {
		return nil, nil, errors.New("reading an OCI policy: there is something after it")
	}
	r := ociReader{opt: opt, at: map[string]int{}}
	r.policy.Default = r.action("defaultAction", f.DefaultAction, f.DefaultErrnoRet)
	for i, a := range f.Architectures {
		switch a {
		case "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64", "SCMP_ARCH_NATIVE":
		case "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM":
			r.note("architectures[%d]: %s: its calls stay refused", i, a)
		default:
			r.note("architectures[%d]: %s has no table here and is left out", i, a)
		}
	}
	if f.ListenerPath != "" {
		r.note("listenerPath is left out")
	}
	for i, c := range f.Syscalls {
		r.call(fmt.Sprintf("syscalls[%d]", i), c)
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, r.notes, err
	}
	if err := r.policy.Validate(); err != nil {
		return nil, r.notes, err
	}
	return &r.policy, r.notes, nil
}

// ociReader joins the entries of each call.
type ociReader struct {
	opt    OCIOptions
	policy seccomp.Policy
	at     map[string]int // the rule of a call
	final  map[string]bool
	errs   []error
	notes  []string
}

func (r *ociReader) problem(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}
func (r *ociReader) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *ociReader) action(at, name string, errno *uint) seccomp.Action {
	if errno != nil && *errno > seccomp.MaxErrno {
		r.problem("%s: error number %d is above %d", at, *errno, seccomp.MaxErrno)
		return seccomp.KillProcess
	}
	number := uint(sysabi.EPERM)
	if errno != nil {
		number = *errno
	}
	switch name {
	case "SCMP_ACT_ALLOW":
		return seccomp.Allow
	case "SCMP_ACT_ERRNO":
		return seccomp.Errno(sysabi.Errno(number))
	case "SCMP_ACT_KILL_PROCESS":
		return seccomp.KillProcess
	case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD":
		return seccomp.KillThread
	case "SCMP_ACT_TRAP":
		return seccomp.Trap
	case "SCMP_ACT_TRACE":
		return seccomp.Trace | seccomp.Action(number)
	case "SCMP_ACT_LOG":
		return seccomp.Log
	case "SCMP_ACT_NOTIFY":
		return seccomp.Notify
	}
	r.problem("%s: %q is no action", at, name)
	return seccomp.KillProcess
}

func (r *ociReader) call(at string, c ociCall) {
	if len(c.Names) == 0 {
		r.problem("%s: names no system call", at)
	}
	action := r.action(at+".action", c.Action, c.ErrnoRet)
	for _, name := range c.Names {
		if !sysabi.KnownCall(name) {
			// Engines' lists have names of 32-bit architectures that are not in the tables, and of newer kernels.
			r.note("%s: no system call here is called %q", at, name)
			continue
		}
		alternatives := r.conditions(at, name, c.Args)
		i, seen := r.at[name]
		if !seen {
			i = len(r.policy.Rules)
			r.at[name] = i
			r.policy.Rules = append(r.policy.Rules, seccomp.Rule{Names: []string{name}, Else: r.policy.Default})
		}
		r.join(at, &r.policy.Rules[i], alternatives, action)
	}
}

// join adds an entry to the rule of its call.
func (r *ociReader) join(at string, rule *seccomp.Rule, alternatives [][]seccomp.Cond, action seccomp.Action) {
	name := rule.Names[0]
	if r.final == nil {
		r.final = map[string]bool{}
	}
	if alternatives == nil {
		if r.final[name] && rule.Else != action {
			r.problem("%s: contradicts an earlier entry: %s gets %v there and %v here", at, name, rule.Else, action)
			return
		}
		for _, c := range rule.Cases {
			if c.Then != action {
				r.problem("%s: contradicts an earlier entry: %s gets %v there under conditions, and %v here whatever its arguments", at, name, c.Then, action)
				return
			}
		}
		rule.Cases, rule.Else = nil, action
		r.final[name] = true
		return
	}
	if r.final[name] {
		if rule.Else != action {
			r.problem("%s: contradicts an earlier entry: %s gets %v there whatever its arguments, and %v here", at, name, rule.Else, action)
		}
		return
	}
	for _, all := range alternatives {
		for _, c := range rule.Cases {
			if c.Then != action && !disjoint(c.All, all) {
				r.problem("%s: contradicts an earlier entry: %s gets %v there and %v here for the same arguments", at, name, c.Then, action)
				return
			}
		}
		rule.Cases = append(rule.Cases, seccomp.Case{All: all, Then: action})
	}
}

// disjoint reports whether some argument surely tells the two conjunctions apart.
func disjoint(a, b []seccomp.Cond) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Arg == y.Arg && x.Width == y.Width && x.Mask == y.Mask && !slices.ContainsFunc(x.In, func(s seccomp.Span) bool {
				return slices.ContainsFunc(y.In, func(t seccomp.Span) bool { return s.Lo <= t.Hi && t.Lo <= s.Hi })
			}) {
				return true
			}
		}
	}
	return false
}

// conditions returns the alternatives of an entry, each a conjunction; nil means always.
func (r *ociReader) conditions(at, name string, args []ociArg) [][]seccomp.Cond {
	if len(args) == 0 {
		return nil
	}
	var all []seccomp.Cond
	twice := false
	for i, a := range args {
		c, err := r.condition(name, a)
		if err != nil {
			r.problem("%s.args[%d]: %w", at, i, err)
			continue
		}
		twice = twice || slices.ContainsFunc(all, func(d seccomp.Cond) bool { return d.Arg == c.Arg })
		all = append(all, c)
	}
	if !twice {
		return [][]seccomp.Cond{all}
	}
	var alternatives [][]seccomp.Cond // as runc does, which cannot give libseccomp one argument twice
	for _, c := range all {
		alternatives = append(alternatives, []seccomp.Cond{c})
	}
	return alternatives
}

func (r *ociReader) condition(name string, a ociArg) (seccomp.Cond, error) {
	arg := int(min(a.Index, 6))
	if arg > 5 {
		return seccomp.Cond{}, fmt.Errorf("there is no argument %d: a system call has the arguments 0 to 5", a.Index)
	}
	w, top := seccomp.Bits64, ^uint64(0)
	if !r.opt.Whole && seccomp.ArgKind(name, arg) == seccomp.Kind32 {
		w, top = seccomp.Bits32, 0xffffffff
	}
	v, two := a.Value, a.ValueTwo
	if v > top || a.Op == "SCMP_CMP_MASKED_EQ" && two > top {
		return seccomp.Cond{}, fmt.Errorf("%#x does not fit the 32 bits that the kernel reads of argument %d of %s", max(v, two), arg, name)
	}
	switch a.Op {
	case "SCMP_CMP_EQ":
		return seccomp.Is(arg, w, v), nil
	case "SCMP_CMP_NE":
		return seccomp.Not(arg, w, v), nil
	case "SCMP_CMP_LT":
		if v == 0 {
			return seccomp.Cond{}, errors.New("no value is less than 0")
		}
		return seccomp.AtMost(arg, w, v-1), nil
	case "SCMP_CMP_LE":
		return seccomp.AtMost(arg, w, v), nil
	case "SCMP_CMP_GE":
		return seccomp.AtLeast(arg, w, v), nil
	case "SCMP_CMP_GT":
		if v == top {
			return seccomp.Cond{}, fmt.Errorf("no value of %d bits is greater than %#x", w, v)
		}
		return seccomp.AtLeast(arg, w, v+1), nil
	case "SCMP_CMP_MASKED_EQ":
		if v == 0 {
			return seccomp.Cond{}, errors.New("the mask is 0: no bit would be compared")
		}
		if two&^v != 0 {
			return seccomp.Cond{}, fmt.Errorf("valueTwo %#x has bits outside the mask %#x and can never match", two, v)
		}
		return seccomp.Masked(arg, w, v, two), nil
	}
	return seccomp.Cond{}, fmt.Errorf("%q is no operator", a.Op)
}
