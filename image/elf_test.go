package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/plan"
)

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A kernel is unpacked once for each file that it was, is found again, and is not taken for another that came in its place.
func TestELF(t *testing.T) {
	s := newStore(t)
	ctx := context.Background()
	k := Kernel{Path: filepath.Join(t.TempDir(), "vmlinuz-1"), Release: "1", Format: "bzImage", Arch: "amd64"}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(k.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unpack := func(f *os.File, n int64) ([]byte, error) {
		b := make([]byte, n)
		_, err := f.ReadAt(b, 0)
		return append([]byte("unpacked "), b...), err
	}
	write("one")
	if _, err := s.ELF(k); !errors.Is(err, ErrPacked) {
		t.Errorf("before: %v", err)
	}
	added, err := s.AddELF(ctx, k, unpack)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.ELF(k)
	if err != nil || found != added || found.Format != "ELF" || found.Packed != k.Path || found.Digest == found.PackedDigest || found.Release != "1" {
		t.Errorf("%+v, %v, want %+v", found, err, added)
	}
	if b, err := os.ReadFile(found.Path); err != nil || string(b) != "unpacked one" {
		t.Errorf("%q, %v", b, err)
	}
	f, err := s.OpenKernel(found)
	if err != nil {
		t.Fatal(err)
	}
	if gone, _, err := s.Collect(true); err != nil || len(gone) != 0 {
		t.Errorf("a kernel in use was removed: %v, %v", gone, err)
	}
	f.Close()
	write("another")
	if _, err := s.ELF(k); !errors.Is(err, ErrPacked) {
		t.Errorf("the file is another: %v", err)
	}
	if _, err := s.AddELF(ctx, k, func(*os.File, int64) ([]byte, error) { write("changes"); return []byte("x"), nil }); err == nil {
		t.Error("a file that changes while it is unpacked")
	}
	boom := errors.New("boom")
	if _, err := s.AddELF(ctx, k, func(*os.File, int64) ([]byte, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if elf, err := s.ELF(Kernel{Path: "/x", Format: "ELF"}); err != nil || elf.Path != "/x" || elf.Packed != "" {
		t.Errorf("one that is not packed: %+v, %v", elf, err)
	}
	if err := os.Remove(k.Path); err != nil {
		t.Fatal(err)
	}
	if gone, _, err := s.Collect(false); err != nil || len(gone) != 2 {
		t.Errorf("kernels whose files are gone: %v, %v", gone, err)
	}
}

// A digest is remembered only for the very file, and never for one that changed a moment ago.
func TestDigestOf(t *testing.T) {
	s := newStore(t)
	path := filepath.Join(t.TempDir(), "f")
	digest := func() string {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		d, err := s.DigestOf(context.Background(), f)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	remembered := func() int {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(s.dir, "digest-*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	const abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	if d := digest(); d != abc {
		t.Errorf("%s", d)
	}
	for remembered() == 0 { // its change time has to be some time ago
		time.Sleep(50 * time.Millisecond)
		if d := digest(); d != abc {
			t.Errorf("%s", d)
		}
	}
	if d := digest(); d != abc {
		t.Errorf("remembered: %s", d)
	}
	old, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("abd"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, old.ModTime(), old.ModTime()); err != nil { // size and time as before
		t.Fatal(err)
	}
	if d := digest(); d == abc {
		t.Error("another content has the remembered digest")
	}
}

func TestParseRef(t *testing.T) {
	hex := strings.Repeat("a", 64)
	for text, want := range map[string]Ref{
		"oci:/srv/x": {"oci", "/srv/x", ""}, "oci-archive:/a.tar@sha256:" + hex: {"oci-archive", "/a.tar", "sha256:" + hex}, "docker-archive:/d": {"docker-archive", "/d", ""},
		"docker://reg:5000/a/b:1": {"", "reg:5000/a/b:1", ""}, "alpine@sha256:" + hex: {"", "alpine", "sha256:" + hex}, "oci:/a@b@sha256:" + hex: {"oci", "/a@b", "sha256:" + hex},
	} {
		got, err := ParseRef(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if again, err := ParseRef(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s, which is %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "docker://", "oci:", "a@sha256:" + hex[1:], "a@sha512:" + hex, "a@sha256:" + strings.ToUpper(hex), "a@", "@sha256:" + hex} {
		if r, err := ParseRef(text); err == nil {
			t.Errorf("%q is %+v", text, r)
		}
	}
}

// What a plan hears of an image is what lies there, links unfollowed.
func TestDescribe(t *testing.T) {
	s := newStore(t)
	dir := t.TempDir()
	for name, do := range map[string]func(string) error{
		"etc":  func(p string) error { return os.Mkdir(p, 0o755) },
		"app":  func(p string) error { return os.MkdirAll(p+"/sub", 0o750) },
		"bin":  func(p string) error { return os.Symlink("app", p) },
		"file": func(p string) error { return os.WriteFile(p, nil, 0o600) },
	} {
		if err := do(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("me:x:1:1::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := s.AddRoot(context.Background(), Root{Ref: "oci:x", Digest: "sha256:1", Arch: "amd64", Env: []string{"A=1"}}, os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Root("sha256:1", "amd64"); err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := s.Root("sha256:1", "arm64"); err == nil {
		t.Error("it is there for another processor")
	}
	d, err := s.Describe(r, []string{"/app/sub", "/app/none/x", "/bin/x", "/file/x"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]plan.Kind{"/etc": plan.Directory, "/app": plan.Directory, "/app/sub": plan.Directory, "/bin": plan.Symlink, "/file": plan.Regular}
	for p, e := range d.Entries {
		if want[p] != e.Kind {
			t.Errorf("%s is %+v", p, e)
		}
		delete(want, p)
	}
	if len(want) > 0 || d.Entries["/bin"].Target != "app" || d.Passwd != "me:x:1:1::/:/bin/sh\n" || d.Group != "" {
		t.Errorf("missing %v; %+v", want, d)
	}
}
