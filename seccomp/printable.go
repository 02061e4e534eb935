package seccomp

import (
	"strings"
	"unicode/utf8"
)

// printable replaces what is not UTF-8 by U+FFFD, one for each longest piece that could have begun a character (the Unicode
// Standard, section 3.9, "maximal subpart"), as the reference implementation does when it prints a path.
func printable(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			n = subpart(s)
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// subpart returns the length of the maximal subpart that s begins with; s does not begin with a whole character.
func subpart(s string) int {
	lo, hi, want := byte(0x80), byte(0xbf), 0
	switch c := s[0]; {
	case c >= 0xc2 && c <= 0xdf:
		want = 1
	case c >= 0xe0 && c <= 0xef:
		want = 2
		if c == 0xe0 {
			lo = 0xa0
		} else if c == 0xed {
			hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		want = 3
		if c == 0xf0 {
			lo = 0x90
		} else if c == 0xf4 {
			hi = 0x8f
		}
	}
	n := 1
	for ; want > 0 && n < len(s) && lo <= s[n] && s[n] <= hi; want-- {
		lo, hi = 0x80, 0xbf
		n++
	}
	return n
}
