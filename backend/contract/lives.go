//go:build linux

package contract

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"cellos.io/cellos/cell"
)

var lives = []test{
	{"the boundary is measured before the command runs", boundary},
	{"a cell may be destroyed at any point", destroyed},
	{"a build may be cancelled", cancelled},
	{"one cell after the other leaves nothing", inTurn},
	{"many cells at once", atOnce},
}

// boundary: every promise was measured and holds, and nothing of the command ran meanwhile.
func boundary(t *testing.T, s Subject) {
	_, p := s.planned(t, sh("echo ran"))
	out := pipe(t)
	c := s.built(t, p, cell.Streams{Out: out.w})
	out.w.Close()
	b := measured(t, c)
	if len(b.Layers) != len(p.Promises) || len(b.Layers) < 5 {
		t.Errorf("%d layers measured, %d promised", len(b.Layers), len(p.Promises))
	}
	for i, l := range b.Layers {
		if l.Name != p.Promises[i].Layer || !l.Holds || l.Inside == "" && l.Outside == "" {
			t.Errorf("%+v, promised %+v", l, p.Promises[i])
		}
	}
	if len(b.Probes) < 20 {
		t.Errorf("%d probes", len(b.Probes))
	}
	for _, x := range b.Probes {
		if !x.Holds || x.Got == "" {
			t.Errorf("%+v", x)
		}
	}
	if b.Caps != (cell.Caps{}) {
		t.Errorf("capabilities %+v", b.Caps)
	}
	must(t, out.r.SetReadDeadline(time.Now()))
	if n, err := out.r.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the command ran before its release: %d bytes, %v", n, err)
	}
	must(t, out.r.SetReadDeadline(time.Time{}), c.Release(t.Context()))
	if l := line(t, out.r); l != "ran" {
		t.Errorf("%q", l)
	}
	waited(t, c)
	clean(t, c)
}

func destroyed(t *testing.T, s Subject) {
	s.settle(t)
	_, p := s.planned(t, ask{argv: []string{"/bin/sleep", "1000"}})
	before := used(t)
	for stage := range 4 {
		c, err := s.Backend.Build(t.Context(), p, cell.Streams{})
		must(t, err)
		if stage > 0 {
			measured(t, c)
		}
		if stage > 1 {
			must(t, c.Release(t.Context()))
		}
		ended := make(chan cell.Outcome, 1)
		if stage > 2 {
			go func() { o, _ := c.Wait(); ended <- o }()
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { clean(t, c) })
		}
		wg.Wait()
		if stage > 2 {
			select {
			case o := <-ended:
				if o.Code == 0 && o.Signal == 0 {
					t.Errorf("a command that was ended: %+v", o)
				}
			case <-time.After(time.Minute):
				t.Fatal("Wait does not return")
			}
		}
		same(t, before)
	}
}

// cancelled: whenever the caller gives up, nothing is left, and the error says why.
func cancelled(t *testing.T, s Subject) {
	s.settle(t)
	_, p := s.planned(t, sh("exit"))
	ready := func() {
		if s.Ready != nil {
			s.Ready(p)
		}
	}
	ready()
	began := time.Now()
	c, err := s.Backend.Build(t.Context(), p, cell.Streams{})
	must(t, err)
	took := time.Since(began)
	clean(t, c)
	before := used(t)
	why := errors.New("the caller has lost patience")
	tries := 20
	if s.Slow {
		tries = 6
	}
	for i := range tries {
		ready()
		ctx, cancel := context.WithCancelCause(context.Background())
		if i == 0 {
			cancel(why)
		} else {
			time.AfterFunc(took*time.Duration(i)/time.Duration(tries), func() { cancel(why) })
		}
		c, err := s.Backend.Build(ctx, p, cell.Streams{})
		switch {
		case err == nil:
			if _, err := c.Measure(ctx); err != nil && !errors.Is(err, why) {
				t.Errorf("Measure: %v", err)
			}
			clean(t, c)
		case c != nil || !errors.Is(err, why):
			t.Errorf("%v, %v", c, err)
		}
		cancel(nil)
	}
	same(t, before)
}

func inTurn(t *testing.T, s Subject) {
	s.settle(t)
	_, p := s.planned(t, sh("exit 6"))
	before := used(t)
	for range s.InTurn {
		c, err := s.Backend.Build(t.Context(), p, cell.Streams{})
		must(t, err)
		measured(t, c)
		must(t, c.Release(t.Context()))
		o, err := c.Wait()
		if err != nil || o.Code != 6 {
			t.Fatalf("%+v, %v", o, err)
		}
		clean(t, c)
	}
	same(t, before)
}

func atOnce(t *testing.T, s Subject) {
	s.settle(t)
	_, p := s.planned(t, sh("cat; exit 5"))
	before := used(t)
	var wg sync.WaitGroup
	for range s.AtOnce {
		wg.Go(func() {
			c, err := s.Backend.Build(t.Context(), p, cell.Streams{})
			if err != nil {
				t.Error(err)
				return
			}
			b, err := c.Measure(t.Context())
			if err = errors.Join(err, b.Err()); err == nil {
				err = c.Release(t.Context())
			}
			if err != nil {
				t.Error(err)
			} else if o, err := c.Wait(); err != nil || o.Code != 5 {
				t.Errorf("%+v, %v", o, err)
			}
			clean(t, c)
		})
	}
	wg.Wait()
	same(t, before)
}
