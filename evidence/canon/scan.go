package canon

import (
	"encoding/binary"
	"unicode/utf8"
)

// scanner walks over a JSON text by offsets and allocates nothing but decoded names.
type scanner struct{ text []byte }

func (s *scanner) err(at int, msg string) error { return &Error{at, msg} }

func (s *scanner) blanks(i int) int {
	for i < len(s.text) {
		switch s.text[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// value returns the offset after the value at i, which lies below depth levels.
func (s *scanner) value(i, depth int) (int, error) {
	if i >= len(s.text) {
		return i, s.err(i, "the text ends where a value is due")
	}
	switch c := s.text[i]; {
	case c == '{':
		return s.object(i, depth+1, nil)
	case c == '[':
		return s.array(i, depth+1, nil)
	case c == '"':
		end, _, err := s.str(i)
		return end, err
	case c == '-' || c >= '0' && c <= '9':
		return s.number(i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if end := i + len(word); end <= len(s.text) && string(s.text[i:end]) == word {
			return end, nil
		}
	}
	return i, s.err(i, "not a JSON value")
}

// object calls each, when given, with every member's name and the place of its value.
func (s *scanner) object(i, depth int, each func(name string, from, to int) error) (int, error) {
	if depth > MaxDepth {
		return i, s.err(i, "more than 64 levels")
	}
	i = s.blanks(i + 1)
	if i < len(s.text) && s.text[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(s.text) || s.text[i] != '"' {
			return i, s.err(i, "want a member name")
		}
		end, plain, err := s.str(i)
		if err != nil {
			return i, err
		}
		from, to := i, end
		i = s.blanks(end)
		if i >= len(s.text) || s.text[i] != ':' {
			return i, s.err(i, "want a colon")
		}
		i = s.blanks(i + 1)
		if end, err = s.value(i, depth); err != nil {
			return i, err
		}
		if each != nil {
			if err := each(unquote(s.text[from:to], plain), i, end); err != nil {
				return i, err
			}
		}
		i = s.blanks(end)
		if i < len(s.text) && s.text[i] == '}' {
			return i + 1, nil
		}
		if i >= len(s.text) || s.text[i] != ',' {
			return i, s.err(i, "want a comma or a closing brace")
		}
		i = s.blanks(i + 1)
	}
}

// array calls each, when given, with the place of every element.
func (s *scanner) array(i, depth int, each func(from, to int) error) (int, error) {
	if depth > MaxDepth {
		return i, s.err(i, "more than 64 levels")
	}
	i = s.blanks(i + 1)
	if i < len(s.text) && s.text[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := s.value(i, depth)
		if err != nil {
			return i, err
		}
		if each != nil {
			if err := each(i, end); err != nil {
				return i, err
			}
		}
		i = s.blanks(end)
		if i < len(s.text) && s.text[i] == ']' {
			return i + 1, nil
		}
		if i >= len(s.text) || s.text[i] != ',' {
			return i, s.err(i, "want a comma or a closing bracket")
		}
		i = s.blanks(i + 1)
	}
}

// str returns the offset after the string at i, and whether it has no escapes.
func (s *scanner) str(i int) (end int, plain bool, err error) {
	plain = true
	for i++; i < len(s.text); {
		// Most strings are long and have nothing special: eight bytes at a time.
		for i+8 <= len(s.text) && ordinary(binary.LittleEndian.Uint64(s.text[i:])) {
			i += 8
		}
		if i == len(s.text) {
			break
		}
		switch c := s.text[i]; {
		case c == '"':
			return i + 1, plain, nil
		case c < 0x20:
			return i, plain, s.err(i, "control character in a string")
		case c == '\\':
			plain = false
			n := s.escape(i)
			if n == 0 {
				return i, plain, s.err(i, "not an escape that JSON knows")
			}
			i += n
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(s.text[i:])
			if r == utf8.RuneError && n == 1 {
				return i, plain, s.err(i, "not UTF-8")
			}
			i += n
		}
	}
	return i, plain, s.err(i, "the text ends in a string")
}

// ordinary reports whether eight bytes are all of U+0020 to U+007F without the quotation mark and the backslash. In x-ones & ^x & highs, with
// ones in every byte's lowest bit, the highest bit of a byte is set if x has a zero there, and none is if x has no zero byte.
func ordinary(w uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, back := w^ones*'"', w^ones*'\\'
	return (w|(w-ones*0x20)&^w|(quote-ones)&^quote|(back-ones)&^back)&highs == 0
}

// escape returns the length of the escape sequence at i (a surrogate pair is one), or 0 if it is none.
func (s *scanner) escape(i int) int {
	rest := s.text[i:]
	if len(rest) < 2 {
		return 0
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r := hex4(rest[2:])
		switch {
		case r < 0 || r >= 0xdc00 && r < 0xe000:
			return 0
		case r < 0xd800 || r >= 0xe000:
			return 6
		}
		if len(rest) >= 12 && rest[6] == '\\' && rest[7] == 'u' {
			if low := hex4(rest[8:]); low >= 0xdc00 && low < 0xe000 {
				return 12
			}
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits; -1 means that they are not there.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// number returns the offset after the number at i (RFC 8259, section 6).
func (s *scanner) number(i int) (int, error) {
	start := i
	digits := func() bool {
		from := i
		for i < len(s.text) && s.text[i] >= '0' && s.text[i] <= '9' {
			i++
		}
		return i > from
	}
	if s.text[i] == '-' {
		i++
	}
	if i < len(s.text) && s.text[i] == '0' {
		i++
	} else if !digits() {
		return i, s.err(start, "not a number")
	}
	if i < len(s.text) && s.text[i] == '.' {
		i++
		if !digits() {
			return i, s.err(start, "not a number")
		}
	}
	if i < len(s.text) && (s.text[i] == 'e' || s.text[i] == 'E') {
		i++
		if i < len(s.text) && (s.text[i] == '+' || s.text[i] == '-') {
			i++
		}
		if !digits() {
			return i, s.err(start, "not a number")
		}
	}
	return i, nil
}
