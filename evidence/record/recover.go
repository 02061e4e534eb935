package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	path := filepath.Join(d.path, EventsFile)
	first, last, end, err := ends(path)
	if err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	i, err := os.Stat(path)
	if err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	if rec.TornBytes = i.Size() - end; rec.TornBytes > 0 {
		if err := os.Truncate(path, end); err != nil {
			return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
		}
	}
	f, err := d.OpenEvents()
	if err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	specID, runID, _, _ := common(first)
	s, err := evidence.Open(evidence.Config{
		Run:     evidence.Run{ID: last.Run, CellID: specID, SpecID: specID, RunID: runID}, // the cell id is the document's spec.id
		Outputs: []evidence.Output{{Name: "run record", Sink: f}},
		Signer:  signer, After: &last, Durable: true, Now: now,
	})
	if err != nil {
		f.Close()
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	rec.Closing, err = s.Finish(evidence.SourceSupervisor, evidence.Abandoned{LastSequence: last.Sequence, TornBytes: rec.TornBytes, Reason: reason})
	if err = errors.Join(err, s.Close()); err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	return rec, nil
}

// ends returns the first and the last whole event of the file, and the offset behind the last.
func ends(path string) (first, last evidence.Event, end int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return first, last, 0, err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return first, last, 0, err
	}
	line, _, torn, err := lines.Last(f, i.Size(), evidence.MaxLine)
	if err == io.EOF {
		err = ErrNothingToClose
	}
	if err != nil {
		return first, last, 0, err
	}
	if last, err = evidence.ParseEvent(line); err != nil {
		return first, last, 0, fmt.Errorf("last line: %w", err)
	}
	if last.Count != 0 || last.Sequence == 0 {
		return first, last, 0, ErrNothingToClose
	}
	if line, err = lines.NewReader(f, evidence.MaxLine).Next(); err != nil {
		return first, last, 0, err
	}
	if first, err = evidence.ParseEvent(line); err != nil {
		return first, last, 0, fmt.Errorf("first line: %w", err)
	}
	return first, last, i.Size() - torn, nil
}
