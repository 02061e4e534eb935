package scrub

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"cellos.io/cellos/jsonwire"
)

// spellings are the texts that a value is found by: plain ones as they are, coded ones also with line breaks anywhere in them.
func spellings(v []byte) (plain, coded [][]byte) {
	hexed := hex.AppendEncode(nil, v)
	coded = [][]byte{hexed, bytes.ToUpper(hexed)}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			// What stands before and behind shares a character with the value at each end; those in between depend on the value alone.
			text := enc.AppendEncode(nil, append(make([]byte, before), v...))
			coded = append(coded, text[(before*8+5)/6:(before+len(v))*8/6])
		}
	}
	plain = append([][]byte{v}, jsonSpellings(string(v))...)
	for _, p := range percents {
		for _, digits := range []string{"0123456789ABCDEF", "0123456789abcdef"} {
			plain = append(plain, p.encode(v, digits))
		}
	}
	return distinct(plain), distinct(coded)
}

func distinct(list [][]byte) [][]byte {
	slices.SortFunc(list, bytes.Compare)
	return slices.CompactFunc(list, bytes.Equal)
}

// A percent is a way to encode for URLs: letters and digits and the other characters that stay, and what a blank becomes.
type percent struct {
	stay, blank string
	all         bool // letters and digits are encoded too
}

// percents are the ways that are common.
var percents = []percent{
	{"-_.~", "%20", false},                 // RFC 3986, section 2.3: what never needs to be encoded; curl
	{"-_.~", "+", false},                   // Go's url.QueryEscape, Python's quote_plus
	{"-_.", "+", false},                    // PHP's urlencode
	{"-_.*", "+", false},                   // application/x-www-form-urlencoded of browsers, Java
	{"-_.~/", "%20", false},                // Python's quote
	{"-_.~!'()*", "%20", false},            // JavaScript's encodeURIComponent
	{"-_.~!'()*;/?:@&=+$,#", "%20", false}, // JavaScript's encodeURI
	{"-_.~$&+:=@", "%20", false},           // Go's url.PathEscape
	{"-_.~!$&'()*+,;=", "%20", false},      // RFC 3986: pchar without : and @, as in user information
	{"-_.~!$&'()*+,;=:@/", "%20", false},   // RFC 3986: a path
	{"", "%20", true},
}

func (p percent) encode(v []byte, digits string) []byte {
	var b []byte
	for _, c := range v {
		alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		switch {
		case c == ' ' && !p.all:
			b = append(b, p.blank...)
		case alnum && !p.all, strings.IndexByte(p.stay, c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// jsonSpellings are what is between the quotes: as little as must be, as encoding/json writes it for HTML, and with everything beyond ASCII
// escaped, with and without the escapes of HTML and of the slash.
func jsonSpellings(v string) [][]byte {
	least := jsonwire.AppendString(nil, v)
	list := [][]byte{least[1 : len(least)-1]}
	if q, err := json.Marshal(v); err == nil {
		list = append(list, q[1:len(q)-1])
	}
	if utf8.ValidString(v) {
		for _, escaped := range []string{"", "/", "<>&='", "<>&"} {
			list = append(list, asciiJSON(v, escaped, "0123456789abcdef"), asciiJSON(v, escaped, "0123456789ABCDEF"))
		}
	}
	return list
}

// asciiJSON writes v as Python, PHP and Gson do; a slash among the escaped ones becomes \/.
func asciiJSON(v, escaped, digits string) (b []byte) {
	unit := func(u uint16) {
		b = append(b, '\\', 'u', digits[u>>12], digits[u>>8&15], digits[u>>4&15], digits[u&15])
	}
	for _, r := range v {
		short := strings.IndexRune("\"\\\b\f\n\r\t", r)
		switch {
		case short >= 0:
			b = append(b, '\\', `"\bfnrt`[short])
		case r == '/' && escaped == "/":
			b = append(b, `\/`...)
		case r < 0x20, r < utf8.RuneSelf && strings.ContainsRune(escaped, r):
			unit(uint16(r))
		case r < utf8.RuneSelf:
			b = append(b, byte(r))
		case r < 0x10000:
			unit(uint16(r))
		default:
			high, low := utf16.EncodeRune(r)
			unit(uint16(high))
			unit(uint16(low))
		}
	}
	return b
}
