// Package evidence writes what happened in a run: one stream of CloudEvents 1.0, a line of JSON each, numbered
// without gaps, in the run's own directory and in whatever other sinks are asked for.
//
//	stream, err := evidence.Open(evidence.Config{
//		Run:     evidence.Run{ID: evidence.NewID(), CellID: "demo", SpecID: "demo", RunID: "run-local-001"},
//		Outputs: []evidence.Output{{Name: "run record", Sink: record}},
//	})
//	if _, err := stream.Append(evidence.SourceSupervisor, evidence.Started{TTLSeconds: 60, SpecHash: hash}); err != nil {
//		return err // nothing may be started, or everything must be ended
//	}
//
// The data of an event is a [Payload]: a struct for every type that this program writes, with the members that are
// documented for it and no others. A failure of a required sink is final: there is no run without evidence.
//
// The package does not decide which events a run has and in which order; the supervisor does. It does not read
// documents, and it does not verify: package verify does.
package evidence
