package record_test

import (
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/record"
)

// BenchmarkPlainRun is the whole cost of the evidence of a plain run: directory, document, plan, 14 signed events.
func BenchmarkPlainRun(b *testing.B) {
	state := b.TempDir()
	key, err := keys.New()
	if err != nil {
		b.Fatal(err)
	}
	document := make([]byte, 500)
	for b.Loop() {
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
		for range 13 {
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
	}
}
