package canon

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppend(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{` {"b": 1.0, "a": "\u0041\/"} `, `{"a":"A/","b":1.0}`},
		{`{"z":{"y":[1,{"d":0,"c":-1e5}],"x":null},"":true}`, `{"":true,"z":{"x":null,"y":[1,{"c":-1e5,"d":0}]}}`},
		{`"\ud83d\ude00\u2028<\u001f\n"`, "\"😀\u2028<\\u001f\\n\""},
		{`[ ]`, `[]`}, {`{ }`, `{}`}, {`0`, `0`}, {`-0.0E+1`, `-0.0E+1`},
		{`{"é":1,"z":2}`, `{"z":2,"é":1}`},
	} {
		got, err := Append(nil, []byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("Append(%s) = %s, %v, want %s", c.in, got, err, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, in := range []string{
		``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `[1,]`, `[`, `01`, `1.`, `.1`, `1e`, `-`, `+1`, `nul`, `True`,
		`"`, `"\x"`, `"\u12"`, `"\ud800"`, `"\ud800\u0041"`, `"\udc00"`, "\"\n\"", "\"\xff\"", "\"\xed\xa0\x80\"",
		`{"a":1,"a":1}`, `{"x":{"a":1,"\u0061":1}}`, `[{"a":1,"a":2}]`, `1 2`, `{} {}`, `{a:1}`, `{1:1}`, `{"a" 1}`, `[1 2]`,
		strings.Repeat("[", 65) + strings.Repeat("]", 65), "NaN", "\xef\xbb\xbf{}",
	} {
		if got, err := Append([]byte("x"), []byte(in)); err == nil || string(got) != "x" {
			t.Errorf("Append(%q) = %s, %v, want an error and no output", in, got, err)
		}
	}
	if _, err := Append(nil, []byte(strings.Repeat("[", 64)+strings.Repeat("]", 64))); err != nil {
		t.Errorf("64 levels: %v", err)
	}
}

func TestObject(t *testing.T) {
	m, err := Object(nil, []byte(` { "a" : [1, 2] , "\u0062":{"c":null} } `))
	want := []Member{{"a", []byte(`[1, 2]`)}, {"b", []byte(`{"c":null}`)}}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("got %q, %v", m, err)
	}
	long := `{"m0":0`
	for i := range 40 {
		long += fmt.Sprintf(`,"n%d":0`, i)
	}
	if m, err := Object(nil, []byte(long+"}")); err != nil || len(m) != 41 {
		t.Errorf("41 members: %d, %v", len(m), err)
	}
	for _, in := range []string{`[]`, `{} x`, `{"a":1,"b":2,"a":3}`, long + `,"n7":1}`, `"a"`, ``} {
		if m, err := Object(nil, []byte(in)); err == nil || len(m) != 0 {
			t.Errorf("Object(%s) = %q, %v, want an error", in, m, err)
		}
	}
}

func TestArrayAndString(t *testing.T) {
	a, err := Array(nil, []byte(`[ "x" , {"y":1} ]`))
	if err != nil || len(a) != 2 || string(a[0]) != `"x"` || string(a[1]) != `{"y":1}` {
		t.Errorf("got %q, %v", a, err)
	}
	if s, err := String([]byte(`"a\tb"`)); err != nil || s != "a\tb" {
		t.Errorf("got %q, %v", s, err)
	}
	for _, in := range []string{``, `1`, `"a`, `"a" `, `null`} {
		if _, err := String([]byte(in)); err == nil {
			t.Errorf("String(%s) is accepted", in)
		}
	}
	for _, in := range []string{``, `{}`, `[1`, `[] 1`} {
		if _, err := Array(nil, []byte(in)); err == nil {
			t.Errorf("Array(%s) is accepted", in)
		}
	}
}

// FuzzAppend compares with encoding/json: what we accept it reads, our result means the same, and canonical text
// stays as it is.
func FuzzAppend(f *testing.F) {
	for _, s := range []string{`{"b":[1.0,"\u00e9\ud83d\ude00"],"a":{"":null}}`, `"\u0000"`, `-1e-9`, `[[],{}]`, `{"a":1,"a":2}`, "\"\xff\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := Append(nil, in)
		if err != nil {
			return
		}
		if !utf8.Valid(out) {
			t.Fatalf("%q is not UTF-8", out)
		}
		var a, b any
		if err := json.Unmarshal(in, &a); err != nil {
			if strings.Contains(err.Error(), "cannot unmarshal number") {
				return // beyond float64
			}
			t.Fatalf("accepted %q: %v", in, err)
		}
		if err := json.Unmarshal(out, &b); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%q became %q (%v)", in, out, err)
		}
		again, err := Append(nil, out)
		if err != nil || string(again) != string(out) {
			t.Fatalf("%q is not stable: %q, %v", out, again, err)
		}
		if len(out) > 0 && out[0] == '{' {
			if _, err := Object(nil, in); err != nil {
				t.Fatalf("Object refuses %q: %v", in, err)
			}
		}
	})
}

// TestOrdinary compares with a look at each byte.
func TestOrdinary(t *testing.T) {
	special := func(c byte) bool { return c < 0x20 || c == '"' || c == '\\' || c >= 0x80 }
	for at := range 8 {
		for c := range 256 {
			for _, fill := range []byte{' ', '!', '#', '[', ']', 'a', 0x7f, 0x21, '"', 0x1f, 0x80} {
				var b [8]byte
				want := true
				for i := range b {
					b[i] = fill
					if i == at {
						b[i] = byte(c)
					}
					want = want && !special(b[i])
				}
				if got := ordinary(binary.LittleEndian.Uint64(b[:])); got != want {
					t.Fatalf("%q: %v", b, got)
				}
			}
		}
	}
}
