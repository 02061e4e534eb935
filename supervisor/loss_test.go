package supervisor

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/stream"
)

// watching is a life whose command runs, with its events in sink.
func watching(t *testing.T, f *fake, sink evidence.Sink) *life {
	t.Helper()
	events, err := evidence.Open(evidence.Config{
		Run: evidence.Run{ID: evidence.NewID()}, Behind: true, Outputs: []evidence.Output{{Name: "primary sink", Sink: sink}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { events.Close() })
	l := &life{Run: Run{Plan: &plan.Plan{}}, cell: f, relay: new(stream.Relay), events: events, release: func() {}}
	l.Plan.Limits.Wall = time.Minute
	return l
}

// A fragile sink takes nothing until it is mended.
type fragile struct {
	mu     sync.Mutex
	mended bool
	lines  []string
}

func (s *fragile) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mended {
		return 0, errors.New("it is broken")
	}
	s.lines = append(s.lines, string(line))
	return len(line), nil
}

func (s *fragile) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mended = true
}

func (s *fragile) Sync() error  { return nil }
func (s *fragile) Close() error { return nil }

// TestLossKills: a required sink that fails while the command runs ends the command, and the run says why.
func TestLossKills(t *testing.T) {
	f := newFake()
	f.runs = true
	l := watching(t, f, &fragile{})
	go l.append(evidence.Other{EventType: "x"})
	err := l.watch(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "its evidence cannot be written: primary sink emit: it is broken") {
		t.Errorf("%v", err)
	}
	if !f.did("signal 9 true") {
		t.Errorf("asked %v", f.log)
	}
}

// TestLossBlocks: with Held the cell is stopped while the sink takes nothing, goes on with it, and nothing is lost.
func TestLossBlocks(t *testing.T) {
	f := newFake()
	f.runs = true
	sink := &fragile{}
	l := watching(t, f, sink)
	l.Held = func(err error) {
		if err != nil {
			if !f.did("signal 19 true") || f.did("signal 18 true") {
				t.Errorf("asked %v when the cell was to be stopped", f.log)
			}
			sink.mend()
		} else {
			if !f.did("signal 18 true") {
				t.Errorf("asked %v when the cell was to go on", f.log)
			}
			f.end(0)
		}
	}
	l.release = l.events.Hold(l.held)
	for range 3 {
		if err := l.append(evidence.Other{EventType: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.watch(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := l.events.Sync(); err != nil || len(sink.lines) != 3 {
		t.Errorf("%d of 3 events, %v", len(sink.lines), err)
	}
}

// TestEndOfAStoppedCell: a cell that is stopped for a sink can be ended, and then the events are lost for that sink and the run says so.
func TestEndOfAStoppedCell(t *testing.T) {
	f := newFake()
	f.runs = true
	f.reacts[15] = true
	l := watching(t, f, &fragile{})
	ask := make(chan os.Signal, 1)
	l.Signals = ask
	l.Held = func(err error) {
		if err != nil {
			ask <- syscall.SIGTERM
		}
	}
	l.release = l.events.Hold(l.held)
	go l.append(evidence.Other{EventType: "x"})
	if err := l.watch(t.Context(), nil); err == nil {
		t.Error("no error")
	}
	var lost *evidence.SinkError
	if err := l.events.Sync(); !errors.As(err, &lost) {
		t.Errorf("the loss is not told: %v", err)
	}
}
