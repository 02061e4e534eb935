//go:build unix

package input

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "to-dir")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "most"), make([]byte, MaxBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, content, problem string }{
		{file, "content", ""},
		{filepath.Join(dir, "to-dir/file"), "content", ""},
		{"-", "typed", ""},
		{filepath.Join(dir, "most"), string(make([]byte, MaxBytes)), ""},
		{filepath.Join(dir, "link"), "", "is a symbolic link, which is not followed"},
		{filepath.Join(dir, "to-dir"), "", "is a symbolic link, which is not followed"},
		{dir, "", "is a directory"},
		{filepath.Join(dir, "none"), "", "no such file or directory"},
		{"", "", "no such file or directory"},
		{"/dev/zero", "", "is larger than 1 MiB"},
	} {
		data, err := Read(c.path, strings.NewReader("typed"))
		if string(data) != c.content || (err == nil) != (c.problem == "") {
			t.Errorf("%s: %d bytes, %v", c.path, len(data), err)
		}
		if err != nil && !strings.HasSuffix(err.Error(), ": "+c.problem) {
			t.Errorf("%s: got %v, want %s", c.path, err, c.problem)
		}
	}
	if _, err := Read(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file is not told by errors.Is: %v", err)
	}
}

func TestReadBoundsStandardInput(t *testing.T) {
	endless := endlessReader{read: new(int)}
	_, err := Read("-", endless)
	if err == nil || err.Error() != "reading standard input: is larger than 1 MiB" {
		t.Errorf("got %v", err)
	}
	if *endless.read > MaxBytes+1 {
		t.Errorf("%d bytes were read", *endless.read)
	}
	broken := io.MultiReader(strings.NewReader("{"), brokenReader{})
	if _, err := Read("-", broken); err == nil || err.Error() != "reading standard input: input/output error" {
		t.Errorf("got %v", err)
	}
}

func TestReadFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(fifo, []byte("through"), 0) }()
	data, err := Read(fifo, nil)
	if err != nil || string(data) != "through" {
		t.Errorf("%q, %v", data, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

type endlessReader struct{ read *int }

func (r endlessReader) Read(p []byte) (int, error) {
	*r.read += len(p)
	return len(p), nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, syscall.EIO }
