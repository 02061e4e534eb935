package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	erofs "github.com/erofs/go-erofs"
)

func store(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// grant makes a tree with everything that a tree may hold.
func grant(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "alpha", "sub/b": strings.Repeat("beta", 5000), "sub/\xff\xfe": "not UTF-8", "empty": "", "secret": "nobody reads this"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Symlink("../../etc/passwd", filepath.Join(dir, "sub/link")),
		os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "hard")),
		os.Chmod(filepath.Join(dir, "sub"), fs.ModeSticky|0o777),
		os.Chmod(filepath.Join(dir, "a"), 0o755),
		syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		os.Truncate(filepath.Join(dir, "empty"), 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	holes := filepath.Join(dir, "holes")
	f, err := os.Create(holes)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("end"), 64<<20); err != nil {
		t.Fatal(err)
	}
	return dir
}

func me() Owner {
	return Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), CellUID: 1000, CellGID: 1001}
}

// A tree arrives in its image: names, modes, contents, links, owners, and no more disk than the tree has data.
func TestTree(t *testing.T) {
	s, dir := store(t), grant(t)
	img, err := s.Tree(context.Background(), Want{Path: dir, Owner: me(), Exclude: []string{filepath.Join(dir, "secret")}})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	fi, err := os.Stat(img.Path)
	if err != nil {
		t.Fatal(err)
	}
	if disk := fi.Sys().(*syscall.Stat_t).Blocks * 512; img.Size < 64<<20 || disk > 1<<20 {
		t.Errorf("an image of %d bytes takes %d on disk", img.Size, disk)
	}
	if fi.Mode().Perm() != 0o400 {
		t.Errorf("its mode is %v", fi.Mode())
	}
	fsys, err := erofs.Open(img.Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(fsys, "secret"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was left out is there: %v", err)
	}
	for _, name := range []string{"a", "hard", "sub/b", "sub/\xff\xfe", "empty", "holes"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := fsys.(interface {
			Open(string) (fs.File, error)
		}).Open(name)
		if err != nil {
			if strings.Contains(name, "\xff") {
				continue // package fs refuses the name; the kernel does not, as the tests of backend/microvm show
			}
			t.Error(err)
			continue
		}
		got, err := fs.ReadFile(fsys, name)
		f.Close()
		if err != nil || string(got) != string(want) {
			t.Errorf("%s has %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	for name, want := range map[string]fs.FileMode{"a": 0o755, "sub": fs.ModeDir | fs.ModeSticky | 0o777, "sub/link": fs.ModeSymlink | 0o777, "fifo": fs.ModeNamedPipe | 0o600} {
		fi, err := fs.Lstat(fsys, name)
		// The reader adds bits of its own to a mode.
		if err != nil || fi.Mode()&(fs.ModeType|fs.ModePerm) != want&(fs.ModeType|fs.ModePerm) || (want&fs.ModeSticky != 0) != (fi.Mode()&0o1000 != 0) {
			t.Errorf("%s is %v, %v; want %v", name, fi, err, want)
			continue
		}
		st := fi.Sys().(*erofs.Stat)
		if st.UID != 1000 || st.GID != 1001 {
			t.Errorf("%s belongs to %d:%d", name, st.UID, st.GID)
		}
	}
}

// The second time nothing is copied; when something changed, it is.
func TestCache(t *testing.T) {
	s, dir := store(t), grant(t)
	ctx := context.Background()
	get := func() *Image {
		t.Helper()
		img, err := s.Tree(ctx, Want{Path: dir, Owner: me()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { img.Close() })
		return img
	}
	first, second := get(), get()
	if !first.Made || second.Made || first.Digest != second.Digest {
		t.Errorf("made %v %v, %s %s", first.Made, second.Made, first.Digest, second.Digest)
	}
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("omega"), 0o644); err != nil {
		t.Fatal(err)
	}
	if third := get(); !third.Made || third.Digest == first.Digest {
		t.Error("a change of the same length was not seen")
	}
}

// A single file is an image with one file.
func TestFile(t *testing.T) {
	s, dir := store(t), grant(t)
	img, err := s.Tree(context.Background(), Want{Path: filepath.Join(dir, "a"), Owner: me()})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	fsys, err := erofs.Open(img.Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	list, err := fs.ReadDir(fsys, ".")
	if err != nil || len(list) != 1 || list[0].Name() != "a" || img.File != "a" {
		t.Errorf("it has %v, %v", list, err)
	}
}

// What cannot become an image is said before anything is copied, and leaves nothing.
func TestRefusals(t *testing.T) {
	s := store(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "big"), 100<<30); err != nil {
		t.Skipf("the disk has no files of 100 GiB: %v", err)
	}
	var large *TooLarge
	if _, err := s.Tree(context.Background(), Want{Path: dir, Owner: me()}); !errors.As(err, &large) || large.Size != 100<<30 {
		t.Errorf("100 GiB: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("stop"))
	if _, err := s.Tree(ctx, Want{Path: grant(t), Owner: me()}); err == nil || !strings.Contains(err.Error(), "stop") {
		t.Errorf("cancelled: %v", err)
	}
	left, err := os.ReadDir(s.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the store: %v, %v", left, err)
	}
}

// A disk without room is told with a remedy, and stays what it was to whoever looks.
func TestNoRoom(t *testing.T) {
	var hint interface{ Hint() string }
	for err, full := range map[error]bool{syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EIO: false} {
		got := noRoom(&os.PathError{Op: "write", Path: "/images", Err: err}, "/images")
		if !errors.Is(got, err) || errors.As(got, &hint) != full || full && !strings.Contains(hint.Hint(), "/images") {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

// A full disk is an error, and leaves nothing. A limit of the size of files, which is one of a process, stands for the disk.
func TestFullDisk(t *testing.T) {
	if os.Getenv("IMAGE_TEST_LIMIT") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
		cmd.Env = append(os.Environ(), "IMAGE_TEST_LIMIT=8192")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir, s := grant(t), store(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 8192, Max: 8192}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Tree(context.Background(), Want{Path: dir, Owner: me()})
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("with files of at most 8 KiB: %v", err)
	}
	left, err := os.ReadDir(s.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the store: %v, %v", left, err)
	}
}

// The same files make the same initial file system, and folders come before what is in them.
func TestCPIO(t *testing.T) {
	var a, b strings.Builder
	files := []File{{"init", 0o555, []byte("x")}, {"modules/order", 0o444, []byte("abc\n")}}
	if err := errors.Join(writeCPIO(&a, files), writeCPIO(&b, files)); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() || len(a.String())%4 != 0 {
		t.Errorf("%d and %d bytes", a.Len(), b.Len())
	}
	if i, j := strings.Index(a.String(), "modules\x00"), strings.Index(a.String(), "modules/order\x00"); i < 0 || j < i || !strings.Contains(a.String(), "TRAILER!!!") {
		t.Errorf("in the wrong order: %q", a.String())
	}
}

// modules.dep(5) names what a module needs, the first to load last.
func TestDependencies(t *testing.T) {
	needs, at := dependencies("kernel/a.ko: kernel/b-c.ko kernel/d.ko\nkernel/b-c.ko: kernel/d.ko\nkernel/d.ko:\n")
	if at["b_c"] != "kernel/b-c.ko" || len(needs["kernel/a.ko"]) != 2 || len(needs["kernel/d.ko"]) != 0 {
		t.Errorf("%v, %v", needs, at)
	}
}

// A kernel is told from everything else, and one for another processor is refused by its name.
func TestKernelFormat(t *testing.T) {
	bz := make([]byte, 0x240)
	copy(bz[0x202:], "HdrS\x0f\x02")
	arm := make([]byte, 64)
	copy(arm[0x38:], "ARM\x64")
	for _, x := range []struct {
		data         string
		format, arch string
		bad          string
	}{
		{string(bz), "bzImage", "amd64", ""}, {string(arm), "Image", "arm64", ""}, {"#!/bin/sh\n", "", "", "no Linux kernel"}, {"", "", "", "no Linux kernel"},
		{"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00\x01", "ELF", "amd64", ""},
		{"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08\x00\x01", "", "", "another processor"},
	} {
		format, arch, err := kernelFormat(strings.NewReader(x.data))
		if format != x.format || arch != x.arch || (err == nil) != (x.bad == "") || err != nil && !strings.Contains(err.Error(), x.bad) {
			t.Errorf("%q is %q for %q, %v", x.data[:min(8, len(x.data))], format, arch, err)
		}
	}
}

// BenchmarkTree converts a tree of 200 files of 1 MiB and 2000 of 4 KiB.
func BenchmarkTree(b *testing.B) {
	dir := b.TempDir()
	var total int64
	for i := range 2200 {
		size := 4 << 10
		if i < 200 {
			size = 1 << 20
		}
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(i*j>>3 + j)
		}
		total += int64(size)
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(total)
	for b.Loop() {
		s := store(b)
		img, err := s.Tree(context.Background(), Want{Path: dir, Owner: me()})
		if err != nil {
			b.Fatal(err)
		}
		img.Close()
	}
}
