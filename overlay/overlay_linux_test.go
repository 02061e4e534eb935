package overlay

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain is also the supervisor's side of TestRealOverlay, which the test starts in namespaces of its own.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CELLOS_TEST_OVERLAY"); dir != "" {
		if err := realOverlay(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func sum(s string) string { b := sha256.Sum256([]byte(s)); return hex.EncodeToString(b[:]) }

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(name, text string, mode os.FileMode) error {
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Chmod(name, mode)
}

// lines prints a list, one change a line; digests are cut.
func lines(l List) string {
	var b strings.Builder
	for _, c := range l.Changes {
		fmt.Fprintf(&b, "%s %q", c.What, c.Path)
		if c.Kind != Gone {
			fmt.Fprintf(&b, " %s %04o", c.Kind, c.Mode)
		}
		if c.SHA256 != "" {
			fmt.Fprintf(&b, " %d %.8s", c.Size, c.SHA256)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func changes(t testing.TB, upper, lower string, l Limits) List {
	t.Helper()
	d, err := os.Open(upper)
	must(t, err)
	defer d.Close()
	list, err := Changes(d, lower, l)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func opaque(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Setxattr(dir, "user.overlay.opaque", []byte("y"), 0); err != nil {
		t.Skipf("no user extended attributes on %s: %v", filepath.Dir(dir), err)
	}
}

func TestChanges(t *testing.T) {
	lower, upper := t.TempDir(), t.TempDir()
	lo := func(n string) string { return filepath.Join(lower, n) }
	up := func(n string) string { return filepath.Join(upper, n) }
	for _, d := range []string{"kept", "kept/deep", "again", "was-file-now-link"} {
		must(t, os.MkdirAll(lo(d), 0o755))
	}
	for _, f := range []string{"kept/old", "kept/deep/old", "again/old", "gone", "same", "was-file"} {
		must(t, write(lo(f), "old", 0o644))
	}
	must(t, os.MkdirAll(up("kept/deep"), 0o755), os.MkdirAll(up("made/in"), 0o755), os.Mkdir(up("again"), 0o755), os.Mkdir(up("was-file"), 0o700))
	must(t, os.Chmod(up("made"), 0o755), os.Chmod(up("made/in"), 0o750), os.Chmod(up("again"), 0o755))
	must(t, write(up("kept/old"), "new", 0o640), write(up("kept/deep/more"), "more", 0o4755), write(up("made/in/x"), "", 0o600), write(up("again/old"), "again", 0o644))
	must(t, write(up("new\nline"), "1", 0o600), write(up("bad\xff\xfeutf"), "2", 0o600), write(up(" "), "3", 0o600), write(up("..."), "4", 0o600), write(up("-rf"), "5", 0o600))
	must(t, os.Symlink("/etc/passwd", up("to-passwd")), os.Symlink("../../../../etc/shadow", up("made/up")), os.Symlink("made", up("to-folder")),
		os.Symlink("loop", up("loop")), os.Symlink("x", up("was-file-now-link")), os.Symlink(strings.Repeat("n", 4000), up("far")))
	must(t, syscall.Mkfifo(up("fifo"), 0o600))
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	must(t, err)
	defer syscall.Close(fd)
	must(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: up("socket")}), os.Chmod(up("socket"), 0o755))
	whiteouts := syscall.Mknod(up("gone"), syscall.S_IFCHR, 0) == nil && syscall.Mknod(up("kept/deep/old"), syscall.S_IFCHR, 0) == nil
	opaque(t, up("again"))
	opaque(t, up("was-file"))
	want := `created " " file 0600 1 4e074085
created "-rf" file 0600 1 ef2d127d
created "..." file 0600 1 4b227777
modified "again" directory 0755
created "again/old" file 0644 5 ` + sum("again")[:8] + `
created "bad\xff\xfeutf" file 0600 1 d4735e3a
created "far" symlink 0777 4000 ` + sum(strings.Repeat("n", 4000))[:8] + `
created "fifo" fifo 0600
`
	if whiteouts {
		want += `deleted "gone"
`
	}
	want += `created "kept/deep/more" file 0755 4 ` + sum("more")[:8] + `
`
	if whiteouts {
		want += `deleted "kept/deep/old"
`
	}
	want += `modified "kept/old" file 0640 3 ` + sum("new")[:8] + `
created "loop" symlink 0777 4 ` + sum("loop")[:8] + `
created "made" directory 0755
created "made/in" directory 0750
created "made/in/x" file 0600 0 e3b0c442
created "made/up" symlink 0777 22 ` + sum("../../../../etc/shadow")[:8] + `
created "new\nline" file 0600 1 6b86b273
created "socket" socket 0755
created "to-folder" symlink 0777 4 ` + sum("made")[:8] + `
created "to-passwd" symlink 0777 11 ` + sum("/etc/passwd")[:8] + `
modified "was-file" directory 0700
modified "was-file-now-link" symlink 0777 1 ` + sum("x")[:8] + `
`
	list := changes(t, upper, lower, Limits{})
	if got := lines(list); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if list.Total != len(list.Changes) {
		t.Errorf("%d of %d", len(list.Changes), list.Total)
	}
}

// TestPlainFolder: without a lower layer everything was created, also where the host has something of that name.
func TestPlainFolder(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "etc"), 0o755), write(filepath.Join(dir, "etc/passwd"), "x", 0o600))
	if got, want := lines(changes(t, dir, "", Limits{})), "created \"etc\" directory 0755\ncreated \"etc/passwd\" file 0600 1 "+sum("x")[:8]+"\n"; got != want {
		t.Errorf("got %s", got)
	}
	if l := changes(t, t.TempDir(), "", Limits{}); l.Total != 0 || len(l.Changes) != 0 {
		t.Errorf("an empty folder: %+v", l)
	}
}

// TestUnreadable: what the command made unreadable for itself is listed all the same, and with the mode it had.
func TestUnreadable(t *testing.T) {
	for _, mode := range []os.FileMode{0o000, 0o100, 0o200, 0o300, 0o400, 0o600, 0o700} {
		dir := t.TempDir()
		in := filepath.Join(dir, "folder")
		must(t, os.Mkdir(in, 0o700), write(filepath.Join(in, "file"), "secret", mode), os.Mkdir(filepath.Join(in, "sub"), 0o700), write(filepath.Join(in, "sub/file"), "deep", 0o600),
			os.Chmod(filepath.Join(in, "sub"), mode), os.Chmod(in, mode))
		t.Cleanup(func() { os.Chmod(in, 0o700); os.Chmod(filepath.Join(in, "sub"), 0o700) })
		d, err := os.Open(dir)
		must(t, err)
		list, err := Changes(d, "", Limits{})
		d.Close()
		want := fmt.Sprintf("created \"folder\" directory %04o\ncreated \"folder/file\" file %04o 6 %.8s\ncreated \"folder/sub\" directory %04o\ncreated \"folder/sub/file\" file 0600 4 %.8s\n",
			mode, mode, sum("secret"), mode, sum("deep"))
		if got := lines(list); err != nil || got != want {
			t.Errorf("mode %04o: %v\n%s", mode, err, got)
		}
	}
}

func TestLimit(t *testing.T) {
	dir := t.TempDir()
	const n = 20000
	one := filepath.Join(t.TempDir(), "file") // with 20,000 names, which are faster to make than files
	must(t, write(one, "", 0o600))
	for i := range n {
		if i%1000 == 0 {
			must(t, os.Mkdir(filepath.Join(dir, fmt.Sprintf("d%02d", i/1000)), 0o755))
		}
		must(t, os.Link(one, filepath.Join(dir, fmt.Sprintf("d%02d/%d", i/1000, i))))
	}
	for _, c := range []struct{ max, listed int }{{0, 10000}, {7, 7}, {1 << 30, n + 20}} {
		l := changes(t, dir, "", Limits{Entries: c.max})
		if l.Total != n+20 || len(l.Changes) != c.listed {
			t.Errorf("limit %d: %d of %d", c.max, len(l.Changes), l.Total)
		}
		for i := 1; i < len(l.Changes); i++ {
			if filepath.Dir(l.Changes[i].Path) == filepath.Dir(l.Changes[i-1].Path) && l.Changes[i].Path <= l.Changes[i-1].Path {
				t.Fatalf("%q comes after %q", l.Changes[i].Path, l.Changes[i-1].Path)
			}
		}
	}
}

// TestOrder: a name that sorts before the slash must not come between a folder and what is in it.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o755), write(filepath.Join(dir, "a/x"), "", 0o600), write(filepath.Join(dir, "a-b"), "", 0o600), write(filepath.Join(dir, "A"), "", 0o600))
	var got []string
	for _, c := range changes(t, dir, "", Limits{}).Changes {
		got = append(got, c.Path)
	}
	if s := strings.Join(got, " "); s != "A a a/x a-b" {
		t.Errorf("order %s", s)
	}
}

// TestDeepFolders: a command can nest folders; all are counted.
func TestDeepFolders(t *testing.T) {
	dir := t.TempDir()
	const depth = 300
	fd, err := syscall.Open(dir, syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	must(t, err)
	for range depth {
		must(t, syscall.Mkdirat(fd, "d", 0o755))
		next, err := syscall.Openat(fd, "d", syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
		must(t, err)
		syscall.Close(fd)
		fd = next
	}
	syscall.Close(fd)
	for _, c := range []struct {
		limits        Limits
		total, listed int
		deeper        bool
	}{
		{Limits{}, 256, 256, true}, {Limits{Depth: 5}, 5, 5, true}, {Limits{Depth: depth}, depth, depth, true}, {Limits{Depth: depth + 1}, depth, depth, false},
		{Limits{Depth: depth + 1, Entries: 5}, depth, 5, false},
	} {
		if l := changes(t, dir, "", c.limits); l.Total != c.total || len(l.Changes) != c.listed || l.Deeper != c.deeper {
			t.Errorf("%+v: %d of %d, deeper %v", c.limits, len(l.Changes), l.Total, l.Deeper)
		}
	}
}

// TestBytes: what is read for digests is bounded, holes included, and what lies beyond is listed without one.
func TestBytes(t *testing.T) {
	dir := t.TempDir()
	for i, n := range []int64{10, 1 << 40, 10, 11, 0} {
		name := filepath.Join(dir, fmt.Sprint(i))
		must(t, write(name, "", 0o600), os.Truncate(name, n))
	}
	digests := func(l List) (s string) {
		for _, c := range l.Changes {
			s += map[bool]string{true: "-", false: "x"}[c.SHA256 == ""]
		}
		return s
	}
	for limit, want := range map[int64]string{0: "x-xxx", 20: "x-x-x", 19: "x---x", 30: "x-x-x", 31: "x-xxx"} {
		l := changes(t, dir, "", Limits{Bytes: limit})
		if got := digests(l); got != want || l.Total != 5 || l.Changes[1].Size != 1<<40 {
			t.Errorf("limit %d: %s, want %s (%+v)", limit, got, want, l)
		}
	}
}
