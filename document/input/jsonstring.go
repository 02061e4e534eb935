package input

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads RFC 8259 section 7, quotation marks included.
func (s *scanner) string() (string, *Problem) {
	s.at++
	start := s.at
	var out []byte // nil as long as nothing was escaped
	for {
		switch c := s.peek(); {
		case s.at == len(s.data):
			return "", s.problem("the document ends inside a string")
		case c == '"':
			text := s.data[start:s.at]
			s.at++
			if out == nil {
				return string(text), nil
			}
			return string(append(out, text...)), nil
		case c < 0x20:
			return "", s.problem(fmt.Sprintf(`a string contains the control character U+%04X: write it as \u%04x`, c, c))
		case c == '\\':
			out = append(out, s.data[start:s.at]...)
			r, problem := s.escape()
			if problem != nil {
				return "", problem
			}
			out = utf8.AppendRune(out, r)
			start = s.at
		default:
			s.at++
		}
	}
}

// escape reads one escape sequence, or two that are a surrogate pair.
func (s *scanner) escape() (rune, *Problem) {
	begin := *s
	s.at++
	c := s.peek()
	if c == 'u' {
		r, ok := s.unicode()
		if ok && utf16.IsSurrogate(r) {
			low := rune(0)
			if s.peek() == '\\' && s.at+1 < len(s.data) && s.data[s.at+1] == 'u' {
				s.at++
				low, ok = s.unicode()
			}
			if r = utf16.DecodeRune(r, low); ok && r == utf8.RuneError {
				return 0, begin.problem("a surrogate escape without its other half is no character")
			}
		}
		if !ok {
			return 0, begin.problem(`expected four hexadecimal digits after \u`)
		}
		return r, nil
	}
	const letters, values = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(letters, c); i >= 0 && c != 0 {
		s.at++
		return rune(values[i]), nil
	}
	return 0, begin.problem("no escape sequence begins like this; a backslash is written as two")
}

// unicode reads the u and four hexadecimal digits.
func (s *scanner) unicode() (rune, bool) {
	if s.at+5 > len(s.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.data[s.at+1:s.at+5]), 16, 16)
	if err != nil {
		return 0, false
	}
	s.at += 5
	return rune(n), true
}
