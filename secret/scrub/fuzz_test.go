package scrub_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/secret"
)

// naive is what Text and Writer must do, without their automaton: every occurrence of every spelling is covered.
func naive(text string, spellings []string) string {
	cover := make([]bool, len(text))
	for _, s := range spellings {
		for i := 0; i+len(s) <= len(text); i++ {
			if strings.HasPrefix(text[i:], s) {
				for j := range s {
					cover[i+j] = true
				}
			}
		}
	}
	var b strings.Builder
	for i := range text {
		if !cover[i] {
			b.WriteByte(text[i])
		} else if i == 0 || !cover[i-1] {
			b.WriteString(secret.Hidden)
		}
	}
	return b.String()
}

// TestAgainstNaive compares on texts of few letters, in which everything overlaps.
func TestAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "xyz"[r.IntN(3)] // not digits of hexadecimal
		}
		return string(b)
	}
	for range 3000 {
		var values []string
		for range 1 + r.IntN(4) {
			values = append(values, word(4+r.IntN(5)))
		}
		text := word(r.IntN(60)) + "-"
		want := naive(text, values)
		if got := known(t, values...).Text(text); got != want {
			t.Fatalf("%q without %q: %q, want %q", text, values, got, want)
		}
		if got := written(t, known(t, values...), text, 1+r.IntN(5), 1+r.IntN(9)); got != want {
			t.Fatalf("%q without %q, in pieces: %q, want %q", text, values, got, want)
		}
	}
}

// FuzzLeak puts a value between two texts, encodes them together in each of the ways, and looks for it in what is left, of an event's text and
// of an output that is written in pieces.
func FuzzLeak(f *testing.F) {
	f.Add("correct horse battery", "user:", "@host", []byte{1, 200, 3})
	f.Add("p<&>\"\\\n\tüx", "a", "bc", []byte{7})
	f.Add("a+b/c=d%20", "", "", []byte{1})
	f.Add("aaaaaaaaaaab", "aaaa", "aaab", []byte{2, 1})
	f.Fuzz(func(t *testing.T, value, before, after string, cuts []byte) {
		if len(value) < 8 || len(value) > 1000 || strings.ToValidUTF8(value, "") != value || strings.Contains(secret.Hidden, value) || len(before)+len(after) > 10000 {
			t.Skip()
		}
		whole := before + value + after
		pieces := []int{1}
		for _, c := range cuts {
			pieces = append(pieces, int(c))
		}
		leaks := func(name, encoded string, decode func(string) string) {
			s := known(t, value)
			texts := map[string]string{"text": s.Text(encoded), "output": written(t, s, encoded, pieces...)}
			if one := written(t, s, encoded, len(encoded)+1); !strings.Contains(encoded, "\n") && texts["output"] != one {
				t.Errorf("%s: %q in pieces of %v becomes %q, and at once %q", name, encoded, pieces, texts["output"], one)
			}
			for where, clean := range texts {
				if !strings.Contains(clean, secret.Hidden) {
					t.Errorf("%s in an %s: %q is not found in %q", name, where, value, encoded)
				}
				if decode != nil && strings.Contains(decode(clean), value) {
					t.Errorf("%s in an %s: %q is left in %q", name, where, value, clean)
				}
			}
		}
		same := func(s string) string { return s }
		if !strings.Contains(before+secret.Hidden+after, value) {
			leaks("raw", whole, same)
		}
		leaks("hex", hex.EncodeToString([]byte(whole)), nil)
		leaks("HEX", strings.ToUpper(hex.EncodeToString([]byte(whole))), nil)
		leaks("lines of hex", lines(hex.EncodeToString([]byte(whole)), 60), nil)
		for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "raw std": base64.RawStdEncoding, "raw url": base64.RawURLEncoding} {
			leaks(name, enc.EncodeToString([]byte(whole)), nil)
			leaks("lines of "+name, lines(enc.EncodeToString([]byte(whole)), 76), nil)
		}
		leaks("query", url.QueryEscape(whole), nil)
		leaks("path", url.PathEscape(whole), nil)
		if q, err := json.Marshal(whole); err == nil && strings.ToValidUTF8(whole, "") == whole {
			leaks("json", string(q), func(s string) (out string) { json.Unmarshal([]byte(s), &out); return out })
		}
	})
}

// lines breaks a text as base64(1) and xxd(1) do.
func lines(s string, width int) string {
	var b strings.Builder
	for part := range slices.Chunk([]byte(s), width) {
		b.Write(part)
		b.WriteByte('\n')
	}
	return b.String()
}
