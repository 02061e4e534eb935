package supervisor

import (
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
)

// BenchmarkEvidence is the life of a run around a cell that takes no time: the record, the events, and everything else that the supervisor does.
// What counts is the least, as on a machine that does nothing else. In a real run the signatures are made beside the building and the end of the
// cell, which take three milliseconds; here nothing hides them.
func BenchmarkEvidence(b *testing.B) {
	key, err := keys.New()
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		signer evidence.Signer
	}{{"unsigned", nil}, {"signed", key}} {
		b.Run(c.name, func(b *testing.B) {
			least := time.Hour
			for b.Loop() {
				r := newRun(b, newFake(), plain)
				r.Signer = c.signer
				start := time.Now()
				end := r.Do(b.Context())
				least = min(least, time.Since(start))
				if end.Err != nil {
					b.Fatal(end.Err)
				}
			}
			b.ReportMetric(float64(least.Microseconds()), "least-µs")
		})
	}
}
