package lines

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNext(t *testing.T) {
	const limit = 200_000
	long := strings.Repeat("x", limit)
	in := "a\n\n" + long + "\n" + long + "y\nb\n" + strings.Repeat("z", 3*limit) + "\nc\ntorn"
	want := []struct {
		line string
		err  error
	}{{"a", nil}, {"", nil}, {long, nil}, {"", ErrTooLong}, {"b", nil}, {"", ErrTooLong}, {"c", nil}, {"torn", ErrTorn}, {"", io.EOF}, {"", io.EOF}}
	for name, src := range map[string]io.Reader{"whole": strings.NewReader(in), "halves": iotest.HalfReader(strings.NewReader(in))} {
		r := NewReader(src, limit)
		for i, w := range want {
			line, err := r.Next()
			if string(line) != w.line || !errors.Is(err, w.err) {
				t.Fatalf("%s: line %d: %d bytes, %v, want %d bytes, %v", name, i+1, len(line), err, len(w.line), w.err)
			}
			if n := min(i+1, 8); r.Number() != n {
				t.Errorf("%s: number %d, want %d", name, r.Number(), n)
			}
		}
	}
	short := NewReader(strings.NewReader("12345\n1234"), 4)
	if _, err := short.Next(); !errors.Is(err, ErrTooLong) {
		t.Errorf("5 of 4: %v", err)
	}
	if l, err := short.Next(); string(l) != "1234" || !errors.Is(err, ErrTorn) {
		t.Errorf("torn: %q %v", l, err)
	}
	broken := NewReader(iotest.ErrReader(errors.New("disk")), 4)
	if _, err := broken.Next(); err == nil || err.Error() != "disk" {
		t.Errorf("broken reader: %v", err)
	}
}

func TestLast(t *testing.T) {
	big := strings.Repeat("x", 50_000)
	for _, c := range []struct {
		in, line     string
		offset, torn int64
		err          error
	}{
		{"", "", 0, 0, io.EOF}, {"torn", "", 0, 4, io.EOF}, {"a\n", "a", 0, 0, nil}, {"a\nb\n", "b", 2, 0, nil}, {"a\nb\nc", "b", 2, 1, nil},
		{"\n", "", 0, 0, nil}, {"a\n\n", "", 2, 0, nil}, {"a\n" + big + "\n", big, 2, 0, nil}, {"a\nb\n" + big, "b", 2, 50_000, nil},
		{big + "\n", big, 0, 0, nil}, {"a\n" + big + big + "\n", "", 0, 0, ErrTooLong},
	} {
		line, off, torn, err := Last(strings.NewReader(c.in), int64(len(c.in)), 60_000)
		if string(line) != c.line || torn != c.torn || !errors.Is(err, c.err) || err == nil && off != c.offset {
			t.Errorf("Last(%.10q…, %d bytes) = %d bytes at %d, torn %d, %v", c.in, len(c.in), len(line), off, torn, err)
		}
	}
}

// FuzzNext compares with bytes.Split, and Last with the last line that Next returns.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"", "a\nb\n", "a\nb", "\n\n", "toolongline\nx\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 8
		r := NewReader(bytes.NewReader(in), limit)
		pieces := bytes.Split(in, []byte("\n"))
		for i, want := range pieces {
			line, err := r.Next()
			switch {
			case i == len(pieces)-1 && len(want) == 0:
				if err != io.EOF {
					t.Fatalf("at the end: %q %v", line, err)
				}
			case i == len(pieces)-1 && len(want) <= limit:
				if err != ErrTorn || !bytes.Equal(line, want) {
					t.Fatalf("torn: %q %v, want %q", line, err, want)
				}
			case len(want) > limit:
				if err != ErrTooLong && err != ErrTorn {
					t.Fatalf("long: %q %v", line, err)
				}
			case err != nil || !bytes.Equal(line, want):
				t.Fatalf("line %d: %q %v, want %q", i, line, err, want)
			}
		}
		if line, off, torn, err := Last(bytes.NewReader(in), int64(len(in)), limit); err == nil {
			if want := pieces[len(pieces)-2]; !bytes.Equal(line, want) || int(torn) != len(pieces[len(pieces)-1]) || int(off) != len(in)-int(torn)-1-len(line) {
				t.Fatalf("Last = %q at %d torn %d, want %q", line, off, torn, want)
			}
		}
	})
}
