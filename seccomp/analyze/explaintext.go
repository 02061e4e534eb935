package analyze

import (
	"fmt"
	"strings"
)

// String writes the explanation for people.
func (e *Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "architecture %s; calls of other architectures: %s\n", e.Arch, strings.Join(e.Foreign, ", "))
	if !e.Decided {
		b.WriteString("The program is too intricate to be decided completely; what is said is right, but something is missing.\n")
	}
	for _, g := range e.Actions {
		fmt.Fprintf(&b, "\n%s\n", g.Action)
		wrap(&b, g.Calls)
		var ranges []string
		for _, r := range g.Numbers {
			if r.From == r.To {
				ranges = append(ranges, fmt.Sprint(r.From))
			} else {
				ranges = append(ranges, fmt.Sprintf("%d-%d", r.From, r.To))
			}
		}
		if len(ranges) > 0 {
			b.WriteString("  numbers without a name:\n")
			wrap(&b, ranges)
		}
		for _, c := range g.Conditional {
			for i, all := range c.Any {
				name := c.Call + " if"
				if i > 0 {
					name = strings.Repeat(" ", max(len(c.Call)-3, 0)) + "or if"
				}
				fmt.Fprintf(&b, "  %s %s\n", name, all)
			}
			if c.More {
				fmt.Fprintf(&b, "  %s in more cases\n", c.Call)
			}
		}
	}
	return b.String()
}

func (a All) String() string {
	var parts []string
	for _, c := range a {
		parts = append(parts, c.Set.text(c.Input))
	}
	return strings.Join(parts, " and ")
}

// wrap writes words in lines of at most 120 characters.
func wrap(b *strings.Builder, words []string) {
	line := 0
	for _, w := range words {
		switch {
		case line == 0:
			b.WriteString("    ")
			line = 4
		case line+len(w) >= 118:
			b.WriteString("\n    ")
			line = 4
		default:
			b.WriteString(" ")
			line++
		}
		b.WriteString(w)
		line += len(w)
	}
	if line > 0 {
		b.WriteString("\n")
	}
}
