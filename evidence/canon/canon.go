// Package canon reads JSON strictly and writes it in the one spelling that evidence signs and hashes: compact,
// members ascending by name (bytes of UTF-8) at every depth, strings as package jsonwire spells them, numbers as
// they were written.
//
//	b, err := canon.Append(nil, []byte(`{"b": 1.0, "a": "\u0041"}`)) // {"a":"A","b":1.0}
//
// Strictly means: RFC 8259 without leniency, valid UTF-8, no lone surrogates, no member name twice, at most
// [MaxDepth] levels. Two texts with equal results therefore mean the same to every reader. The package does
// not build a tree and does not interpret numbers: 1 and 1.0 stay different.
package canon

import (
	"fmt"
	"sort"
	"strconv"
	"unicode/utf8"

	"cellos.io/cellos/jsonwire"
)

// MaxDepth is how many objects and arrays may lie in each other. The documented events have 5.
const MaxDepth = 64

// Error says what is wrong with a JSON text and at which byte, counted from 0.
type Error struct {
	Offset int
	Msg    string
}

func (e *Error) Error() string { return "at byte " + strconv.Itoa(e.Offset) + ": " + e.Msg }

// Member is one member of an object.
type Member struct {
	Name  string // decoded
	Value []byte // the JSON text of the value, without blanks around it; part of the text that was read
}

// Object appends the members of the one object in text to dst, in their order. Values are checked for syntax, but
// a name that occurs twice is noticed at the top only: [Append] on a value looks deeper.
func Object(dst []Member, text []byte) ([]Member, error) {
	s := scanner{text: text}
	i := s.blanks(0)
	if i >= len(text) || text[i] != '{' {
		return dst, s.err(i, "want an object")
	}
	start := len(dst)
	end, err := s.object(i, 1, func(name string, from, to int) error {
		dst = append(dst, Member{name, text[from:to]})
		return nil
	})
	if err != nil {
		return dst[:start], err
	}
	if i = s.blanks(end); i != len(text) {
		return dst[:start], s.err(i, "something after the object")
	}
	if name, twice := repeated(dst[start:]); twice {
		return dst[:start], s.err(0, fmt.Sprintf("member %q occurs twice", name))
	}
	return dst, nil
}

// Array appends the JSON texts of the elements of the one array in text to dst.
func Array(dst [][]byte, text []byte) ([][]byte, error) {
	s := scanner{text: text}
	i := s.blanks(0)
	if i >= len(text) || text[i] != '[' {
		return dst, s.err(i, "want an array")
	}
	start := len(dst)
	end, err := s.array(i, 1, func(from, to int) error {
		dst = append(dst, text[from:to])
		return nil
	})
	if err != nil {
		return dst[:start], err
	}
	if i = s.blanks(end); i != len(text) {
		return dst[:start], s.err(i, "something after the array")
	}
	return dst, nil
}

// String returns the text of a JSON string.
func String(value []byte) (string, error) {
	s := scanner{text: value}
	if len(value) == 0 || value[0] != '"' {
		return "", s.err(0, "want a string")
	}
	end, plain, err := s.str(0)
	if err != nil {
		return "", err
	}
	if end != len(value) {
		return "", s.err(end, "something after the string")
	}
	return unquote(value, plain), nil
}

// IsNull reports whether value is the word null.
func IsNull(value []byte) bool { return string(value) == "null" }

// Append appends the one JSON value in text to dst in the canonical spelling. On an error dst is returned as it was.
func Append(dst, text []byte) ([]byte, error) {
	s := scanner{text: text}
	i := s.blanks(0)
	out, end, err := s.canonical(dst, i, 0)
	if err != nil {
		return dst, err
	}
	if i = s.blanks(end); i != len(text) {
		return dst, s.err(i, "something after the value")
	}
	return out, nil
}

func (s *scanner) canonical(dst []byte, i, depth int) ([]byte, int, error) {
	if i >= len(s.text) {
		return dst, i, s.err(i, "the text ends where a value is due")
	}
	switch s.text[i] {
	case '{':
		return s.canonicalObject(dst, i, depth+1)
	case '[':
		dst = append(dst, '[')
		first := true
		end, err := s.array(i, depth+1, func(from, _ int) error {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			var err error
			dst, _, err = s.canonical(dst, from, depth+1)
			return err
		})
		return append(dst, ']'), end, err
	case '"':
		end, plain, err := s.str(i)
		if err != nil {
			return dst, i, err
		}
		return jsonwire.AppendString(dst, unquote(s.text[i:end], plain)), end, nil
	default:
		end, err := s.value(i, depth)
		return append(dst, s.text[i:end]...), end, err
	}
}

func (s *scanner) canonicalObject(dst []byte, i, depth int) ([]byte, int, error) {
	type place struct {
		name string
		from int
	}
	var members []place
	end, err := s.object(i, depth, func(name string, from, _ int) error {
		members = append(members, place{name, from})
		return nil
	})
	if err != nil {
		return dst, i, err
	}
	sort.Slice(members, func(a, b int) bool { return members[a].name < members[b].name })
	dst = append(dst, '{')
	for n, m := range members {
		if n > 0 {
			if members[n-1].name == m.name {
				return dst, i, s.err(i, fmt.Sprintf("member %q occurs twice", m.name))
			}
			dst = append(dst, ',')
		}
		dst = jsonwire.AppendString(dst, m.name)
		dst = append(dst, ':')
		if dst, _, err = s.canonical(dst, m.from, depth); err != nil {
			return dst, i, err
		}
	}
	return append(dst, '}'), end, nil
}

func repeated(members []Member) (string, bool) {
	if len(members) > 32 { // more than an event has: do not let the square of a long list count
		seen := make(map[string]bool, len(members))
		for _, m := range members {
			if seen[m.Name] {
				return m.Name, true
			}
			seen[m.Name] = true
		}
		return "", false
	}
	for i := range members {
		for j := range i {
			if members[i].Name == members[j].Name {
				return members[i].Name, true
			}
		}
	}
	return "", false
}

// unquote decodes a JSON string that the scanner has accepted. plain says that it has no escapes.
func unquote(quoted []byte, plain bool) string {
	in := quoted[1 : len(quoted)-1]
	if plain {
		return string(in)
	}
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' {
			out = append(out, in[i])
			continue
		}
		i++
		switch in[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(in[i+1:])
			i += 4
			if r >= 0xd800 && r < 0xdc00 { // the scanner saw the second half
				r = 0x10000 + (r-0xd800)<<10 + (hex4(in[i+3:]) - 0xdc00)
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default: // " \ /
			out = append(out, in[i])
		}
	}
	return string(out)
}
