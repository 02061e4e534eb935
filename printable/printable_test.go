package printable

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain, ünïcode, 漢字 😀":   "plain, ünïcode, 漢字 😀",
		"a\x1b[2Jb":              `a\x1b[2Jb`,
		"rlo\u202egnp.exe":       `rlo\u202egnp.exe`,
		"\u2066\u2069\u200f":     `\u2066\u2069\u200f`,
		"zero\u200bwidth\ufeff":  `zero\u200bwidth\ufeff`,
		"two\nlines\r\ttab":      `two\nlines\r\ttab`,
		"c1\u009bm":              `c1\u009bm`,
		"bytes \xff\xc3":         `bytes \xff\xc3`,
		"\U000e0041 tag":         `\U000e0041 tag`,
		"para\u2029\u2028\u0085": `para\u2029\u2028\u0085`,
		`back\slash`:             `back\slash`,
		"\ufffd":                 "\ufffd",
	} {
		if got := Line(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("x\u202e\x1b\xff")
	f.Fuzz(func(t *testing.T, in string) {
		out := Line(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q: %q", in, out)
		}
		for _, r := range out {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
				t.Fatalf("%q: %U is left", in, r)
			}
		}
	})
}

// TestJSON: the same value, and nothing in it that a terminal takes for something else.
func TestJSON(t *testing.T) {
	in := map[string]string{"a\u202e": "x\u009b\u007f\U000e0041漢\u2028", "b": "line\nfeed"}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte("{\"a\u202e\":\"x\u009b\u007f\U000e0041漢\u2028\",\n\"b\":\"line\\nfeed\"}")
	for _, x := range [][]byte{text, raw} {
		out := JSON(x)
		var back map[string]string
		if err := json.Unmarshal(out, &back); err != nil || back["a\u202e"] != in["a\u202e"] || back["b"] != in["b"] {
			t.Errorf("%s: %v, %v", out, back, err)
		}
		if strings.ContainsAny(string(out), "\u202e\u009b\u007f\u2028\U000e0041") {
			t.Errorf("%q", out)
		}
	}
}

func TestCommand(t *testing.T) {
	for want, argv := range map[string][]string{
		"":                  nil,
		"make -j 'a b' ''":  {"make", "-j", "a b", ""},
		`'it'\''s' '$HOME'`: {"it's", "$HOME"},
		`'x\u202ey'`:        {"x\u202ey"},
	} {
		if got := Command(argv); got != want {
			t.Errorf("%q: %s, want %s", argv, got, want)
		}
	}
}
