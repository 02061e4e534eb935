package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/export"
)

// source makes a source of a file with a text.
func source(t testing.TB, text string) (*export.Source, *os.File) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	s, err := export.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

// empty demands that a folder has only the given names, so that nothing half-written is left.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	list, _ := os.ReadDir(dir)
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("%s has %q, want %q", dir, got, names)
	}
}

func TestPut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, _ := source(t, "hello")
	long := strings.Repeat("n", 255)
	if err := (Sink{Dir: dir}).Put(context.Background(), "cell-1", long, s); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "cell-1", long)); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	s, _ = source(t, "")
	if err := (Sink{Dir: dir, Sync: true}).Put(context.Background(), "cell-1", "empty", s); err != nil || !s.Done() {
		t.Error(err)
	}
	only(t, filepath.Join(dir, "cell-1"), "empty", long)
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	at := func(p string) string { return filepath.Join(dir, p) }
	os.MkdirAll(at("c"), 0o755)
	os.Mkdir(at("other"), 0o755)
	os.WriteFile(at("c/old"), []byte("old"), 0o644)
	os.WriteFile(at("file"), nil, 0o644)
	os.Symlink("../other/x", at("c/link"))
	os.Symlink("other", at("linked"))
	for _, c := range []struct{ dir, cell, name, want string }{
		{dir, "c", "old", "export copy -> " + at("c/old") + ": File exists"},
		{dir, "c", "link", "File exists"},
		{dir, "linked", "a", "symbolic link"},
		{dir, "file", "a", "is no folder"},
		{dir, "..", "a", "no plain file name"}, {dir, "c", "../x", "no plain file name"}, {dir, "c", "", "no plain file name"}, {dir, "c", "~x", "no plain file name"},
		{dir, "c", `a\b`, "no plain file name"}, {dir, "c", "a\x00b", "no plain file name"},
		{dir, "c", strings.Repeat("n", 256), "file name too long"},
		{at("file"), "c", "a", "not a directory"},
	} {
		s, _ := source(t, "hello")
		if err := (Sink{Dir: c.dir}).Put(context.Background(), c.cell, c.name, s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s/%s: %v, want %q", c.cell, c.name, err, c.want)
		}
	}
	only(t, at("c"), "link", "old")
	only(t, at("other"))
	if b, _ := os.ReadFile(at("c/old")); string(b) != "old" {
		t.Errorf("overwritten: %q", b)
	}
}

// TestHalves: a file that grows or vanishes under the reader, and an end in the middle, leave nothing.
func TestHalves(t *testing.T) {
	dir := t.TempDir()
	put := func(ctx context.Context, name, text string, change func(f *os.File)) error {
		s, f := source(t, text)
		change(f)
		return Sink{Dir: dir}.Put(ctx, "c", name, s)
	}
	append1 := func(f *os.File) {
		w, err := os.OpenFile(f.Name(), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.WriteString("!")
	}
	if err := put(context.Background(), "grown", "hello", append1); !errors.Is(err, export.ErrGrew) {
		t.Error(err)
	}
	if err := put(context.Background(), "shrunk", "hello", func(f *os.File) { os.Truncate(f.Name(), 2) }); !errors.Is(err, export.ErrShrank) {
		t.Error(err)
	}
	if err := put(context.Background(), "vanished", "hello", func(f *os.File) { os.Remove(f.Name()) }); err != nil {
		t.Errorf("an open file that lost its name: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("told to stop"))
	if err := put(ctx, "stopped", "hello", func(*os.File) {}); err == nil || !strings.Contains(err.Error(), "told to stop") {
		t.Error(err)
	}
	only(t, filepath.Join(dir, "c"), "vanished")
}

// BenchmarkPut copies 256 MiB; the peer is cp and sha256sum in bench/export.sh.
func BenchmarkPut(b *testing.B) {
	const size = 256 << 20
	p := filepath.Join(b.TempDir(), "source")
	if err := os.WriteFile(p, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(p, size); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		f, err := os.Open(p)
		if err != nil {
			b.Fatal(err)
		}
		s, err := export.Read(f)
		if err != nil {
			b.Fatal(err)
		}
		dir := b.TempDir()
		if err := (Sink{Dir: dir}).Put(context.Background(), "c", "n", s); err != nil {
			b.Fatal(err)
		}
		f.Close()
		os.RemoveAll(dir)
	}
}
