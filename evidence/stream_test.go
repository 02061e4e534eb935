package evidence_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cellos.io/cellos/evidence"
)

func open(t *testing.T, outs ...evidence.Output) *evidence.Stream {
	t.Helper()
	s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: evidence.NewID(), CellID: "c", SpecID: "s", RunID: "r"}, Outputs: outs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func note(n int) evidence.Payload {
	return evidence.Other{EventType: "io.cellos.test", Members: map[string]any{"n": n}}
}

// TestConcurrentAppend: no gap, no line torn, the same bytes in every sink.
func TestConcurrentAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	file, err := evidence.OpenFile(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var mem bytes.Buffer
	s := open(t, evidence.Output{Name: "file", Sink: file}, evidence.Output{Name: "memory", Sink: evidence.WriterSink(&mem)})
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := s.Append("test", note(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last, err := s.Finish("test", note(-1))
	if err != nil || last.Count != writers*each+1 || s.Len() != last.Count {
		t.Fatalf("closing event: %v, %v", last.Count, err)
	}
	if _, err := s.Append("test", note(0)); !errors.Is(err, evidence.ErrFinished) {
		t.Errorf("after the end: %v", err)
	}
	if err := errors.Join(s.Sync(), s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(text, mem.Bytes()) {
		t.Errorf("the sinks differ: %d and %d bytes, %v", len(text), mem.Len(), err)
	}
	if i, _ := os.Stat(path); i.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", i.Mode())
	}
	next := uint64(1)
	for e, err := range evidence.ReadEvents(bytes.NewReader(text)) {
		if err != nil || e.Sequence != next || e.Run != last.Run || (e.Count != 0) != (e.Sequence == last.Count) {
			t.Fatalf("event %d: %+v, %v", next, e, err)
		}
		next++
	}
	if next != last.Count+1 {
		t.Errorf("%d events read", next-1)
	}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	full, err := evidence.OpenFile("/dev/full", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var mem bytes.Buffer
	s := open(t, evidence.Output{Name: "jsonl sink", Sink: full}, evidence.Output{Name: "memory", Sink: evidence.WriterSink(&mem)})
	_, err = s.Append("test", note(1))
	var se *evidence.SinkError
	if !errors.As(err, &se) || !errors.Is(err, syscall.ENOSPC) || err.Error() != "jsonl sink emit: sink full: writing /dev/full: no space left on device" {
		t.Errorf("got %v", err)
	}
	if _, again := s.Append("test", note(2)); !errors.Is(again, err) || s.Err() == nil || s.Sync() == nil {
		t.Errorf("the stream goes on as if nothing were wrong: %v", again)
	}
	if _, again := s.Finish("test", note(3)); !errors.Is(again, err) {
		t.Errorf("the closing event: %v", again)
	}
	// The sink that works has the whole run, for a reader of its own.
	n := uint64(0)
	for e, err := range evidence.ReadEvents(&mem) {
		if n++; err != nil || e.Sequence != n || (e.Count != 0) != (n == 3) {
			t.Errorf("event %d of the other sink: %+v, %v", n, e, err)
		}
	}
	if n != 3 || s.Len() != 3 {
		t.Errorf("%d events in the other sink, %d counted", n, s.Len())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := open(t, evidence.Output{Name: "standard output", Sink: evidence.WriterSink(w)})
	if _, err := s.Append("test", note(1)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := s.Append("test", note(2)); !errors.Is(err, syscall.EPIPE) || !strings.HasPrefix(err.Error(), "standard output emit: ") {
		t.Errorf("got %v", err)
	}
}

type brokenSink struct{ written, synced int }

func (b *brokenSink) Write(p []byte) (int, error) { b.written++; return 0, errors.New("down") }
func (b *brokenSink) Sync() error                 { b.synced++; return errors.New("down") }
func (b *brokenSink) Close() error                { return errors.New("down") }

func TestBestEffort(t *testing.T) {
	var mem bytes.Buffer
	var lost []string
	broken := &brokenSink{}
	s := open(t, evidence.Output{Name: "remote", Sink: broken, BestEffort: true, OnError: func(e evidence.Event, err error) { lost = append(lost, fmt.Sprint(e.Sequence, err)) }},
		evidence.Output{Name: "memory", Sink: evidence.WriterSink(&mem)})
	for i := range 2 {
		if _, err := s.Append("test", note(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Sync(), s.Close()); err != nil {
		t.Error(err)
	}
	if got := strings.Join(lost, ","); got != "1 down,2 down" || strings.Count(mem.String(), "\n") != 2 {
		t.Errorf("lost %q, kept %q", got, mem.String())
	}
}

func TestDurable(t *testing.T) {
	for _, durable := range []bool{false, true} {
		syncs := &countSink{}
		s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: "i"}, Durable: durable, Outputs: []evidence.Output{{Sink: syncs}}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if _, err := s.Append("test", note(i)); err != nil {
				t.Fatal(err)
			}
		}
		if want := map[bool]int{true: 3}[durable]; syncs.n != want {
			t.Errorf("durable %v: %d syncs, want %d", durable, syncs.n, want)
		}
	}
	s := open(t, evidence.Output{Name: "x", Sink: &brokenSink{}})
	if err := s.Close(); err == nil || err.Error() != "x emit: down" {
		t.Errorf("close: %v", err)
	}
}

type countSink struct {
	io.Writer
	n int
}

func (c *countSink) Write(p []byte) (int, error) { return len(p), nil }
func (c *countSink) Sync() error                 { c.n++; return nil }
func (c *countSink) Close() error                { return nil }

func TestTooLong(t *testing.T) {
	var mem bytes.Buffer
	s := open(t, evidence.Output{Name: "memory", Sink: evidence.WriterSink(&mem)})
	if _, err := s.Append("test", evidence.Completed{Argv: []string{strings.Repeat("x", evidence.MaxLine)}}); !errors.Is(err, evidence.ErrTooLong) {
		t.Fatalf("got %v", err)
	}
	if e, err := s.Append("test", note(1)); err != nil || e.Sequence != 1 {
		t.Errorf("the next event: %d, %v", e.Sequence, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	out := []evidence.Output{{Sink: evidence.WriterSink(io.Discard)}}
	for _, c := range []evidence.Config{{Outputs: out}, {Run: evidence.Run{ID: "i"}}} {
		if _, err := evidence.Open(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// TestRedactThenWrap: the transport event holds what was redacted, under the same number.
func TestRedactThenWrap(t *testing.T) {
	var mem bytes.Buffer
	s, err := evidence.Open(evidence.Config{
		Run: evidence.Run{ID: "i"}, Outputs: []evidence.Output{{Sink: evidence.WriterSink(&mem)}},
		Redact: func(typ string, data []byte) ([]byte, error) {
			return []byte(`{"n":"[redacted]"}`), nil
		},
		Wrap: func(in evidence.Event) (evidence.Event, error) {
			if in.Sequence != 0 || in.Run != "" {
				t.Errorf("the inner event has extension attributes: %+v", in)
			}
			out := in
			out.Type, out.Source = evidence.TypeSignedEnvelope, "/x"
			out.Data = append(append([]byte(`{"event":`), in.AppendJSON(nil)...), '}')
			return out, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Append("test", note(1))
	if err != nil || e.Type != evidence.TypeSignedEnvelope || e.Sequence != 1 || !bytes.Contains(e.Data, []byte(`"data":{"n":"[redacted]"}`)) {
		t.Errorf("got %+v, %v\n%s", e, err, e.Data)
	}
}

func TestNewID(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := evidence.NewID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}
