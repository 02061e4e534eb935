package supervisor

import (
	"slices"
	"time"

	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/record"
)

// A Refusal is a run that was refused before anything was built, for a reason that the documented events tell. It is recorded like a
// run: a signed chain, closed.
type Refusal struct {
	Document *document.Document
	Bytes    []byte // as read

	State   string
	RunID   string
	Outputs []evidence.Output
	Trust   Trust
	Signer  evidence.Signer
	Durable bool
	// Redact and Wrap are those of evidence.Config.
	Redact func(eventType string, data []byte) ([]byte, error)
	Wrap   func(evidence.Event) (evidence.Event, error)

	Admitted Admitted
	// Closing is the event that says why. Nil: the documented events of a cell that was refused its secrets, which end with Reason.
	Closing evidence.Payload
	Reason  string
}

// Record writes the chain, and closes the outputs.
func (r Refusal) Record() error {
	run := Run{Document: r.Document, Bytes: r.Bytes, State: r.State, RunID: &r.RunID, Outputs: r.Outputs, Trust: r.Trust, Signer: r.Signer, Durable: r.Durable,
		Redact: r.Redact, Wrap: r.Wrap, Admitted: r.Admitted}
	l := &life{Run: run, id: evidence.NewID(), began: time.Now()}
	var err error
	if l.dir, err = record.Create(l.State, l.id, l.began); err != nil {
		return err
	}
	defer l.dir.Close()
	if err := l.dir.WriteFile(record.DocumentFile, l.Bytes); err != nil {
		return err
	}
	if err := l.stream(); err != nil {
		return err
	}
	list, closing := slices.Clone(r.Admitted.Before), r.Closing
	if closing == nil {
		list = append(list, l.declared(l.Document.CanonicalDigest())...)
		list = append(list, summary(l.Document, nil, nil)...)
		s := &r.Document.Spec
		closing = evidence.Destroyed{TTLSeconds: s.Lifetime.TTLSeconds, TenantID: tenant(s), Reason: r.Reason}
	}
	l.fail(l.all(list...))
	if l.err == nil {
		_, err := l.events.Finish(evidence.SourceSupervisor, closing)
		l.fail(err)
	}
	l.fail(l.events.Close())
	return l.err
}
