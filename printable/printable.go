// Package printable makes text of untrusted origin fit for a terminal and a page: what a command, a document or a file name brings along
// can neither move the cursor, nor turn the direction of writing, nor hide.
//
//	printable.Line("a\x1b[2Jb\u202ec") // `a\x1b[2Jb\u202ec`
//
// It does not quote: a backslash in the text stays one, so that what is shown reads well and cannot be read back.
package printable

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Line returns s with every character that is not plainly visible written as an escape of Go's: control characters, line and paragraph
// separators, marks of direction (U+061C, U+200E, U+202A to U+202E, U+2066 to U+2069), characters without width, private and unassigned
// ones, and bytes that are not UTF-8. So the result is one line.
func Line(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\x`...)
			b = append(b, hex[s[0]>>4], hex[s[0]&15])
		case strconv.IsPrint(r):
			b = append(b, s[:n]...)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b = append(b, q[1:len(q)-1]...)
		}
		s = s[n:]
	}
	return string(b)
}

const hex = "0123456789abcdef"

// Command returns an argument vector as a shell would want it, safe to print.
func Command(argv []string) string {
	var words []string
	for _, a := range argv {
		shown := Line(a)
		if shown == "" || strings.ContainsAny(shown, " \t'\"\\$`;&|<>()*?[]#~!{}") {
			shown = "'" + strings.ReplaceAll(shown, "'", `'\''`) + "'"
		}
		words = append(words, shown)
	}
	return strings.Join(words, " ")
}

// JSON returns a JSON text with the same characters, except line feeds and tabs, as JSON escapes, so that it means what it meant. Bytes that
// are not UTF-8 become U+FFFD.
func JSON(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, `\ufffd`...)
		case r == '\n' || r == '\t' || strconv.IsPrint(r):
			out = append(out, text[:n]...)
		case r > 0xffff:
			r -= 0x10000
			out = unit(unit(out, 0xd800|r>>10), 0xdc00|r&0x3ff)
		default:
			out = unit(out, r)
		}
		text = text[n:]
	}
	return out
}

func unit(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
