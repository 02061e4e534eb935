package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/lines"
)

// Recovery says what Recover did.
type Recovery struct {
	Closing   evidence.Event // the event that closes the chain now
	TornBytes int64          // length of the partial line that was cut off
}

// ErrNothingToClose is returned for a run that is closed already, or that has no event to continue after.
var ErrNothingToClose = errors.New("there is no open chain")

// Recover closes the chain of a run whose supervisor died: it cuts off a line that was not finished and appends an event
// of type evidence.TypeAbandoned, signed by signer, with the digest of the last whole event and the count. d must hold the
// run's lock, as in the callback of Clean. What the chain holds is not verified: package verify does that, before or after.
func (d *Dir) Recover(signer evidence.Signer, reason string, now func() time.Time) (Recovery, error) {
	var rec Recovery
	if d.events == nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, ErrNothingToClose)
	}
	first, last, end, torn, err := ends(d.events)
	if err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	if rec.TornBytes = torn; torn > 0 {
		if err := d.events.Truncate(end); err != nil {
			return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
		}
	}
	specID, runID, _, _ := common(first)
	s, err := evidence.Open(evidence.Config{
		Run:     evidence.Run{ID: last.Run, CellID: specID, SpecID: specID, RunID: runID}, // the cell id is the document's spec.id
		Outputs: []evidence.Output{{Name: "run record", Sink: d.Events()}},
		Signer:  signer, After: &last, Durable: true, Now: now,
	})
	if err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	rec.Closing, err = s.Finish(evidence.SourceSupervisor, evidence.Abandoned{LastSequence: last.Sequence, TornBytes: rec.TornBytes, Reason: reason})
	if err = errors.Join(err, s.Close()); err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	return rec, nil
}

// ends returns the first and the last whole event of the file, the offset behind the last, and how many bytes follow there.
func ends(f *os.File) (first, last evidence.Event, end, torn int64, err error) {
	fail := func(err error) (evidence.Event, evidence.Event, int64, int64, error) {
		return evidence.Event{}, evidence.Event{}, 0, 0, err
	}
	i, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	line, _, torn, err := lines.Last(f, i.Size(), evidence.MaxLine)
	if err == io.EOF {
		err = ErrNothingToClose
	}
	if err != nil {
		return fail(err)
	}
	if last, err = evidence.ParseEvent(line); err != nil {
		return fail(fmt.Errorf("last line: %w", err))
	}
	if last.Count != 0 || last.Sequence == 0 {
		return fail(ErrNothingToClose)
	}
	if line, err = lines.NewReader(io.NewSectionReader(f, 0, i.Size()), evidence.MaxLine).Next(); err != nil {
		return fail(err)
	}
	if first, err = evidence.ParseEvent(line); err != nil {
		return fail(fmt.Errorf("first line: %w", err))
	}
	return first, last, i.Size() - torn, torn, nil
}
