//go:build linux && (amd64 || arm64)

package microvm

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/guest/agent"
)

func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Format = tar.FormatPAX
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			w.Write([]byte("data"))
		}
	}
	w.Close()
	return b.Bytes()
}

// What a guest sends arrives; a folder without permission is filled all the same.
func TestUnpack(t *testing.T) {
	dir := t.TempDir()
	err := unpack(dir, bytes.NewReader(archive(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0, PAXRecords: map[string]string{agent.Opaque: "y"}},
		tar.Header{Typeflag: tar.TypeReg, Name: "d/f\xff", Mode: 0o751},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc/passwd"},
		tar.Header{Typeflag: tar.TypeChar, Name: "gone"},
		tar.Header{Typeflag: tar.TypeFifo, Name: "p", Mode: 0o600},
	)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Lstat(filepath.Join(dir, "d/f\xff"))
	if err != nil || fi.Mode() != 0o751 || fi.Size() != 4 {
		t.Errorf("the file is %v, %v", fi, err)
	}
	if to, err := os.Readlink(filepath.Join(dir, "l")); err != nil || to != "/etc/passwd" {
		t.Errorf("the link is %q, %v", to, err)
	}
	if fi, err := os.Lstat(filepath.Join(dir, "gone")); err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("the mark of a deleted path is %v, %v", fi, err)
	}
}

// No name leads out of the folder, and nothing exceeds its bounds.
func TestUnpackHostile(t *testing.T) {
	for name, list := range map[string][]tar.Header{
		"a name above":             {{Typeflag: tar.TypeReg, Name: "../x"}},
		"an absolute name":         {{Typeflag: tar.TypeReg, Name: "/x"}},
		"a name with dots":         {{Typeflag: tar.TypeReg, Name: "a/../../x"}},
		"through a link":           {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}, {Typeflag: tar.TypeReg, Name: "l/x"}},
		"through an absolute link": {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/tmp"}, {Typeflag: tar.TypeFifo, Name: "l/x"}},
		"a hard link":              {{Typeflag: tar.TypeLink, Name: "h", Linkname: "/etc/passwd"}},
		"a disk":                   {{Typeflag: tar.TypeBlock, Name: "b", Devmajor: 8}},
		"a file twice":             {{Typeflag: tar.TypeReg, Name: "f"}, {Typeflag: tar.TypeReg, Name: "f"}},
		"more than its space":      {{Typeflag: tar.TypeReg, Name: "a"}, {Typeflag: tar.TypeReg, Name: "b"}, {Typeflag: tar.TypeReg, Name: "c"}},
		"deeper than allowed":      {{Typeflag: tar.TypeDir, Name: strings.Repeat("d/", 300)}},
	} {
		top := t.TempDir()
		dir := filepath.Join(top, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unpack(dir, bytes.NewReader(archive(t, list...)), 10); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if out, err := os.ReadDir(top); err != nil || len(out) != 1 {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
}

// FuzzUnpack: whatever a guest sends, nothing is written beside the folder.
func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o700}, tar.Header{Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o600}))
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}, tar.Header{Typeflag: tar.TypeReg, Name: "l/x"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		unpack(dir, bytes.NewReader(b), 1<<16)
		os.Chmod(dir, 0o700)
		if out, err := os.ReadDir(top); err != nil || len(out) != 1 {
			t.Fatalf("%v, %v", out, err)
		}
		filepath.WalkDir(dir, func(p string, d os.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				os.Chmod(p, 0o700) // so that it can be removed
			}
			return nil
		})
	})
}
