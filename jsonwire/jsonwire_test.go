package jsonwire

import (
	"encoding/json"
	"math"
	"testing"
)

func TestAppendString(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", `""`},
		{"a/b", `"a/b"`},
		{"\"\\", `"\"\\"`},
		{"\b\f\n\r\t\x00\x1f", `"\b\f\n\r\t\u0000\u001f"`},
		{"<>&\x7f\u2028\u2029é", "\"<>&\x7f\u2028\u2029é\""},
		{"a\xffb", "\"a\uFFFDb\""},
	} {
		if got := string(AppendString(nil, c.in)); got != c.want {
			t.Errorf("AppendString(%q) = %s, want %s", c.in, got, c.want)
		}
	}
}

func TestAppendFloat(t *testing.T) {
	for _, c := range []struct {
		in   float64
		want string
	}{{1, "1.0"}, {0.25, "0.25"}, {0, "0.0"}, {math.NaN(), "null"}, {math.Inf(1), "null"}} {
		if got := string(AppendFloat(nil, c.in)); got != c.want {
			t.Errorf("AppendFloat(%v) = %s, want %s", c.in, got, c.want)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\x00\"\\\u2028", "\xff\xfe", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(AppendString(nil, s), &back); err != nil {
			t.Fatalf("not JSON: %v", err)
		}
		if want := string([]rune(s)); back != want {
			t.Fatalf("read back %q, want %q", back, want)
		}
	})
}
