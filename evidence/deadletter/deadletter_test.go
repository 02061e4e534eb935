package deadletter_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/deadletter"
)

func line(run string, seq int) []byte {
	e := evidence.Event{ID: evidence.NewID(), Source: "test", Type: "t", Time: time.Unix(1, 0), Data: []byte(`{"text":"é<\n"}`), Run: run, Sequence: uint64(seq)}
	return append(e.AppendJSON(nil), '\n')
}

func open(t *testing.T) (*deadletter.Dir, string) {
	t.Helper()
	path := t.TempDir()
	d, err := deadletter.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d, path
}

func files(t *testing.T, path string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestPutAndDeliver(t *testing.T) {
	d, path := open(t)
	var want [][]byte
	for i := range 5 {
		l := line("run-a", i+1)
		want = append(want, l)
		if err := d.Put(l, fmt.Errorf("it is %q", "down")); err != nil {
			t.Fatal(err)
		}
	}
	name := regexp.MustCompile(`^[0-9]{13}-[0-9a-f-]{36}\.jsonl$`)
	for _, f := range files(t, path) {
		if !name.MatchString(f) {
			t.Errorf("a file is named %s", f)
		}
		text, _ := os.ReadFile(filepath.Join(path, f))
		if !strings.HasPrefix(string(text), `{"error":"it is \"down\"","event":{"specversion"`) || !strings.HasSuffix(string(text), "}}\n") {
			t.Errorf("a letter is %s", text)
		}
	}
	letters, err := d.Letters()
	if err != nil || len(letters) != 5 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	for i, l := range letters {
		if string(l.Line) != string(want[i]) || l.Error != `it is "down"` || l.Run != "run-a" {
			t.Errorf("letter %d is %+v, want the line %s", i, l, want[i])
		}
	}
	for _, l := range letters[:2] {
		if err := d.Delivered(l); err != nil {
			t.Fatal(err)
		}
	}
	if letters, err = d.Letters(); err != nil || len(letters) != 3 || string(letters[0].Line) != string(want[2]) {
		t.Errorf("after two were delivered: %d, %v", len(letters), err)
	}
	if got := len(files(t, path)); got != 5 {
		t.Errorf("%d files: delivered letters stay", got)
	}
}

// TestSameMillisecond: one event that two sinks do not take leaves two letters.
func TestSameMillisecond(t *testing.T) {
	d, path := open(t)
	l := line("r", 1)
	for range 20 {
		if err := d.Put(l, errors.New("x")); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(files(t, path)); got != 20 {
		t.Errorf("%d of 20 letters", got)
	}
}

func TestNamesAreSafe(t *testing.T) {
	d, path := open(t)
	e := evidence.Event{ID: "../../etc/pass wd\n" + strings.Repeat("x", 300), Source: "s", Type: "t", Data: []byte("{}"), Run: "r", Sequence: 1}
	if err := d.Put(e.AppendJSON(nil), errors.New("x")); err != nil {
		t.Fatal(err)
	}
	if f := files(t, path); len(f) != 1 || !strings.Contains(f[0], "-.._.._etc_pass_wd_xx") {
		t.Errorf("%v", f)
	}
}

func TestUnusableFolders(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]error{filepath.Join(dir, "absent"): syscall.ENOENT, file: syscall.ENOTDIR}
	if os.Getuid() != 0 {
		closed := filepath.Join(dir, "closed")
		if err := os.Mkdir(closed, 0o500); err != nil {
			t.Fatal(err)
		}
		want[closed] = syscall.EACCES
	}
	for path, errno := range want {
		if _, err := deadletter.Open(path); !errors.Is(err, errno) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestForeignFiles: what is no letter is named, and keeps nobody from the letters.
func TestForeignFiles(t *testing.T) {
	d, path := open(t)
	if err := d.Put(line("r", 1), errors.New("x")); err != nil {
		t.Fatal(err)
	}
	good := files(t, path)[0]
	for name, text := range map[string]string{"1-a.jsonl": "", "2-b.jsonl": `{"error":"x"}`, "3-c.jsonl": `{"error":1,"event":[]}`, "4-d.jsonl": strings.Repeat("[", 100_000),
		"5-e.jsonl": strings.Repeat("x", 3<<20), ".new-123": "half", "note.txt": "x"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(good, filepath.Join(path, "6-link.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(path, "7-fifo.jsonl"), 0o600); err != nil {
		t.Fatal(err)
	}
	letters, err := d.Letters()
	if len(letters) != 1 || err == nil || strings.Count(err.Error(), "dead letter ") != 7 {
		t.Errorf("%d letters, %v", len(letters), err)
	}
}

// broken takes nothing.
type broken struct{ evidence.Sink }

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestBehind(t *testing.T) {
	d, path := open(t)
	s := deadletter.Behind(broken{evidence.WriterSink(nil)}, d)
	l := line("r", 1)
	if n, err := s.Write(l); n != len(l) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(l); err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "dead letter in") {
		t.Errorf("neither took it: %v", err)
	}
}
