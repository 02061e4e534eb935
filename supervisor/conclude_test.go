package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/record"
)

// stuck is a sink that does not answer from its nth line on, until it is let go.
type stuck struct {
	takes int
	waits chan struct{} // closed when it does not answer
	gone  chan struct{} // closed to let it go
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.takes--; s.takes == -1 {
		close(s.waits)
		<-s.gone
	}
	return len(p), nil
}
func (s *stuck) Sync() error  { return nil }
func (s *stuck) Close() error { return nil }

// TestSignalsWhileClosing: the first signal is heeded where time can be saved, and told; a second one waits for nothing.
func TestSignalsWhileClosing(t *testing.T) {
	for _, twice := range []bool{false, true} {
		f := newFake()
		r := newRun(t, f, plain)
		s := &stuck{takes: 9, waits: make(chan struct{}), gone: make(chan struct{})} // at the event command
		signals := make(chan os.Signal)
		r.Signals, r.Outputs = signals, []evidence.Output{{Name: "event stream", Sink: s}}
		go func() {
			<-s.waits
			signals <- syscall.SIGTERM
			if twice {
				signals <- syscall.SIGINT
			} else {
				signals <- syscall.SIGWINCH // taken when the first one was
				close(s.gone)
			}
		}()
		end := do(t, r)
		if twice {
			if end.Code != 128+2 || end.Err == nil || !strings.Contains(end.Err.Error(), "second signal") || end.Record == "" {
				t.Errorf("twice: %+v", end)
			}
			close(s.gone)
			continue
		}
		if end.Code != 128+15 || end.Err == nil || !strings.Contains(end.Err.Error(), "while the record was written") {
			t.Errorf("once: %+v", end)
		}
		list := recorded(t, end)
		if short(list) != whole || !strings.Contains(data(t, list, evidence.TypeDestroyed), "signal 15") || !strings.Contains(data(t, list, evidence.TypeCommand), `"exited"`) {
			t.Errorf("%s\n%s", short(list), list[len(list)-1].Data)
		}
	}
}

// TestChangesAreCutShort: a signal while the changed files are read ends the list, which says so.
func TestChangesAreCutShort(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f := newFake()
	r := newRun(t, f, plain)
	signals := make(chan os.Signal)
	r.Signals = signals
	asked := 0
	f.changes = func() *os.File {
		if asked++; asked == 2 { // the first call asks whether there is a folder
			signals <- syscall.SIGHUP
			signals <- syscall.SIGWINCH
		}
		return d
	}
	end := do(t, r)
	got := data(t, recorded(t, end), evidence.TypeFiles)
	if end.Code != 128+1 || !strings.Contains(got, `"changes":[]`) || !strings.Contains(got, `"truncated":true`) {
		t.Errorf("%+v\n%s", end, got)
	}
}

// TestFailedSinkIsTold: the run's own record is closed, and says which sink failed.
func TestFailedSinkIsTold(t *testing.T) {
	types := strings.Fields(whole)
	for n := range len(types) - 1 {
		f := newFake()
		r := newRun(t, f, plain)
		r.Outputs = []evidence.Output{{Name: "event stream", Sink: &failing{n, errDisk}}}
		end := do(t, r)
		list := recorded(t, end)
		last := list[len(list)-1]
		if last.Type != evidence.TypeDestroyed || int(last.Count) != len(list) || !strings.Contains(string(last.Data), "event stream emit: the disk is on fire") {
			t.Errorf("after %d events: %s\n%s", n, short(list), last.Data)
		}
		if s := record.Read(end.Record); s.Status != record.Complete || s.Outcome != "failed" || !errors.Is(end.Err, errDisk) {
			t.Errorf("after %d events: %+v, %v", n, s, end.Err)
		}
	}
}
