package scrub_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/scrub"
)

func known(t testing.TB, values ...string) *scrub.Set {
	t.Helper()
	var s scrub.Set
	for _, v := range values {
		if err := s.Add(secret.FromString(v)); err != nil {
			t.Fatal(err)
		}
	}
	return &s
}

func TestText(t *testing.T) {
	s := known(t, "hunter2", "hunter2-and-more", "abc", "", "hunter2", "or-less")
	for in, want := range map[string]string{
		"nothing":                             "nothing",
		"":                                    "",
		"a hunter2 b hunter2":                 "a [secret] b [secret]",
		"x=hunter2-and-more;":                 "x=[secret];",
		"abc stays":                           "abc stays",
		"68756e74657232 upper 68756E74657232": "[secret] upper [secret]",
		"hunter2-and-mor-less":                "[secret]-and-m[secret]", // two that overlap: "or-less" begins in the other one
		"hunter2-and-more-less":               "[secret]-less",
		"hunter2hunter2":                      "[secret]",
		"hunter hunter":                       "hunter hunter",
		"aHVudGVyMg==":                        "[secret]g==", // the last character is shared with what could follow
		"6875\n6e74\r\n657232":                "[secret]",
		"hunt\ner2":                           "hunt\ner2",
	} {
		if got := s.Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := known(t, "abcdef", "defghi").Text("-abcdefghi-"); got != "-[secret]-" {
		t.Errorf("of two that overlap an end is left: %q", got)
	}
	if got := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Contains(got, "hunter") || got != strings.TrimSuffix(strings.Repeat("[secret] ", 4), " ") {
		t.Errorf("a set is printed as %q", got)
	}
	s.Wipe()
	if got := s.Text("hunter2"); got != "hunter2" {
		t.Errorf("a set that was wiped still knows: %q", got)
	}
	var out bytes.Buffer
	if _, err := io.WriteString(s.Writer(&out), "hunter2"); err == nil || out.Len() > 0 {
		t.Errorf("a set that was wiped lets %q pass, %v", &out, err)
	}
}

// What other languages make of a value: computed by them (Python 3.13 json.dumps, urllib.parse.quote; PHP 8 json_encode, urlencode; Node 20
// encodeURIComponent; Gson 2).
func TestOtherLanguages(t *testing.T) {
	s := known(t, "pä/ß <&>='~*(😀)")
	for _, in := range []string{
		`p\u00e4/\u00df <&>='~*(\ud83d\ude00)`,
		`p\u00e4\/\u00df <&>='~*(\ud83d\ude00)`,
		`pä/ß \u003c\u0026\u003e='~*(😀)`,
		`p%C3%A4/%C3%9F%20%3C%26%3E%3D%27~%2A%28%F0%9F%98%80%29`,
		`p%C3%A4%2F%C3%9F+%3C%26%3E%3D%27%7E%2A%28%F0%9F%98%80%29`,
		`p%C3%A4%2F%C3%9F%20%3C%26%3E%3D'~*(%F0%9F%98%80)`,
		`p%c3%a4%2f%c3%9f+%3c%26%3e%3d%27%7e*%28%f0%9f%98%80%29`,
	} {
		if got := s.Text("<" + in + ">"); got != "<[secret]>" {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// written returns what comes out when text is written in pieces of these lengths, again and again.
func written(t testing.TB, s *scrub.Set, text string, pieces ...int) string {
	t.Helper()
	var out bytes.Buffer
	w := s.Writer(&out)
	for i := 0; len(text) > 0; i++ {
		n := min(len(text), max(1, pieces[i%len(pieces)]))
		if m, err := w.Write([]byte(text[:n])); m != n || err != nil {
			t.Fatal(m, err)
		}
		text = text[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A text whose length was promised keeps it, in whatever pieces it comes.
func TestMasker(t *testing.T) {
	for in, want := range map[string]string{
		"a hunter2 b\n":           "a ******* b\n",
		"hunhunhunter":            "hunhun******",
		"aHVudGVy\nMg==":          "**********g==",
		"hunter2hunter2 hunter2-": "************** *******-",
		"68756e74657232.":         "**************.",
		"nothing":                 "nothing",
	} {
		for n := 1; n <= len(in); n++ {
			var out bytes.Buffer
			w := known(t, "hunter2").Masker(&out)
			for rest := in; rest != ""; rest = rest[min(n, len(rest)):] {
				if _, err := io.WriteString(w, rest[:min(n, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); len(got) != len(in) || strings.Contains(got, "hunter2") || n == len(in) && got != want {
				t.Errorf("%q in pieces of %d: %q, want %q", in, n, got, want)
			}
		}
	}
}

func TestWriter(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"a hunter2 b\n":             "a [secret] b\n",
		"hunhunter2\n":              "hun[secret]\n",
		"hunhunhunter":              "hunhun[secret]", // the beginning of a value where the text ends
		"the hun":                   "the hun",
		"aHVudGVy\nMmh1bnRlcjI=\n":  "[secret]m[secret]I=\n", // m is half of each
		"hunter2hunter2 hunter2":    "[secret] [secret]",
		"abcdefghi abcdeabcdefghij": "[secret] abcde[secret]j",
	} {
		for _, pieces := range [][]int{{1000}, {1}, {2}, {3}, {1, 5}} {
			s := known(t, "hunter2", "abcdef", "defghi")
			if got := written(t, s, in, pieces...); got != want {
				t.Errorf("%q in pieces of %v: %q, want %q", in, pieces, got, want)
			}
			if n := int64(strings.Count(want, secret.Hidden)); s.Replaced() != n {
				t.Errorf("%q in pieces of %v: %d are said to be replaced, not %d", in, pieces, s.Replaced(), n)
			}
		}
	}
}

// TestNothingWaitsInVain: what cannot become a value is passed on by the Write that brought it.
func TestNothingWaitsInVain(t *testing.T) {
	s := known(t, "hunter2")
	var out bytes.Buffer
	w := s.Writer(&out)
	for _, x := range []struct{ in, out string }{
		{"ready\n", "ready\n"},
		{"Password: ", "Password: "},
		{"port 80\n6", "port 80\n"}, // 6 begins 68756e…
		{"8\n", "68\n"},             // and at the end of a line so little waits no longer
		{"hunt", ""},
		{"ers\n", "hunters\n"},
		{"hunter2", "[secret]"},
		{"6875", ""},
		{"\n", ""}, // but so much does
		{"x", "6875\nx"},
	} {
		io.WriteString(w, x.in)
		if out.String() != x.out {
			t.Errorf("%q: %q comes out at once, not %q", x.in, out.String(), x.out)
		}
		out.Reset()
	}
	w.Close()
}

// TestAddedLater: a value that becomes known while a text is written is found from then on, also in what is still kept back.
func TestAddedLater(t *testing.T) {
	s := known(t, "hunter2")
	var out bytes.Buffer
	w := s.Writer(&out)
	io.WriteString(w, "token hunt")
	if err := s.Add(secret.FromString("token")); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(secret.FromString("hunting")); err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "ing token")
	w.Close()
	if got := out.String(); got != "token [secret] [secret]" {
		t.Errorf("%q", got)
	}
}

func TestWriterErrors(t *testing.T) {
	w := known(t, "hunter2").Writer(iotest.TruncateWriter(io.Discard, 0))
	if _, err := io.WriteString(w, "x"); err != nil {
		t.Error(err)
	}
	boom := errors.New("boom")
	w = known(t, "hunter2").Writer(failing{boom})
	if _, err := io.WriteString(w, "hun"); err != nil {
		t.Error(err) // kept back
	}
	if err := w.Close(); err != boom {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestBounds(t *testing.T) {
	long := func(seed uint64, n int) string {
		r := rand.New(rand.NewPCG(seed, 0))
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	s := scrub.Set{Streamed: true}
	v := long(1, 5000)
	if err := s.Add(secret.FromString(v)); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{long(2, 20000), strings.Repeat("0123456789", 12000)} {
		if err := s.Add(secret.FromString(more)); err == nil {
			t.Errorf("%d bytes are known, and could not be found", len(more))
		}
	}
	if got := written(t, &s, "<"+v+">", 4096); got != "<[secret]>" {
		t.Errorf("a value of %d bytes: %d bytes come out", len(v), len(got))
	}
	// Text finds what an output would be refused for.
	var big scrub.Set
	v = long(2, 1<<20)
	if err := big.Add(secret.FromString(v)); err != nil {
		t.Fatal(err)
	}
	if got := big.Text("<" + v + base64.StdEncoding.EncodeToString([]byte("x"+v)) + ">"); len(got) > 40 {
		t.Errorf("of a value of a MiB %d bytes are left", len(got))
	}
	for i := range uint64(20) {
		if err := big.Add(secret.FromString(long(3+i, 1<<20))); err != nil {
			return
		}
	}
	t.Error("what is remembered has no bound")
}

func TestTooMany(t *testing.T) {
	var s scrub.Set
	for i := range 4096 {
		if err := s.Add(secret.FromString(fmt.Sprint("value ", i))); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := s.Add(secret.FromString("value 7")); err != nil {
		t.Errorf("one that is known: %v", err)
	}
	if err := s.Add(secret.FromString("another one")); err == nil {
		t.Error("there is no bound")
	}
	if got := s.Text("value 0, value 4095, value 5000"); got != "[secret], [secret], [secret]0" {
		t.Error(got) // of the last one "value 500" is known
	}
}

// BenchmarkWriter passes on a build's output with three secrets known.
func BenchmarkWriter(b *testing.B) {
	s := known(b, "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "postgres://app:correct-horse-battery@db.internal/app", strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQ\n", 60))
	text := []byte(strings.Repeat("[ 42%] Building CXX object src/CMakeFiles/core.dir/parser/token_stream.cc.o  -O2 -Wall -I/usr/include/4.2\n", 300))
	w := s.Writer(io.Discard)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w.Write(text)
	}
}
