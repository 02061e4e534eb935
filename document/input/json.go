package input

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner reads JSON (RFC 8259) from text that is known to be UTF-8. It is stricter than encoding/json, which replaces
// lone surrogate escapes, keeps the last of repeated names without a word, and gives no places.
type scanner struct {
	data []byte
	at   int

	mark         int // the place whose line and column are known
	line, column int
}

func parseJSON(data []byte) (*Node, *Problem) {
	s := &scanner{data: data, line: 1, column: 1}
	s.space()
	if s.at == len(data) {
		return nil, s.problem("the document is empty")
	}
	n, problem := s.value(nil, 1)
	if problem != nil {
		return nil, problem
	}
	s.space()
	if s.at < len(data) {
		return nil, s.problem("there is more after the end of the document, beginning with " + s.found())
	}
	return n, nil
}

// place returns line and column of the current position. Positions only grow.
func (s *scanner) place() (line, column int) {
	for ; s.mark < s.at; s.mark++ {
		switch c := s.data[s.mark]; {
		case c == '\n':
			s.line, s.column = s.line+1, 1
		case utf8.RuneStart(c):
			s.column++
		}
	}
	return s.line, s.column
}

func (s *scanner) problem(text string) *Problem {
	line, column := s.place()
	return &Problem{Line: line, Column: column, Text: text}
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek returns the byte at the current position, 0 at the end (a NUL byte is no JSON either).
func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

// found says what is at the current position.
func (s *scanner) found() string {
	if s.at == len(s.data) {
		return "the end of the document"
	}
	r, _ := utf8.DecodeRune(s.data[s.at:])
	return strconv.QuoteRune(r)
}

func (s *scanner) expected(what string) *Problem {
	text := "expected " + what + ", found " + s.found()
	if c := s.peek(); c == '/' || c == '#' {
		text += " (JSON has no comments)"
	}
	return s.problem(text)
}

func (s *scanner) value(p *Path, depth int) (*Node, *Problem) {
	line, column := s.place()
	n := &Node{Line: line, Column: column}
	switch c := s.peek(); {
	case c == '{' || c == '[':
		if depth > MaxDepth {
			return nil, tooDeep(p, line, column)
		}
		s.at++
		s.space()
		if c == '{' {
			n.Kind = Object
			return n, s.members(n, p, depth)
		}
		n.Kind = List
		return n, s.items(n, p, depth)
	case c == '"':
		var problem *Problem
		n.Kind = String
		n.Text, problem = s.string()
		return n, problem
	case c == '-' || isDigit(c):
		var problem *Problem
		n.Kind = Number
		n.Text, problem = s.number()
		return n, problem
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(string(s.data[s.at:min(len(s.data), s.at+len(word))]), word) {
			s.at += len(word)
			if word != "null" {
				n.Kind, n.Text = Bool, word
			}
			return n, nil
		}
	}
	return nil, s.expected("a value")
}

// members reads an object after its brace.
func (s *scanner) members(n *Node, p *Path, depth int) *Problem {
	if s.peek() == '}' {
		s.at++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.expected("a name in double quotes")
		}
		m := Member{}
		m.Line, m.Column = s.place()
		var problem *Problem
		if m.Name, problem = s.string(); problem != nil {
			return problem
		}
		s.space()
		if s.peek() != ':' {
			return s.expected(`":" after a name`)
		}
		s.at++
		s.space()
		if m.Value, problem = s.value(p.Field(m.Name), depth+1); problem != nil {
			return problem
		}
		n.Members = append(n.Members, m)
		if done, problem := s.next('}'); done || problem != nil {
			return problem
		}
	}
}

// items reads a list after its bracket.
func (s *scanner) items(n *Node, p *Path, depth int) *Problem {
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		item, problem := s.value(p.Item(len(n.Items)), depth+1)
		if problem != nil {
			return problem
		}
		n.Items = append(n.Items, item)
		if done, problem := s.next(']'); done || problem != nil {
			return problem
		}
	}
}

// next reads the comma between two elements, or the end of the list or object.
func (s *scanner) next(end byte) (done bool, problem *Problem) {
	s.space()
	switch s.peek() {
	case end:
		s.at++
		return true, nil
	case ',':
		s.at++
		s.space()
		if s.peek() == end {
			return false, s.problem("a comma without anything after it")
		}
		return false, nil
	}
	return false, s.expected(`"," or "` + string(end) + `"`)
}

// number reads RFC 8259 section 6 and returns it as written.
func (s *scanner) number() (string, *Problem) {
	start := s.at
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
		if isDigit(s.peek()) {
			return "", s.problem("a number must not begin with 0")
		}
	} else if !s.digits() {
		return "", s.expected("a digit")
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return "", s.expected("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return "", s.expected("a digit")
		}
	}
	return string(s.data[start:s.at]), nil
}

func (s *scanner) digits() bool {
	start := s.at
	for isDigit(s.peek()) {
		s.at++
	}
	return s.at > start
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
