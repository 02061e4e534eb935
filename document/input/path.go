package input

import (
	"strconv"
	"strings"

	"cellos.io/cellos/document/format"
)

// A Path says where in an input a value is. The nil Path is the whole input.
type Path struct {
	parent *Path
	name   string
	index  int
	item   bool
}

// Field returns the path of the member called name of the object at p.
func (p *Path) Field(name string) *Path { return &Path{parent: p, name: name} }

// Item returns the path of element i of the list at p.
func (p *Path) Item(i int) *Path { return &Path{parent: p, index: i, item: true} }

// String writes p as spec.authority.egressRules[2].port. Names with other characters than letters, digits, "_" and "-"
// are written in brackets: labels["a.b"].
func (p *Path) String() string { return string(p.append(nil)) }

func (p *Path) append(dst []byte) []byte {
	switch {
	case p == nil:
		return dst
	case p.item:
		dst = append(p.parent.append(dst), '[')
		return append(strconv.AppendInt(dst, int64(p.index), 10), ']')
	}
	dst = p.parent.append(dst)
	if !plainName(p.name) {
		dst = append(dst, '[')
		dst = append(dst, format.Quote(p.name)...)
		return append(dst, ']')
	}
	if len(dst) > 0 {
		dst = append(dst, '.')
	}
	return append(dst, p.name...)
}

func plainName(s string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return s != "" && len(s) <= 80 && strings.Trim(s, plain) == ""
}
