package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests of this file hand something to a cell as its caller would, run testdata/escape/given inside, and look from outside at what was
// handed over. A verdict inside matters only where nothing can be seen outside.

// givenProbe builds the program once. It is static, so that it runs whatever the cell shows.
var givenProbe = sync.OnceValues(func() (string, error) {
	out := filepath.Join(filepath.Dir(binary), "given")
	text, err := exec.Command("gcc", "-static", "-O1", "-o", out, "testdata/escape/given/given.c").CombinedOutput()
	if err != nil {
		return string(text), err
	}
	return out, nil
})

// A givenCell runs the program in a cell; its verdicts come through a folder of their own, because the streams are what is tried.
type givenCell struct {
	*bench
	folder string
	flags  []string
}

func newGiven(t *testing.T, u user) givenCell {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed")
	}
	program, err := givenProbe()
	if err != nil {
		t.Fatalf("building testdata/escape/given: %v\n%s", err, program)
	}
	folder := newBench(t, u).dir
	return givenCell{newBench(t, u), folder, []string{"run", "--exec", program + ":/given/probe", "--write", folder + ":/verdicts"}}
}

// attempt prepares a group of the program, with its outputs lost until a test sets them.
func (g givenCell) attempt(group string, args ...string) *exec.Cmd {
	return g.command(slices.Concat(g.flags, []string{"--", "/given/probe", "/verdicts/" + group, group}, args)...)
}

// verdicts reads what a group reported: name to "ok" or the name of an error. It is empty if the cell was refused.
func (g givenCell) verdicts(group string) map[string]string {
	text, _ := os.ReadFile(filepath.Join(g.folder, group))
	got := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[name] = v
	}
	return got
}

// want demands verdicts, "A|B" for one of several.
func (g givenCell) want(group, verdicts, names string) {
	g.t.Helper()
	got := g.verdicts(group)
	for name := range strings.FieldsSeq(names) {
		if v := got[name]; v == "" || !strings.Contains("|"+verdicts+"|", "|"+v+"|") {
			g.t.Errorf("%s: %q, want %s", name, v, verdicts)
		}
	}
}

// rawPipe makes a pipe in blocking mode that belongs to a user, as a pipe of that user's shell does.
func rawPipe(t *testing.T, u user) (r, w *os.File) {
	t.Helper()
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(p[0]), "read end"), os.NewFile(uintptr(p[1]), "write end")
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := syscall.Fchown(p[0], u.uid, u.uid); err != nil {
		t.Fatal(err)
	}
	return r, w
}

// statusFlags returns the flags of an open file description, which everybody who holds a descriptor of it shares.
func statusFlags(t *testing.T, f *os.File) int {
	t.Helper()
	flags, _, e := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
	if e != 0 {
		t.Fatal(e)
	}
	return int(flags)
}

// drain reads what is in a pipe without waiting for more.
func drain(t *testing.T, r *os.File) string {
	t.Helper()
	if err := syscall.SetNonblock(int(r.Fd()), true); err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for buf := make([]byte, 4096); ; {
		n, err := syscall.Read(int(r.Fd()), buf)
		if err != nil || n <= 0 {
			return s.String()
		}
		s.Write(buf[:n])
	}
}

// TestPipesOfTheCaller: a pipe has two ends and one inode, so /proc/self/fd opens the other end of what a cell was given. Into the input of
// a shell script that comes through a pipe, the command could write what the shell runs next, outside; from an output it could take what
// others wrote.
func TestPipesOfTheCaller(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		g := newGiven(t, u)
		in, typed := rawPipe(t, u)
		out, toOut := rawPipe(t, u)
		errs, toErr := rawPipe(t, u)
		for _, w := range []*os.File{toOut, toErr} {
			if _, err := w.WriteString("of another program\n"); err != nil {
				t.Fatal(err)
			}
		}
		c := g.attempt("pipes")
		c.Stdin, c.Stdout, c.Stderr = in, toOut, toErr
		g.run(c)
		flags := map[string]int{"input": statusFlags(t, in), "output": statusFlags(t, toOut), "error": statusFlags(t, toErr)}
		for name, f := range flags {
			if f&syscall.O_NONBLOCK != 0 {
				t.Errorf("the caller's %s does not block any more", name)
			}
		}
		typed.Close()
		if text := drain(t, in); text != "" {
			t.Errorf("the command typed %q into the caller's input", text)
		}
		for name, r := range map[string]*os.File{"output": out, "error": errs} {
			if text := drain(t, r); !strings.HasPrefix(text, "of another program\n") {
				t.Errorf("the command took from the caller's %s: %q is left", name, text)
			}
		}
	})
}

// TestAScriptFromAPipe is the same as a caller meets it.
func TestAScriptFromAPipe(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		in, typed := rawPipe(t, u)
		script := binary + " run -q -- sh -c 'echo \"echo injected\" > /proc/self/fd/0'\necho next\n"
		if _, err := typed.WriteString(script); err != nil {
			t.Fatal(err)
		}
		typed.Close()
		c := b.command()
		c.Path, c.Args = "/bin/sh", []string{"sh"}
		c.Stdin = in
		if r := b.run(c); strings.Contains(r.out, "injected") {
			t.Errorf("the shell outside ran what the command inside wrote: %q", r.out)
		}
	})
}

// TestFilesOfTheCaller: a descriptor opened for reading, or for appending, can do more than that to the file of its user.
func TestFilesOfTheCaller(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		g := newGiven(t, u)
		in, err := os.Open(g.write("in", "0123456789", 0o600))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		log, err := os.OpenFile(g.write("log", "kept\n", 0o600), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		times := map[string]time.Time{}
		for _, f := range []*os.File{in, log} {
			fi, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			times[f.Name()] = fi.ModTime()
		}
		c := g.attempt("regular")
		c.Stdin, c.Stdout = in, log
		g.run(c)
		for _, f := range []*os.File{in, log} {
			fi, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if fi.Mode() != 0o600 {
				t.Errorf("%s is %v now", filepath.Base(f.Name()), fi.Mode())
			}
			if fi.ModTime().Before(times[f.Name()]) {
				t.Errorf("%s is of %v now", filepath.Base(f.Name()), fi.ModTime())
			}
		}
		if n, err := in.Seek(0, 1); err != nil || n == 7 {
			t.Errorf("the command set where the caller reads on: %d, %v", n, err)
		}
		if text, err := os.ReadFile(log.Name()); err != nil || !strings.HasPrefix(string(text), "kept\n") {
			t.Errorf("the log that was appended to is %q, %v", text, err)
		}
		if statusFlags(t, log)&syscall.O_APPEND == 0 {
			t.Error("the caller's log is not appended to any more")
		}
		if n, err := syscall.Getxattr(in.Name(), "user.cell", make([]byte, 8)); err == nil {
			t.Errorf("the input has an attribute of the command's, %d bytes", n)
		}
	})
}

// TestAFolderAsInput: Landlock forbids to open what is in it, but not to change modes and times, nor to look around in the host's tree.
func TestAFolderAsInput(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		g := newGiven(t, u)
		other := newBench(t, u)
		file := other.write("file", "of the host", 0o600)
		dir, err := os.Open(other.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		c := g.attempt("folder", "file")
		c.Stdin = dir
		if r := g.run(c); r.code == 0 { // else refused, which is well, too
			g.want("folder", "ENOTDIR|EBADF|EACCES|EPERM|ENOENT|ENXIO", "stat stat-up open create link rename unlink chmod utime xattr enter enter-up")
		}
		after, err := os.Stat(file)
		if err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("a file beside the input was %v of %v, is %v of %v, %v", before.Mode(), before.ModTime(), after.Mode(), after.ModTime(), err)
		}
		if names, err := os.ReadDir(other.dir); err != nil || len(names) != 1 {
			t.Errorf("in the input's folder are %v, %v", names, err)
		}
	})
}
