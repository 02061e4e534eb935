package image

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	erofs "github.com/erofs/go-erofs"
)

// A tree of more paths, or of longer names, than the writer may hold is refused before anything is copied, whether they are in one folder or in many;
// what lies in attributes is found while it is copied.
func TestPathsAndNames(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		for _, p := range []string{"flat", filepath.Join("deep", strconv.Itoa(i))} {
			p = filepath.Join(dir, p)
			if err := errors.Join(os.MkdirAll(p, 0o755), os.WriteFile(filepath.Join(p, strconv.Itoa(i)), nil, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, x := range []struct {
		name         string
		paths, names int64
		want         string
	}{
		{"flat", 49, MaxNames, "holds more than 49 files and folders"}, {"flat", 50, MaxNames, ""},
		{"deep", 99, MaxNames, "holds more than 99 files and folders"}, {"deep", 100, MaxNames, ""},
		{"flat", MaxPaths, 89, "paths, attributes and links take more than"}, {"flat", MaxPaths, 90, ""}, // 10 names of one byte, 40 of two
	} {
		w := Want{Path: filepath.Join(dir, x.name), Owner: me()}
		s, err := w.source()
		if err != nil {
			t.Fatal(err)
		}
		s.maxPaths, s.maxNames = x.paths, x.names
		_, _, err = s.fingerprint(w)
		var large *TooLarge
		if (err == nil) != (x.want == "") || err != nil && (!errors.As(err, &large) || !strings.Contains(err.Error(), x.want) || large.Hint() == "") {
			t.Errorf("%s, %d paths and %d bytes: %v", x.name, x.paths, x.names, err)
		}
		s.letGo()
		s.root.Close()
	}
	file := filepath.Join(dir, "flat", "1")
	if err := syscall.Setxattr(file, "user.test", []byte(strings.Repeat("x", 100)), 0); err != nil {
		t.Skipf("no extended attributes here: %v", err)
	}
	w := Want{Path: filepath.Join(dir, "flat"), Owner: me()}
	s, err := w.source()
	if err != nil {
		t.Fatal(err)
	}
	defer s.root.Close()
	defer s.letGo()
	s.maxNames = 90 + 9 + 99 // user.test
	out, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var large *TooLarge
	if err := s.convert(&sparse{f: out}); !errors.As(err, &large) {
		t.Errorf("an attribute beyond the limit: %v", err)
	}
	s.maxNames++
	to := &sparse{f: out}
	if err := errors.Join(s.convert(to), to.finish()); err != nil {
		t.Fatal(err)
	}
	fsys, err := erofs.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Open("1")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Sys().(*erofs.Stat).Xattrs["user.test"] != strings.Repeat("x", 100) {
		t.Errorf("the attribute arrives as %v, %v", fi.Sys(), err)
	}
}

// What is written in small pieces, out of order and with holes is in the file as it was given, and a folder that is deeper than what stays open is read.
func TestSparseAndDeep(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, strings.Repeat("d/", 2*maxOpen))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range maxOpen * 2 {
		p := filepath.Join(dir, strings.Repeat("d/", i), "f")
		if err := os.WriteFile(p, []byte(strconv.Itoa(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := store(t)
	img, err := s.Tree(t.Context(), Want{Path: dir, Owner: me()})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	fsys, err := erofs.Open(img.Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxOpen * 2 {
		f, err := fsys.Open(strings.Repeat("d/", i) + "f")
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		n, _ := f.Read(b)
		f.Close()
		if string(b[:n]) != strconv.Itoa(i) {
			t.Errorf("%d folders deep: %q", i, b[:n])
		}
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := &sparse{f: out}
	want := make([]byte, 0, 3*piece)
	for i := 0; len(want) < 2*piece; i++ { // pieces of 0 to 999 bytes, some of zeros
		b := []byte(strings.Repeat(string(rune('a'+i%26)), i*7%1000))
		if i%5 == 0 {
			clear(b)
		}
		want = append(want, b...)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, make([]byte, piece)...)
	w.Write(want[len(want)-piece:])
	w.Seek(0, 0)
	w.Write([]byte("head"))
	copy(want, "head")
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out.Name())
	if err != nil || len(got) != (len(want)+block-1)/block*block || string(got[:len(want)]) != string(want) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}
}
