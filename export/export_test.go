package export

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// A file says that it has a size, and gives something else.
type file struct {
	io.Reader
	size int64
}

func (f file) Stat() (fs.FileInfo, error) {
	return fs.Stat(fstest.MapFS{"x": {Data: make([]byte, f.size)}}, "x")
}
func (file) Close() error { return nil }

type seekable struct {
	file
	*strings.Reader
}

func (s seekable) Read(p []byte) (int, error) { return s.Reader.Read(p) }

func TestSource(t *testing.T) {
	for _, c := range []struct {
		text string
		size int64
		err  error
		got  string
	}{
		{"hello", 5, nil, "hello"}, {"", 0, nil, ""}, {"hello!", 5, ErrGrew, "hell"}, {"hell", 5, ErrShrank, "hell"}, {"x", 0, ErrGrew, ""}, {"", 5, ErrShrank, ""},
	} {
		s, err := Read(file{iotestOne{strings.NewReader(c.text)}, c.size})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(s)
		if !errors.Is(err, c.err) || c.err == nil && err != nil || string(b) != c.got || s.Done() != (c.err == nil) || !errors.Is(s.Err(), c.err) {
			t.Errorf("%q of %d: %q, %v, done %v", c.text, c.size, b, err, s.Done())
		}
		if sum := sha256.Sum256([]byte(c.got)); s.SHA256() != hex.EncodeToString(sum[:]) {
			t.Errorf("%q: digest %s", c.text, s.SHA256())
		}
		if err := s.Rewind(); !errors.Is(err, ErrOnce) {
			t.Errorf("%q was read again: %v", c.text, err)
		}
	}
}

// iotestOne gives one byte at a time.
type iotestOne struct{ io.Reader }

func (r iotestOne) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

func TestRewind(t *testing.T) {
	s, err := Read(seekable{file{size: 5}, strings.NewReader("hello")})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Rewind(); err != nil {
			t.Fatal(err)
		}
		s.Read(make([]byte, 2))
		if err := s.Rewind(); err != nil || s.Done() {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(s); string(b) != "hello" || err != nil || !s.Done() {
			t.Errorf("%q, %v", b, err)
		}
	}
}
