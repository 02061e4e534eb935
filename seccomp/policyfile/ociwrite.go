package policyfile

import (
	"encoding/json"
	"errors"
	"fmt"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// OCI writes a policy for an architecture as linux.seccomp of the OCI runtime specification. That format cannot say everything: entries
// have no order, no "otherwise" and no ranges, and a condition cannot be negated. What it cannot say is an error, with one line for
// each rule; nothing is left out or made wider silently.
func OCI(p *seccomp.Policy, a *sysabi.Arch) ([]byte, error) {
	var errs []error
	out := oci{Architectures: []string{map[string]string{"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64", "riscv64": "SCMP_ARCH_RISCV64"}[a.String()]}}
	out.DefaultAction, out.DefaultErrnoRet = ociAction(p.Default)
	for i, r := range p.Rules {
		if len(r.Cases) == 0 {
			c := ociCall{Names: r.Names}
			c.Action, c.ErrnoRet = ociAction(r.Else)
			if r.Else != p.Default {
				out.Syscalls = append(out.Syscalls, c)
			}
			continue
		}
		calls, err := ociCases(p, r)
		if err != nil {
			errs = append(errs, fmt.Errorf("rules[%d] (%s): %w", i, r.Names[0], err))
			continue
		}
		out.Syscalls = append(out.Syscalls, calls...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return json.MarshalIndent(out, "", "\t")
}

func ociAction(a seccomp.Action) (string, *uint) {
	n := uint(a.Data())
	if _, ok := a.Errno(); ok {
		return "SCMP_ACT_ERRNO", &n
	}
	switch a.Kind() {
	case seccomp.Allow:
		return "SCMP_ACT_ALLOW", nil
	case seccomp.KillThread:
		return "SCMP_ACT_KILL_THREAD", nil
	case seccomp.Trap:
		return "SCMP_ACT_TRAP", nil
	case seccomp.Notify:
		return "SCMP_ACT_NOTIFY", nil
	case seccomp.Trace:
		return "SCMP_ACT_TRACE", &n
	case seccomp.Log:
		return "SCMP_ACT_LOG", nil
	}
	return "SCMP_ACT_KILL_PROCESS", nil
}

// ociCases writes a rule as alternatives. All cases must have one action, because alternatives have no order, and the rest must get the
// default action.
func ociCases(p *seccomp.Policy, r seccomp.Rule) ([]ociCall, error) {
	if r.Else != p.Default {
		return nil, fmt.Errorf("otherwise it gets %v, which is not the default; the format has no word for that", r.Else)
	}
	var out []ociCall
	for _, c := range r.Cases {
		if c.Then != r.Cases[0].Then {
			return nil, fmt.Errorf("it gets %v and %v in turn; the format has no order", r.Cases[0].Then, c.Then)
		}
		sets := [][]ociArg{nil}
		for _, d := range c.All {
			one, err := ociCond(d)
			if err != nil {
				return nil, err
			}
			var product [][]ociArg
			for _, s := range sets {
				for _, a := range one {
					for _, b := range s {
						if b.Index == a.Index {
							return nil, fmt.Errorf("two conditions on argument %d mean either in this format", a.Index)
						}
					}
					product = append(product, append(append([]ociArg(nil), s...), a))
				}
			}
			if sets = product; len(sets) > 256 {
				return nil, errors.New("it would need more than 256 entries")
			}
		}
		for _, args := range sets {
			call := ociCall{Names: r.Names, Args: args}
			call.Action, call.ErrnoRet = ociAction(c.Then)
			out = append(out, call)
		}
	}
	return out, nil
}

// ociCond writes a condition as alternatives.
func ociCond(c seccomp.Cond) ([]ociArg, error) {
	top := uint64(1)<<c.Width - 1
	mask := c.Mask
	if mask == 0 {
		mask = top
	}
	index := uint(c.Arg)
	in, out := seccomp.Union(c.In...), c.Negate().In
	if mask == ^uint64(0) {
		switch {
		case len(out) == 1 && out[0].Lo == out[0].Hi:
			return []ociArg{{Index: index, Value: out[0].Lo, Op: "SCMP_CMP_NE"}}, nil
		case len(in) == 1 && in[0].Lo == 0 && in[0].Hi != in[0].Lo:
			return []ociArg{{Index: index, Value: in[0].Hi, Op: "SCMP_CMP_LE"}}, nil
		case len(in) == 1 && in[0].Hi == top && in[0].Hi != in[0].Lo:
			return []ociArg{{Index: index, Value: in[0].Lo, Op: "SCMP_CMP_GE"}}, nil
		}
	}
	if len(in) == 1 && in[0].Lo == 1 && in[0].Hi == top && c.Mask != 0 { // any bit of the mask
		var args []ociArg
		for bit := uint64(1); bit != 0; bit <<= 1 {
			if c.Mask&bit != 0 {
				args = append(args, ociArg{index, bit, bit, "SCMP_CMP_MASKED_EQ"})
			}
		}
		return args, nil
	}
	var args []ociArg
	for _, s := range in {
		if s.Hi-s.Lo > 255 {
			return nil, fmt.Errorf("argument %d: the format has no word for the range from %#x to %#x of %d bits", c.Arg, s.Lo, s.Hi, c.Width)
		}
		for n := range s.Hi - s.Lo + 1 {
			a := ociArg{index, mask, s.Lo + n, "SCMP_CMP_MASKED_EQ"}
			if mask == ^uint64(0) {
				a = ociArg{Index: index, Value: s.Lo + n, Op: "SCMP_CMP_EQ"}
			}
			args = append(args, a)
		}
	}
	return args, nil
}
