package record

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
)

// TestMain turns the test program into a run that dies with its lock held, for TestCrashedRun.
func TestMain(m *testing.M) {
	if state := os.Getenv("CELLOS_TEST_CRASHING_RUN"); state != "" {
		crash(state)
	}
	os.Exit(m.Run())
}

func crash(state string) {
	d, err := Create(state, "11111111-0000-4000-8000-000000000000", at(3))
	if err == nil {
		_, err = d.Scratch()
	}
	if err == nil {
		err = write(d, false)
	}
	fmt.Println("ready", err)
	os.Stdin.Read(make([]byte, 1)) // until the parent kills it, or dies
	os.Exit(3)
}

func at(minute int) time.Time { return time.Date(2026, 11, 23, 9, minute, 33, 0, time.UTC) }

func write(d *Dir, finish bool) error {
	s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: "run-" + d.ID(), CellID: "c", SpecID: "spec-1", RunID: "r"},
		Outputs: []evidence.Output{{Name: "run record", Sink: d.Events()}}, Now: func() time.Time { return at(30) }})
	if err != nil {
		return err
	}
	if _, err := s.Append(evidence.SourceSupervisor, evidence.NetworkScope{}); err != nil {
		return err
	}
	if finish {
		if _, err := s.Finish(evidence.SourceSupervisor, evidence.Destroyed{Reason: "why"}); err != nil {
			return err
		}
	}
	return s.Close()
}

func TestCreate(t *testing.T) {
	state := t.TempDir()
	d, err := Create(state, "3f9a1c2e-0000-4000-8000-000000000000", at(12))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.ID() != "20261123T091233.000000Z-3f9a1c2e" || d.Path() != filepath.Join(state, "runs", d.ID()) {
		t.Errorf("id %s, path %s", d.ID(), d.Path())
	}
	if err := errors.Join(d.WriteFile(DocumentFile, []byte("{}")), d.WriteFile(PlanText, []byte("plan")), write(d, true), d.Sync()); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteFile(DocumentFile, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("writing the document twice: %v", err)
	}
	for _, name := range []string{"../x", "a/b", "", "/etc/x"} {
		if err := d.WriteFile(name, nil); err == nil {
			t.Errorf("writing %q is accepted", name)
		}
	}
	for name, want := range map[string]fs.FileMode{".": 0o700, DocumentFile: 0o600, EventsFile: 0o600, "..": 0o700} {
		if i, err := os.Stat(filepath.Join(d.Path(), name)); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, i.Mode(), err, want)
		}
	}
	if _, err := Create(state, "3f9a1c2e-0000-4000-8000-000000000000", at(12)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the same run twice: %v", err)
	}
	for _, id := range []string{"", "short", "../../../x", "........"} {
		if _, err := Create(state, id, at(12)); err == nil {
			t.Errorf("identity %q is accepted", id)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(state, "runs", ".*")); left != nil {
		t.Errorf("left over: %v", left)
	}
	s, err := d.Scratch()
	if err != nil || os.WriteFile(filepath.Join(s, "x"), nil, 0o600) != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.RemoveScratch(), d.RemoveScratch(), d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}

func TestListAndFind(t *testing.T) {
	state := t.TempDir()
	if l, err := List(state); err != nil || len(l) != 0 {
		t.Errorf("empty state: %v, %v", l, err)
	}
	make := func(run string, minute int, finish bool) *Dir {
		d, err := Create(state, run, at(minute))
		if err == nil && run[0] != 'e' {
			err = write(d, finish)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	done, open, live, empty, bad := make("aaaaaaaa", 1, true), make("aaaabbbb", 2, false), make("cccccccc", 3, false), make("eeeeeeee", 4, false), make("dddddddd", 5, true)
	for _, d := range []*Dir{done, open, empty, bad} {
		d.Close()
	}
	if err := os.WriteFile(filepath.Join(bad.Path(), EventsFile), []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := List(state)
	if err != nil || len(list) != 5 {
		t.Fatalf("%v, %v", list, err)
	}
	for i, want := range []struct {
		d      *Dir
		status Status
		events uint64
	}{{bad, Unreadable, 0}, {empty, Empty, 0}, {live, Running, 1}, {open, Open, 1}, {done, Complete, 2}} {
		s := list[i]
		if s.ID != want.d.ID() || s.Status != want.status || s.Events != want.events || (s.Err != nil) != (s.Status == Unreadable) || s.Started.IsZero() {
			t.Errorf("%d: %+v, want %s %s", i, s, want.d.ID(), want.status)
		}
	}
	if s := list[4]; s.Outcome != "failed" || s.Reason != "why" || s.SpecID != "spec-1" || s.RunID != "r" || s.Run != "run-"+done.ID() || !s.Ended.Equal(at(30)) || s.LastType != evidence.TypeDestroyed {
		t.Errorf("complete: %+v", s)
	}
	for name, want := range map[string]*Dir{"last": bad, "cccc": live, live.ID(): live, "aaaaa": done, "20261123T0904": empty} {
		if p, err := Find(state, name); err != nil || p != want.Path() {
			t.Errorf("Find(%q) = %s, %v", name, p, err)
		}
	}
	var amb *AmbiguousError
	if _, err := Find(state, "aaaa"); !errors.As(err, &amb) || len(amb.IDs) != 2 {
		t.Errorf("ambiguous: %v", err)
	}
	for _, name := range []string{"", "zzz", "../x", ".."} {
		if p, err := Find(state, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Find(%q) = %s, %v", name, p, err)
		}
	}
}

// TestCrashedRun: a killed process leaves an open run, which Clean hands over; a live one is not touched.
func TestCrashedRun(t *testing.T) {
	state := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CELLOS_TEST_CRASHING_RUN="+state)
	in, _ := cmd.StdinPipe()
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready <nil>\n" {
		t.Fatalf("%q, %v", line, err)
	}
	collect := func() (got []Crashed) {
		t.Helper()
		if err := Clean(state, func(c Crashed) error { got = append(got, c); return nil }); err != nil {
			t.Error(err)
		}
		return got
	}
	if l, err := List(state); err != nil || len(l) != 1 || l[0].Status != Running {
		t.Errorf("alive: %+v, %v", l, err)
	}
	if got := collect(); got != nil {
		t.Errorf("alive, and cleaned: %+v", got)
	}
	cmd.Process.Kill()
	cmd.Wait()
	got := collect()
	if len(got) != 1 || got[0].Status != Open || got[0].Events != 1 || !strings.HasSuffix(got[0].Scratch, "/scratch") {
		t.Fatalf("after kill: %+v", got)
	}
	if err := Clean(state, func(c Crashed) error { return errors.Join(c.Dir.RemoveScratch(), errors.New("told")) }); err == nil || !strings.Contains(err.Error(), got[0].ID+": told") {
		t.Errorf("error of the callback: %v", err)
	}
	if got := collect(); len(got) != 1 || got[0].Scratch != "" {
		t.Errorf("scratch removed, chain open: %+v", got)
	}
}

func TestCleanUnfinished(t *testing.T) {
	state := t.TempDir()
	old, fresh, strange := newPrefix+"a", newPrefix+"b", newPrefix+"c"
	for _, n := range []string{old, fresh, strange} {
		p := filepath.Join(state, "runs", n)
		if err := errors.Join(os.MkdirAll(p, 0o700), os.WriteFile(filepath.Join(p, EventsFile), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	err := errors.Join(os.WriteFile(filepath.Join(state, "runs", strange, "x"), nil, 0o600), os.Chtimes(filepath.Join(state, "runs", old), long, long), os.Chtimes(filepath.Join(state, "runs", strange), long, long))
	if err != nil {
		t.Fatal(err)
	}
	if err := Clean(state, func(Crashed) error { return errors.New("called") }); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(state, "runs", newPrefix+"*"))
	if len(left) != 2 || filepath.Base(left[0]) != fresh || filepath.Base(left[1]) != strange {
		t.Errorf("left: %v", left)
	}
}

func TestStateDir(t *testing.T) {
	uid := os.Getuid()
	base := t.TempDir()
	env := func(kv ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == k {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	dir := func(name string, mode fs.FileMode) string {
		p := filepath.Join(base, name)
		if err := errors.Join(os.MkdirAll(p, 0o700), os.Chmod(p, mode)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	file := filepath.Join(base, "file")
	link := filepath.Join(base, "link")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(dir("target", 0o700), link)); err != nil {
		t.Fatal(err)
	}
	tmp, open := dir("tmp", 0o777), dir("open", 0o777)
	mine := fmt.Sprintf("cellos-%d", uid)
	for name, c := range map[string]struct {
		env        func(string) string
		uid        int
		temp, want string // want beginning with "!" is part of the error
	}{
		"given":        {env("CELLOS_STATE", base+"/new/deep", "XDG_STATE_HOME", base), uid, tmp, base + "/new/deep"},
		"readable":     {env("CELLOS_STATE", dir("readable", 0o755)), uid, tmp, base + "/readable"},
		"relative":     {env("CELLOS_STATE", "here"), uid, tmp, "!not an absolute path"},
		"link":         {env("CELLOS_STATE", link), uid, tmp, "!is a symbolic link"},
		"file":         {env("CELLOS_STATE", file), uid, tmp, "!is not a directory"},
		"below a file": {env("CELLOS_STATE", file+"/x"), uid, tmp, "!not a directory"},
		"writable":     {env("CELLOS_STATE", open), uid, tmp, "!has mode 0777"},
		"foreign":      {env("CELLOS_STATE", base+"/new"), uid + 1, tmp, fmt.Sprintf("!belongs to uid %d, not to %d", uid, uid+1)},
		"xdg":          {env("XDG_STATE_HOME", base+"/xdg", "HOME", base), uid, tmp, base + "/xdg/cellos"},
		"xdg relative": {env("XDG_STATE_HOME", "xdg", "HOME", base), uid, tmp, base + "/.local/state/cellos"},
		"home":         {env("HOME", base), uid, tmp, base + "/.local/state/cellos"},
		"bad home":     {env("HOME", file), uid, tmp, tmp + "/" + mine},
		"no home":      {env(), uid, tmp, tmp + "/" + mine},
		"temp, open":   {env(), uid, filepath.Dir(dir("t2/"+mine, 0o755)), "!has mode 0755; want 0700"},
	} {
		got, err := StateDir(c.env, c.uid, c.temp)
		if want, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s, %v, want an error with %q", name, got, err, want)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}
