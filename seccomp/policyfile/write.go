package policyfile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"cellos.io/cellos/seccomp"
)

// YAML writes a policy so that Parse reads the same policy back. It writes rules out, and never "extends".
func YAML(p *seccomp.Policy) []byte {
	var b strings.Builder
	if p.Name != "" {
		fmt.Fprintf(&b, "name: %q\n", p.Name)
	}
	fmt.Fprintf(&b, "default: %s\n", p.Default)
	if p.Foreign != 0 {
		fmt.Fprintf(&b, "foreign: %s\n", p.Foreign)
	}
	if x := x32(p); x != 0 {
		fmt.Fprintf(&b, "x32: %s\n", x)
	}
	if p.ExecOnce {
		b.WriteString("exec: once\n")
	}
	writeRules(&b, p.Rules)
	return []byte(b.String())
}

func writeRules(b *strings.Builder, rules []seccomp.Rule) {
	if len(rules) == 0 {
		return
	}
	b.WriteString("rules:\n")
	for _, r := range rules {
		b.WriteString("  - calls:")
		list(b, r.Names)
		if len(r.Cases) > 0 {
			b.WriteString("    when:\n")
		}
		for _, c := range r.Cases {
			b.WriteString("      - if:\n")
			for _, d := range c.All {
				fmt.Fprintf(b, "          - {%s}\n", condition(d))
			}
			fmt.Fprintf(b, "        action: %s\n", c.Then)
		}
		fmt.Fprintf(b, "    action: %s\n", r.Else)
	}
}

// x32 is the action to write. A policy that leaves x32 numbers to its default is written with that.
func x32(p *seccomp.Policy) seccomp.Action {
	if p.Open {
		return p.Default
	}
	return p.X32
}

// list writes names in lines of at most 120 characters.
func list(b *strings.Builder, names []string) {
	line := " [" + strings.Join(names, ", ") + "]\n"
	if len(line) < 100 {
		b.WriteString(line)
		return
	}
	b.WriteString("\n      [")
	width := 7
	for i, n := range names {
		if i > 0 {
			b.WriteString(",")
			if width+len(n) > 115 {
				b.WriteString("\n       ")
				width = 7
			} else {
				b.WriteString(" ")
				width += 2
			}
		}
		b.WriteString(n)
		width += len(n)
	}
	b.WriteString("]\n")
}

// condition writes a condition in the shortest form that says the same.
func condition(c seccomp.Cond) string {
	s := fmt.Sprintf("arg: %d, width: %d", c.Arg, c.Width)
	top := uint64(1)<<c.Width - 1
	mask := c.Mask & top
	if mask == top {
		mask = 0
	}
	in := seccomp.Union(c.In...)
	out := seccomp.Union(c.Negate().In...)
	if mask != 0 && len(in) == 1 && in[0].Lo == 1 && in[0].Hi == top {
		return s + fmt.Sprintf(", any_bit: %#x", mask)
	}
	if mask != 0 && len(in) == 1 && in[0].Lo == 0 && in[0].Hi == 0 {
		return s + fmt.Sprintf(", no_bit: %#x", mask)
	}
	if mask != 0 {
		s += fmt.Sprintf(", mask: %#x", mask)
	}
	single := func(s seccomp.Span) bool { return s.Lo == s.Hi }
	switch {
	case len(in) == 1 && single(in[0]):
		return s + fmt.Sprintf(", is: %#x", in[0].Lo)
	case len(out) == 1 && single(out[0]):
		return s + fmt.Sprintf(", not: %#x", out[0].Lo)
	case len(in) == 1 && mask == 0 && in[0].Hi == top:
		return s + fmt.Sprintf(", at_least: %#x", in[0].Lo)
	case len(in) == 1 && mask == 0:
		return s + fmt.Sprintf(", from: %#x, to: %#x", in[0].Lo, in[0].Hi)
	case !slices.ContainsFunc(in, many):
		return s + ", in: [" + values(in) + "]"
	case len(out) > 0 && !slices.ContainsFunc(out, many):
		return s + ", not_in: [" + values(out) + "]"
	}
	var parts []string
	for _, r := range in {
		parts = append(parts, fmt.Sprintf("[%#x, %#x]", r.Lo, r.Hi))
	}
	return s + ", ranges: [" + strings.Join(parts, ", ") + "]"
}

// many reports whether a span is better written as a range.
func many(s seccomp.Span) bool { return s.Hi-s.Lo > 7 }

func values(spans []seccomp.Span) string {
	var parts []string
	for _, s := range spans {
		for n := range s.Hi - s.Lo + 1 {
			parts = append(parts, fmt.Sprintf("%#x", s.Lo+n))
		}
	}
	return strings.Join(parts, ", ")
}

// JSON writes a policy as JSON with the fields of YAML, so that Parse reads the same policy back.
func JSON(p *seccomp.Policy) ([]byte, error) {
	var f map[string]any
	if err := yaml.Unmarshal(YAML(p), &f); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(f, "", "  ")
	return append(b, '\n'), err
}

// Extending writes a policy that extends a profile by rules, so that Parse reads it. The comment is put before it, line by line.
func Extending(profile, name string, rules []seccomp.Rule, comment []string) []byte {
	var b strings.Builder
	for _, line := range comment {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	if name != "" {
		fmt.Fprintf(&b, "name: %q\n", name)
	}
	fmt.Fprintf(&b, "extends: %s\n", profile)
	writeRules(&b, rules)
	return []byte(b.String())
}
