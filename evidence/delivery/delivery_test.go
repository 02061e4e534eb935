package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/deadletter"
	"cellos.io/cellos/evidence/delivery"
)

// server is a transport that answers as it is told to.
type server struct {
	mu      sync.Mutex
	answers []error       // of the next calls; nil and none: everything is delivered
	partly  int           // lines that are delivered with an error
	gate    chan struct{} // waited for, if it is there
	got     []string
	calls   int
	closed  bool
}

func (s *server) Deliver(ctx context.Context, lines [][]byte) (int, error) {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	var err error
	if len(s.answers) > 0 {
		err, s.answers = s.answers[0], s.answers[1:]
	}
	n := len(lines)
	if err != nil {
		n = min(s.partly, len(lines))
	}
	for _, l := range lines[:n] {
		s.got = append(s.got, string(l))
	}
	return n, err
}

func (s *server) Close() error { s.closed = true; return nil }

func line(i int) []byte {
	e := evidence.Event{ID: evidence.NewID(), Source: "test", Type: fmt.Sprintf("t%d", i), Data: []byte("{}"), Run: "r", Sequence: uint64(i + 1)}
	return append(e.AppendJSON(nil), '\n')
}

// long is a line of more than 8 KiB.
func long(i int) []byte {
	e := evidence.Event{ID: evidence.NewID(), Source: "test", Type: fmt.Sprintf("t%d", i), Data: []byte(`{"x":"` + strings.Repeat("x", 8<<10) + `"}`), Run: "r", Sequence: uint64(i + 1)}
	return append(e.AppendJSON(nil), '\n')
}

var errDown = errors.New("down")

func write(t *testing.T, s interface{ Write([]byte) (int, error) }, n int) (all string) {
	t.Helper()
	for i := range n {
		l := line(i)
		all += string(l)
		if _, err := s.Write(l); err != nil {
			t.Fatal(err)
		}
		clear(l) // a sink must not keep it
	}
	return all
}

func TestTriesAgain(t *testing.T) {
	srv := &server{answers: []error{errDown, errDown, errDown}, partly: 2}
	s := delivery.New(srv, delivery.Config{Patience: time.Minute})
	want := write(t, s, 10)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if strings.Join(srv.got, "") != want || srv.calls != 4 {
		t.Errorf("%d calls brought %q", srv.calls, srv.got)
	}
	if err := s.Close(); err != nil || !srv.closed {
		t.Errorf("closing: %v", err)
	}
}

// TestGivesUp: a delivery that failed is an error, keeps what is not delivered, and can be tried again.
func TestGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		calls int
	}{"no patience": {errDown, 1}, "permanent": {delivery.Permanent(errDown), 1}, "asked to wait too long": {delivery.After(errDown, time.Hour), 1}} {
		srv := &server{answers: []error{c.err}, partly: 3}
		patience := time.Minute
		if name == "no patience" {
			patience = 0
		}
		s := delivery.New(srv, delivery.Config{Patience: patience})
		want := write(t, s, 5)
		if err := s.Flush(); !errors.Is(err, errDown) || srv.calls != c.calls || len(srv.got) != 3 {
			t.Errorf("%s: %v after %d calls, which brought %d", name, err, srv.calls, len(srv.got))
		}
		if err := s.Flush(); err != nil || strings.Join(srv.got, "") != want {
			t.Errorf("%s: the second time %v, %q", name, err, srv.got)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := &server{answers: []error{errDown, errDown, errDown}}
	s := delivery.New(srv, delivery.Config{Patience: time.Hour, Context: ctx})
	write(t, s, 1)
	cancel()
	if err := s.Flush(); err == nil {
		t.Error("no error")
	}
}

func TestSpool(t *testing.T) {
	dir, err := deadletter.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	srv := &server{answers: []error{errDown}, partly: 1}
	s := delivery.New(srv, delivery.Config{Spool: dir})
	write(t, s, 4)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	letters, err := dir.Letters()
	if err != nil || len(letters) != 3 || letters[0].Error != "down" || !strings.Contains(string(letters[0].Line), `"t1"`) {
		t.Errorf("%d letters, %v", len(letters), err)
	}
}

// TestFullMemory: what is collected is delivered before it is too much.
func TestFullMemory(t *testing.T) {
	srv := &server{}
	s := delivery.New(srv, delivery.Config{})
	big := append([]byte(strings.Repeat("x", 1<<20-1)), '\n')
	for range 9 {
		if _, err := s.Write(big); err != nil {
			t.Fatal(err)
		}
	}
	if len(srv.got) != 8 {
		t.Errorf("%d of 9 lines are delivered", len(srv.got))
	}
}

// TestAside: a server that does not answer holds nobody up; what does not fit is refused, and what is left at the end is told.
func TestAside(t *testing.T) {
	srv := &server{gate: make(chan struct{})}
	lost := make(chan error, 8)
	q := delivery.Aside(srv, delivery.Config{}, func(err error) { lost <- err })
	refused := 0
	for i := range 3000 {
		if _, err := q.Write(long(i)); err != nil {
			refused++
		}
	}
	// 1,024 wait, and at most 4 MiB, that is 511, are with the one that delivers, according to how the two met.
	if refused < 3000-1024-512 || refused > 3000-1024 {
		t.Errorf("%d of 3000 were refused", refused)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	q.Close()
	if err := <-lost; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "events are lost") {
		t.Errorf("%v", err)
	}
	if !srv.closed {
		t.Error("the transport is open")
	}
}

func TestAsideDelivers(t *testing.T) {
	srv := &server{answers: []error{errDown}}
	q := delivery.Aside(srv, delivery.Config{Patience: time.Minute}, func(err error) { t.Error(err) })
	want := write(t, q, 100)
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if strings.Join(srv.got, "") != want {
		t.Errorf("%d of 100 came", len(srv.got))
	}
}

// TestAsideSpool: with a folder a full queue loses nothing.
func TestAsideSpool(t *testing.T) {
	dir, err := deadletter.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	srv := &server{gate: make(chan struct{})}
	q := delivery.Aside(srv, delivery.Config{Spool: dir}, func(err error) { t.Error(err) })
	const n = 1024 + 512 + 50
	for i := range n {
		if _, err := q.Write(long(i)); err != nil {
			t.Fatal(err)
		}
	}
	close(srv.gate)
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	letters, err := dir.Letters()
	if err != nil || len(letters)+len(srv.got) != n || len(letters) == 0 {
		t.Errorf("%d letters and %d delivered, %v", len(letters), len(srv.got), err)
	}
}
