package evidence_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
)

// failing takes n writes, or syncs, and fails then.
type failing struct {
	bytes.Buffer
	writes, syncs int
}

func (f *failing) Write(p []byte) (int, error) {
	if f.writes--; f.writes < 0 {
		return 0, errors.New("down")
	}
	return f.Buffer.Write(p)
}

func (f *failing) Sync() error {
	if f.syncs--; f.syncs < 0 {
		return errors.New("no disk")
	}
	return nil
}

func (*failing) Close() error { return nil }

// TestBehind: signing and writing behind Append gives the same stream, and no failure is lost.
func TestBehind(t *testing.T) {
	key, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	start := func(sink evidence.Sink, signer evidence.Signer, durable bool) *evidence.Stream {
		s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: "i"}, Behind: true, Durable: durable, Signer: signer, Head: evidence.DocumentDigest(nil),
			Outputs: []evidence.Output{{Name: "x", Sink: sink}}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := &failing{writes: 1000}
	s := start(good, key, false)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 50 {
				if _, err := s.Append("test", note(i)); err != nil {
					t.Error(err)
				}
				if i%20 == 0 {
					if err := s.Sync(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := s.Sync(); err != nil || bytes.Count(good.Bytes(), []byte("\n")) != 200 {
		t.Errorf("after Sync: %d lines, %v", bytes.Count(good.Bytes(), []byte("\n")), err)
	}
	if _, err := s.Finish("test", note(0)); err != nil || bytes.Count(good.Bytes(), []byte("\n")) != 201 {
		t.Errorf("after Finish: %d lines, %v", bytes.Count(good.Bytes(), []byte("\n")), err)
	}
	if err := errors.Join(s.Sync(), s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	prev, n := evidence.DocumentDigest(nil), uint64(0)
	for e, err := range evidence.ReadEvents(bytes.NewReader(good.Bytes())) {
		if n++; err != nil || e.Sequence != n || e.Prev != prev || e.Material == "" {
			t.Fatalf("event %d: %+v, %v", n, e, err)
		}
		if prev, err = e.PayloadDigest(); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		sink    *failing
		signer  evidence.Signer
		durable bool
		want    string
		written int
	}{
		"writing": {&failing{writes: 2}, key, false, "x emit: down", 2},
		"syncing": {&failing{writes: 9, syncs: 2}, key, true, "x emit: no disk", 3},
		"signing": {&failing{writes: 9}, brokenSigner{}, false, "signing event io.cellos.test with key k: token gone", 0},
	} {
		s := start(c.sink, c.signer, c.durable)
		for i := range 5 {
			s.Append("test", note(i)) // the failure may come with any of them, or not yet
		}
		for _, call := range []func() error{s.Sync, s.Err, func() error { _, err := s.Append("test", note(0)); return err },
			func() error { _, err := s.Finish("test", note(0)); return err }, s.Sync, s.Close} {
			if err := call(); err == nil || err.Error() != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
		if n := bytes.Count(c.sink.Bytes(), []byte("\n")); n != c.written {
			t.Errorf("%s: %d lines written", name, n)
		}
	}
}

type brokenSigner struct{}

func (brokenSigner) KeyID() string               { return "k" }
func (brokenSigner) Sign([]byte) ([]byte, error) { return nil, errors.New("token gone") }
