package input

import (
	"cmp"
	"fmt"
	"slices"
)

// A Report collects the problems of one input, those of its shape (Decode) and those that the caller finds (Add).
type Report struct {
	root     *Node
	problems Problems
	reported map[string]bool // paths at which Decode found something
	lost     map[string]bool // paths whose value could not be read
	around   map[string]bool // paths that contain a lost value
}

// Add records a problem at p. It does nothing where Decode has reported one at the same path: the second would follow
// from the first.
func (r *Report) Add(p *Path, format string, args ...any) {
	path := p.String()
	if r.reported[path] {
		return
	}
	at := r.root.find(p)
	r.problems = append(r.problems, Problem{Path: path, Line: at.Line, Column: at.Column, Text: fmt.Sprintf(format, args...)})
}

// Lost reports whether the value at p, or anything in it, is missing or could not be read. A rule that compares it with
// something else has to be passed over: what it would find follows from a problem that is already reported.
func (r *Report) Lost(p *Path) bool {
	if r.around[p.String()] {
		return true
	}
	for ; p != nil; p = p.parent {
		if r.lost[p.String()] {
			return true
		}
	}
	return r.lost[""]
}

// Err returns the problems in the order of their places, as Problems, or nil when there are none.
func (r *Report) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	sorted := slices.Clone(r.problems)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return sorted
}

// wrong records a problem of a value that is kept.
func (r *Report) wrong(n *Node, p *Path, text string) {
	path := p.String()
	r.reported[path] = true
	r.problems = append(r.problems, Problem{Path: path, Line: n.Line, Column: n.Column, Text: text})
}

// lose records a problem of a value that cannot be used.
func (r *Report) lose(n *Node, p *Path, text string) {
	r.wrong(n, p, text)
	r.lost[p.String()] = true
	for {
		around := p.String()
		if r.around[around] {
			return // and so is all that is around it
		}
		r.around[around] = true
		if p == nil {
			return
		}
		p = p.parent
	}
}
