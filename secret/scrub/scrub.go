// Package scrub takes secret values out of text by what they are, and not by where they stand: as they are and in the encodings in which
// they get into logs by accident.
//
//	text = scrub.String(text, values)
//
// The encodings: base64 in both alphabets at each of its three alignments, hexadecimal in both cases, percent-encoding, and the escapes
// of JSON. Values of fewer than four bytes are not looked for: they occur everywhere.
package scrub

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"cellos.io/cellos/jsonwire"
	"cellos.io/cellos/secret"
)

// least is the number of bytes from which on a value is looked for.
const least = 4

// String returns text with secret.Hidden in place of every value. Values that were wiped are not found.
func String(text string, values []secret.Value) string {
	var all []string
	for _, v := range values {
		v.Use(func(b []byte) error {
			if len(b) >= least {
				all = append(all, spellings(string(b))...)
			}
			return nil
		})
	}
	// Longest first: of two that begin alike, none leaves its end behind.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, s := range all {
		text = strings.ReplaceAll(text, s, secret.Hidden)
	}
	return text
}

// spellings are the texts that a value is found by.
func spellings(v string) []string {
	hexed := hex.EncodeToString([]byte(v))
	list := []string{v, hexed, strings.ToUpper(hexed)}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			// What stands before and behind shares a character with the value at each end; those in between depend on the value alone.
			text := enc.EncodeToString([]byte("\x00\x00"[:before] + v))
			list = append(list, text[(before*8+5)/6:(before+len(v))*8/6])
		}
	}
	for _, encoded := range []string{url.QueryEscape(v), url.PathEscape(v), percent(v)} {
		list = append(list, encoded, lowerHex(encoded))
	}
	quoted := string(jsonwire.AppendString(nil, v))
	list = append(list, quoted[1:len(quoted)-1])
	if q, err := json.Marshal(v); err == nil {
		list = append(list, string(q[1:len(q)-1])) // with the escapes of < > & too
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// percent encodes every byte.
func percent(v string) string {
	var b strings.Builder
	for i := range len(v) {
		b.WriteByte('%')
		b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{v[i]})))
	}
	return b.String()
}

// lowerHex writes the digits of percent-encoding in lower case.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(string(b[i+1:i+3])))
			i += 2
		}
	}
	return string(b)
}
