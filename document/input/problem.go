package input

import (
	"strconv"
	"strings"
)

// A Problem is one thing that is wrong with an input.
type Problem struct {
	Path   string // of the value, "" for the input as a whole
	Line   int    // from 1; 0 when it is not known
	Column int    // from 1, in characters; 0 when it is not known
	Text   string // one line
}

// Error returns "PATH: TEXT", or "line N: TEXT" when the problem is not at a path.
func (p Problem) Error() string {
	switch {
	case p.Path != "":
		return p.Path + ": " + p.Text
	case p.Line > 0:
		return "line " + strconv.Itoa(p.Line) + ": " + p.Text
	}
	return p.Text
}

// In returns "FILE:LINE:COLUMN: PATH: TEXT", leaving out what is not known: the form that editors jump to.
func (p Problem) In(file string) string {
	var b strings.Builder
	b.WriteString(file)
	for _, n := range [...]int{p.Line, p.Column} {
		if n > 0 {
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(n))
		}
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is an error made of all the things that are wrong with one input, in the order of their places.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems as errors.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}
