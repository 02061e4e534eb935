package input

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"cellos.io/cellos/document/format"
)

const (
	// MaxBytes is the size of the largest input that is read, 1 MiB.
	MaxBytes = 1 << 20
	// MaxDepth is how many objects and lists may lie in each other, the outermost counted.
	MaxDepth = 64
)

// Parse reads data as YAML if name ends in .yaml or .yml, or is "-" and data does not begin with a brace; else as JSON.
// An error is of type Problems.
func Parse(name string, data []byte) (*Node, error) {
	problem := text(data)
	if problem != nil {
		return nil, Problems{*problem}
	}
	read := parseJSON
	if isYAML(name, data) {
		read = parseYAML
	}
	n, problem := read(data)
	if problem != nil {
		return nil, Problems{*problem}
	}
	return n, nil
}

func isYAML(name string, data []byte) bool {
	if name == "-" {
		return !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
	}
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// text checks that data is UTF-8 of a bounded size.
func text(data []byte) *Problem {
	if len(data) > MaxBytes {
		return &Problem{Text: tooLarge}
	}
	if bytes.HasPrefix(data, []byte("\uFEFF")) {
		return &Problem{Line: 1, Column: 1, Text: "begins with a byte order mark: save it as UTF-8 without one"}
	}
	if utf8.Valid(data) {
		return nil
	}
	s := scanner{data: data, line: 1, column: 1}
	for s.at < len(data) {
		r, size := utf8.DecodeRune(data[s.at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		s.at += size
	}
	return s.problem(fmt.Sprintf("is not UTF-8: byte %#02x begins no character", data[s.at]))
}

const tooLarge = "is larger than 1 MiB"

// tooDeep is the problem of the value at p that lies too deep. It is reported at the last name in p: a list of lists of
// lists has no better one.
func tooDeep(p *Path, line, column int) *Problem {
	for p != nil && p.item {
		p = p.parent
	}
	return &Problem{Path: p.String(), Line: line, Column: column, Text: fmt.Sprintf("is nested more than %d levels deep", MaxDepth)}
}

// repeated reports the names that occur twice in an object of the tree at n.
func (r *Report) repeated(n *Node, p *Path) {
	for i, item := range n.Items {
		if item.Kind >= List {
			r.repeated(item, p.Item(i))
		}
	}
	var first map[string]int
	if len(n.Members) > 1 {
		first = make(map[string]int, len(n.Members))
	}
	for _, m := range n.Members {
		if line, again := first[m.Name]; again {
			r.problems = append(r.problems, Problem{Path: p.Field(m.Name).String(), Line: m.Line, Column: m.Column,
				Text: fmt.Sprintf("is written twice; first on line %d", line)})
		} else if first != nil {
			first[m.Name] = m.Line
		}
		if m.Value.Kind >= List {
			r.repeated(m.Value, p.Field(m.Name))
		}
	}
}

// kindFound names the kind of n, for messages.
func kindFound(n *Node) string {
	if n.Kind == Number || n.Kind == Bool {
		return cut(n.Text)
	}
	if n.Kind == String && len(n.Text) <= 20 {
		return "the string " + format.Quote(n.Text)
	}
	return n.Kind.String()
}

// cut shortens the text of a number for messages.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
