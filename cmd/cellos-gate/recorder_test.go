package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/wire"
)

// pair is a recorder with a ring, and the supervisor's end of its socket.
func pair(t *testing.T) (*recorder, *wire.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*wire.Conn
	for i := range ends {
		if ends[i], err = wire.NewConn(os.NewFile(uintptr(fds[i]), "end")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
	}
	r := newRecorder(ends[0])
	if r.ring, err = os.Create(filepath.Join(t.TempDir(), "ring")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.ring.Close() })
	return r, ends[1]
}

func decided(n int) evidence.FlowDecision {
	return evidence.FlowDecision{DecisionID: fmt.Sprint(n), Allow: true}
}

// A decision is in the ring when Ahead returns, whether or not the supervisor has read it; one whose slot is taken waits until the
// supervisor says that the chain has what is there.
func TestAheadOfTheSupervisor(t *testing.T) {
	r, supervisor := pair(t)
	for n := 1; n <= wire.Slots; n++ {
		if err := r.Ahead("s", decided(n)); err != nil {
			t.Fatal(err)
		}
	}
	one := make(chan error, 1)
	go func() { one <- r.Ahead("s", decided(wire.Slots+1)) }()
	for n := uint64(1); n <= wire.Slots; n++ {
		if m, _, err := supervisor.Receive(); err != nil || m.Ahead != n {
			t.Fatalf("message %d is %+v, %v", n, m, err)
		}
	}
	if list, err := wire.ReadAhead(r.ring, 0); err != nil || len(list) != wire.Slots || list[0].DecisionID != "1" {
		t.Errorf("the ring has %d decisions, %v", len(list), err)
	}
	r.written(wire.Message{Kind: wire.Written, Ahead: 1})
	if err := <-one; err != nil {
		t.Fatal(err)
	}
	if list, err := wire.ReadAhead(r.ring, 0); err != nil || len(list) != wire.Slots || list[0].DecisionID != "2" || list[wire.Slots-1].DecisionID != fmt.Sprint(wire.Slots+1) {
		t.Errorf("then the ring has %d decisions, %v", len(list), err)
	}
	// A record that fails lets nothing pass any more, and nobody wait.
	go func() { one <- r.Ahead("s", decided(0)) }()
	r.written(wire.Message{Kind: wire.Written, Error: "the disk is full"})
	if err := <-one; err == nil || err.Error() != "the disk is full" {
		t.Errorf("a decision that cannot be recorded: %v", err)
	}
	if err := r.Ahead("s", decided(0)); err == nil {
		t.Error("and another one was taken")
	}
	if err := r.Sync(); err == nil {
		t.Error("and Sync returned")
	}
}

// Where no file may be written ahead, a decision waits for the chain.
func TestAheadWithoutARing(t *testing.T) {
	r, supervisor := pair(t)
	r.ring.Close()
	r.ring = nil
	done := make(chan error, 1)
	go func() { done <- r.Ahead("s", decided(1)) }()
	kinds := ""
	for range 2 {
		m, _, err := supervisor.Receive()
		if err != nil {
			t.Fatal(err)
		}
		kinds += m.Kind + " "
		if m.Kind == wire.Sync {
			r.written(wire.Message{Kind: wire.Written, ID: m.ID})
		}
	}
	if err := <-done; err != nil || kinds != "event sync " {
		t.Errorf("said %q, %v", kinds, err)
	}
	// A file that takes nothing refuses.
	r, _ = pair(t)
	r.ring.Close()
	if err := r.Ahead("s", decided(1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a ring that cannot be written: %v", err)
	}
}
