package record_test

import (
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/record"
)

// BenchmarkPlainRun is the whole cost of the evidence of a plain run: directory, document, plan, 15 signed events; on the way of a run most of it
// happens beside the building of the cell.
func BenchmarkPlainRun(b *testing.B) {
	state := b.TempDir()
	key, err := keys.New()
	if err != nil {
		b.Fatal(err)
	}
	document := make([]byte, 500)
	runs, began, least := 0, processor(), time.Hour
	defer func() {
		b.ReportMetric(float64((processor()-began).Microseconds())/float64(runs), "cpu-µs/op")
		b.ReportMetric(float64(least.Microseconds()), "least-µs") // as on a machine that does nothing else
	}()
	for b.Loop() {
		runs++
		start := time.Now()
		id := evidence.NewID()
		d, err := record.Create(state, id, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		if err := d.WriteFile(record.DocumentFile, document); err != nil {
			b.Fatal(err)
		}
		if err := d.WriteFile(record.PlanText, document); err != nil {
			b.Fatal(err)
		}
		s, err := evidence.Open(evidence.Config{Run: evidence.Run{ID: id, CellID: "c", SpecID: "c", RunID: "r"}, Signer: key,
			Head: evidence.DocumentDigest(document), Outputs: []evidence.Output{{Name: "run record", Sink: d.Events()}}})
		if err != nil {
			b.Fatal(err)
		}
		for range 14 {
			if _, err := s.Append(evidence.SourceSupervisor, evidence.ProcessSpawned{Program: "/bin/true", Argc: 1}); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := s.Finish(evidence.SourceSupervisor, evidence.Destroyed{TTLSeconds: 60}); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
		least = min(least, time.Since(start))
	}
}

// processor is the time that this process had on any processor: what a busy machine does not change much.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
