package authority

import (
	"slices"
	"strings"
)

// Access is a set of rights to a file tree.
type Access uint8

// The rights. Write includes creating, renaming and deleting.
const (
	CanRead Access = 1 << iota
	CanWrite
	CanExec
)

// Has reports whether every right of b is in a.
func (a Access) Has(b Access) bool { return a&b == b }

// String names the rights: "read, exec", or "nothing".
func (a Access) String() string {
	var s []string
	for i, name := range []string{"read", "write", "exec"} {
		if a&(1<<i) != 0 {
			s = append(s, name)
			a &^= 1 << i
		}
	}
	if a != 0 {
		s = append(s, "unknown")
	}
	if len(s) == 0 {
		return "nothing"
	}
	return strings.Join(s, ", ")
}

// A Grant shows one path of the host in the cell, with everything below it.
type Grant struct {
	Host   string // absolute, clean path on the host
	At     string // absolute, clean path in the cell
	Access Access
	From   string // where the document says so: spec.authority.filesystem.read[0]
}

// Grants are sorted by At, so that a parent comes before what lies below it; no two have the same At.
type Grants []Grant

// Of returns the innermost grant that covers a path of the cell.
func (g Grants) Of(path string) (Grant, bool) {
	for _, x := range slices.Backward(g) {
		if Below(path, x.At) {
			return x, true
		}
	}
	return Grant{}, false
}

// At returns what may be done with a path of the cell: the rights of the innermost grant that covers it.
func (g Grants) At(path string) Access {
	x, _ := g.Of(path)
	return x.Access
}

// Below reports whether path is dir or lies below it. Both are clean and absolute.
func Below(path, dir string) bool {
	return path == dir || dir == "/" || len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// merge sorts grants and joins those of the same place. A conflict is one place with two host paths: it is returned as
// the two entries.
func merge(in []Grant) (out Grants, conflicts [][2]Grant) {
	in = slices.Clone(in)
	slices.SortStableFunc(in, func(a, b Grant) int { return strings.Compare(a.At, b.At) })
	for _, g := range in {
		if n := len(out); n > 0 && out[n-1].At == g.At {
			if out[n-1].Host != g.Host {
				conflicts = append(conflicts, [2]Grant{out[n-1], g})
				continue
			}
			out[n-1].Access |= g.Access
			continue
		}
		out = append(out, g)
	}
	return out, conflicts
}
