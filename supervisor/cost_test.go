package supervisor

import (
	"context"
	"testing"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/plan"
)

// timed is a cell whose steps take the time that those of a cell of processes take (docs/performance.md), without using a processor.
type timed struct{ *fake }

func (c timed) Build(ctx context.Context, p *plan.Plan, s cell.Streams) (cell.Cell, error) {
	time.Sleep(1500 * time.Microsecond)
	_, err := c.fake.Build(ctx, p, s)
	return c, err
}

func (c timed) Measure(ctx context.Context) (cell.Boundary, error) {
	time.Sleep(300 * time.Microsecond)
	return c.fake.Measure(ctx)
}

func (c timed) Wait() (cell.Outcome, error) {
	time.Sleep(600 * time.Microsecond)
	return c.fake.Wait()
}

func (c timed) Destroy() cell.Residue {
	time.Sleep(300 * time.Microsecond)
	return c.fake.Destroy()
}

// BenchmarkEvidence is what the evidence of a plain run costs in wall time: the life of a run around a cell, less the steps of the cell alone.
// What counts is the least of each, as on a machine that does nothing else.
func BenchmarkEvidence(b *testing.B) {
	key, err := keys.New()
	if err != nil {
		b.Fatal(err)
	}
	with, without := time.Hour, time.Hour
	for b.Loop() {
		c := timed{newFake()}
		start := time.Now()
		if _, err := c.Build(b.Context(), nil, cell.Streams{}); err != nil {
			b.Fatal(err)
		}
		c.Measure(b.Context())
		c.Release(b.Context())
		c.Wait()
		c.Destroy()
		without = min(without, time.Since(start))

		c = timed{newFake()}
		r := newRun(b, c.fake, plain)
		r.Backend, r.Signer = c, key
		start = time.Now()
		end := r.Do(b.Context())
		with = min(with, time.Since(start))
		if end.Err != nil {
			b.Fatal(end.Err)
		}
	}
	b.ReportMetric(float64(without.Microseconds()), "cell-µs")
	b.ReportMetric(float64((with - without).Microseconds()), "evidence-µs")
}
