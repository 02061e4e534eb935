package evidence_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cellos.io/cellos/evidence"
)

// TestSharedFile: whoever appends to one file at once, no line is lost or torn, and each writer's stay in order. Every writer has an
// open file of its own, as a process has, which is what flock(2) goes by; long lines do not fit into one page.
func TestSharedFile(t *testing.T) {
	const writers, each = 32, 50
	path := filepath.Join(t.TempDir(), "events")
	var g sync.WaitGroup
	for w := range writers {
		g.Go(func() {
			s, err := evidence.OpenShared(path, 0o666)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for i := range each {
				line := fmt.Sprintf("%d %d %s\n", w, i, strings.Repeat(string(rune('a'+w%26)), i*200))
				if n, err := s.Write([]byte(line)); n != len(line) || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
	g.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next := map[int]int{}
	for line := range strings.Lines(string(text)) {
		var w, i int
		if n, _ := fmt.Sscanf(line, "%d %d", &w, &i); n != 2 || i != next[w] || strings.Count(line, string(rune('a'+w%26))) != i*200 {
			t.Fatalf("line %q of writer %d, want its line %d", line[:min(len(line), 40)], w, next[w])
		}
		next[w]++
	}
	for w := range writers {
		if next[w] != each {
			t.Errorf("writer %d has %d lines", w, next[w])
		}
	}
}

// TestSharedFileAfterACrash: what is behind the part of a line that a killed process left begins on a line of its own.
func TestSharedFileAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(path, []byte("whole\n{\"half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := evidence.OpenShared(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if _, err := s.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
	}
	if text, _ := os.ReadFile(path); string(text) != "whole\n{\"half\nline\nline\n" {
		t.Errorf("%q", text)
	}
}

// TestLockThatIsKept: a process that keeps the file locked for ever does not hold the run up for ever.
func TestLockThatIsKept(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for ten seconds")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events")
	other, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	s, err := evidence.OpenShared(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Write([]byte("line\n")); n != 0 || err == nil || !strings.Contains(err.Error(), "another process keeps it locked") {
		t.Errorf("%d, %v", n, err)
	}
}

// onSmallDisk runs the calling test again, in namespaces of its own, with a file system of the given size at the folder that it returns
// there. In the test itself it returns "".
func onSmallDisk(t *testing.T, size int) string {
	t.Helper()
	if dir := os.Getenv("SMALL_DISK"); dir != "" {
		return dir
	}
	dir := t.TempDir()
	script := `mount -t tmpfs -o size=` + strconv.Itoa(size) + ` tmpfs "$SMALL_DISK" && exec "$@"`
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "SMALL_DISK="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("it did not run:\n%s", out)
	}
	return ""
}

// TestRealFullDisk: a line that does not fit is an error and not half a line, on a disk that really is full; with room again the next one follows.
func TestRealFullDisk(t *testing.T) {
	dir := onSmallDisk(t, 16<<10)
	if dir == "" {
		return
	}
	for name, open := range map[string]func(string, os.FileMode) (*evidence.File, error){"own": evidence.OpenFile, "shared": evidence.OpenShared} {
		path, ballast := filepath.Join(dir, name), filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 6<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := open(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		line := []byte(strings.Repeat("x", 2999) + "\n")
		taken := 0
		for {
			n, err := s.Write(line)
			if err != nil {
				if n != 0 || !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "sink full: writing "+path) {
					t.Errorf("%s: %d, %v", name, n, err)
				}
				break
			}
			taken++
		}
		if text, _ := os.ReadFile(path); taken == 0 || !bytes.Equal(text, bytes.Repeat(line, taken)) {
			t.Errorf("%s: after %d lines the file has %d bytes", name, taken, len(text))
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(line); err != nil {
			t.Errorf("%s: with room again: %v", name, err)
		}
		if text, _ := os.ReadFile(path); !bytes.Equal(text, bytes.Repeat(line, taken+1)) {
			t.Errorf("%s: with room again the file has %d bytes", name, len(text))
		}
		s.Close()
		os.Remove(path)
	}
}

// TestHeldOnAFullDisk: a stream that is held waits for room, and then has every event, once and in order.
func TestHeldOnAFullDisk(t *testing.T) {
	dir := onSmallDisk(t, 32<<10)
	if dir == "" {
		return
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 24<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "events")
	f, err := evidence.OpenShared(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: "i"}, Behind: true, Outputs: []evidence.Output{{Name: "mirror", Sink: f}}})
	if err != nil {
		t.Fatal(err)
	}
	var told []error
	s.Hold(func(err error) {
		told = append(told, err)
		if err != nil {
			os.Remove(ballast)
		}
	})
	const events = 60
	for i := range events {
		if _, err := s.Append("test", note(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || !errors.Is(told[0], syscall.ENOSPC) || told[1] != nil {
		t.Errorf("told %v", told)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var n uint64
	for e, err := range evidence.ReadEvents(r) {
		if n++; err != nil || e.Sequence != n {
			t.Fatalf("event %d: %+v, %v", n, e, err)
		}
	}
	if n != events {
		t.Errorf("%d of %d events", n, events)
	}
}

// late is a sink that takes lines along, and fails to deliver them for some time.
type late struct {
	bytes.Buffer
	held  []byte
	fails int
}

func (l *late) Write(line []byte) (int, error) {
	l.held = append(l.held, line...)
	return len(line), nil
}

func (l *late) Flush() error {
	if l.fails--; l.fails >= 0 {
		return errors.New("not yet")
	}
	l.Buffer.Write(l.held)
	l.held = nil
	return nil
}

func (l *late) Sync() error  { return nil }
func (l *late) Close() error { return nil }

// TestFlush: Sync means delivered, for sinks that take lines along too; a failure to deliver is that of the stream, unless it is held.
func TestFlush(t *testing.T) {
	for _, behind := range []bool{true, false} {
		open := func(l *late) *evidence.Stream {
			s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: "i"}, Behind: behind, Outputs: []evidence.Output{{Name: "x", Sink: l}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		}
		good := &late{}
		s := open(good)
		for i := range 10 {
			if _, err := s.Append("test", note(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Sync(); err != nil || bytes.Count(good.Bytes(), []byte("\n")) != 10 {
			t.Errorf("behind %v: %d lines, %v", behind, bytes.Count(good.Bytes(), []byte("\n")), err)
		}
		s = open(&late{fails: 1})
		_, err := s.Append("test", note(1))
		err = errors.Join(err, s.Sync())
		<-s.Failed()
		if err == nil || !strings.Contains(err.Error(), "x emit: not yet") {
			t.Errorf("behind %v: %v", behind, err)
		}
		held := &late{fails: 3}
		s = open(held)
		s.Hold(func(error) {})
		if _, err := s.Append("test", note(1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(); err != nil || held.Len() == 0 {
			t.Errorf("behind %v, held: %d bytes, %v", behind, held.Len(), err)
		}
	}
}
