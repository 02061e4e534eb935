package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/eventtest"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/stream"
)

// A fake is a backend and its only cell. What its methods answer is set before the run; what they were asked is in log.
type fake struct {
	build, measure, release, wait error
	boundary                      cell.Boundary
	outcome                       cell.Outcome
	residue                       cell.Residue
	prints                        string          // written to standard output as soon as the command runs
	reacts                        map[int]bool    // signals that end the command; without SIGKILL it has to be destroyed
	runs                          bool            // the command ends only by a signal, or by Destroy
	onRelease                     func()          // called when the command starts
	onSignal                      func()          // called when a signal is asked for
	changes                       func() *os.File // the folder of changes

	mu      sync.Mutex
	log     []string
	streams cell.Streams
	ended   chan int // the signal that ended it
	once    sync.Once
	gone    bool
}

func newFake() *fake {
	return &fake{
		ended: make(chan int, 1), reacts: map[int]bool{9: true},
		boundary: cell.Boundary{Layers: []cell.Layer{{Name: "identity", Promised: "nobody", Outside: "uid 5", Holds: true}}, Caps: cell.Caps{}},
		residue:  cell.Residue{Checks: []cell.Check{{What: "processes"}}},
	}
}

func (f *fake) note(format string, a ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf(format, a...))
}

func (f *fake) did(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.log, what)
}

func (f *fake) Build(ctx context.Context, p *plan.Plan, s cell.Streams) (cell.Cell, error) {
	f.note("build")
	if f.build != nil {
		return nil, f.build
	}
	if s.Out != nil { // the cell's copy
		fd, err := syscall.Dup(int(s.Out.Fd()))
		if err != nil {
			return nil, err
		}
		f.streams.Out = os.NewFile(uintptr(fd), "out")
	}
	return f, nil
}

func (f *fake) PID() int { return 4242 }

func (f *fake) Measure(context.Context) (cell.Boundary, error) {
	f.note("measure")
	return f.boundary, f.measure
}

func (f *fake) Release(context.Context) error {
	f.note("release")
	if f.release == nil {
		go func() {
			if f.prints != "" {
				io.WriteString(f.streams.Out, f.prints)
			}
			if f.onRelease != nil {
				f.onRelease()
			}
			if !f.runs {
				f.end(0)
			}
		}()
	}
	return f.release
}

func (f *fake) end(sig int) {
	f.once.Do(func() {
		if f.streams.Out != nil {
			f.streams.Out.Close()
		}
		f.ended <- sig
	})
}

func (f *fake) Wait() (cell.Outcome, error) {
	f.note("wait")
	sig := <-f.ended
	if sig != 0 {
		return cell.Outcome{Code: -1, Signal: sig, Duration: time.Millisecond}, f.wait
	}
	return f.outcome, f.wait
}

func (f *fake) Signal(n int, every bool) error {
	f.note("signal %d %v", n, every)
	if f.onSignal != nil {
		f.onSignal()
	}
	if f.reacts[n] {
		f.end(n)
	}
	return nil
}

func (f *fake) Terminal() cell.Terminal { return nil }

func (f *fake) Changes() *os.File {
	if f.changes == nil {
		return nil
	}
	return f.changes()
}

func (f *fake) Destroy() cell.Residue {
	f.mu.Lock()
	first := !f.gone
	f.gone = true
	f.mu.Unlock()
	if first {
		f.note("destroy")
	}
	f.end(9)
	return f.residue
}

// plain is the document of the smallest useful run.
const plain = `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"vec-plain","authority":{"egressRules":[],"secretRefs":[]},"lifetime":{"ttlSeconds":60},"run":{"argv":["/bin/sh","-c","exit 0"],"secretDelivery":"env"}}}`

// newRun is a run of a document in a state directory of its own.
func newRun(t testing.TB, f *fake, text string) Run {
	t.Helper()
	doc, err := document.Parse("it.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := authority.Of(doc, authority.Place{WorkingDirectory: "/w"})
	if err != nil {
		t.Fatal(err)
	}
	return Run{
		Document: doc, Bytes: []byte(text), Authority: a, Backend: f, State: t.TempDir(), RunID: new("run-local-001"),
		Plan:  &plan.Plan{Backend: "process", Profile: "hardened", Limits: a.Limits, Work: a.Work, Promises: []plan.Promise{{Layer: "identity", What: "nobody"}}},
		Trust: Trust{KeysetID: evidence.DefaultKeysetID, ResolverKid: evidence.DefaultResolverKid},
	}
}

// do lives a run, and fails the test where it does not end.
func do(t testing.TB, r Run) End {
	t.Helper()
	ended := make(chan End, 1)
	go func() { ended <- r.Do(t.Context()) }()
	select {
	case e := <-ended:
		return e
	case <-time.After(30 * time.Second):
		t.Fatal("the run does not end")
		return End{}
	}
}

// recorded reads the events of a run's record.
func recorded(t testing.TB, e End) (list []evidence.Event) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(e.Record, record.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range eventtest.Valid(b) {
		t.Error(p)
	}
	for ev, err := range evidence.ReadEvents(bytes.NewReader(b)) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, ev)
	}
	return list
}

// short names the types of events in order, without what they have in common.
func short(list []evidence.Event) string {
	var s []string
	for _, e := range list {
		s = append(s, e.Type[strings.LastIndexByte(e.Type, '.')+1:])
	}
	return strings.Join(s, " ")
}

// data is the content of the first event of a type.
func data(t testing.TB, list []evidence.Event, typ string) string {
	t.Helper()
	for _, e := range list {
		if e.Type == typ {
			return string(e.Data)
		}
	}
	t.Errorf("no event %s in %s", typ, short(list))
	return ""
}

// A failing sink takes a number of lines and then no more.
type failing struct {
	takes int
	err   error
}

func (s *failing) Write(p []byte) (int, error) {
	if s.takes == 0 {
		return 0, s.err
	}
	s.takes--
	return len(p), nil
}
func (s *failing) Sync() error  { return nil }
func (s *failing) Close() error { return nil }

var errDisk = errors.New("the disk is on fire") // what a test's sink says

func output(t testing.TB) (ends stream.Ends, text func() string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "out"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return stream.Ends{Out: f}, func() string { b, _ := os.ReadFile(f.Name()); return string(b) }
}
