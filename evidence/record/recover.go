package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/lines"
)

// Recovery says what Recover did.
type Recovery struct {
	Closing   evidence.Event // the event that closes the chain now
	TornBytes int64          // length of the partial line that was cut off
}

// ErrNothingToClose is returned for a run that is closed already.
var ErrNothingToClose = errors.New("there is no open chain")

// A Late is an event that was decided and never got into the chain.
type Late struct {
	Source  string
	Payload evidence.Payload
}

// Recover closes the chain of a run whose supervisor died: it cuts off a line that was not finished and appends what came too late for the
// supervisor, then an event of type evidence.TypeAbandoned, signed by signer, with the digest of the last whole event and the count. A supervisor that died before its
// first event leaves a chain of this one event, which names the document as far as it was written. d must hold the run's lock, as in the
// callback of Clean. What the chain holds is not verified: package verify does that, before or after.
func (d *Dir) Recover(signer evidence.Signer, reason string, now func() time.Time, late ...Late) (Recovery, error) {
	var rec Recovery
	if d.events == nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, ErrNothingToClose)
	}
	first, last, end, torn, err := ends(d.events)
	begun := err != errEmpty
	if err != nil && begun {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	if rec.TornBytes = torn; torn > 0 {
		if err := d.events.Truncate(end); err != nil {
			return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
		}
	}
	c := evidence.Config{Outputs: []evidence.Output{{Name: "run record", Sink: d.Events()}}, Signer: signer, Durable: true, Now: now}
	if begun {
		specID, runID, _, _ := common(first)
		c.After, c.Run = &last, evidence.Run{ID: last.Run, CellID: specID, SpecID: specID, RunID: runID} // the cell id is the document's spec.id
	} else if c.Head, c.Run.ID, err = d.never(); err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	s, err := evidence.Open(c)
	if err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	if begun { // without an opening event there was no run that could decide anything
		for _, x := range late {
			if _, err := s.Append(x.Source, x.Payload); err != nil {
				return rec, errors.Join(fmt.Errorf("recovering run %s: %w", d.id, err), s.Close())
			}
		}
	}
	rec.Closing, err = s.Finish(evidence.SourceSupervisor, evidence.Abandoned{LastSequence: last.Sequence, TornBytes: rec.TornBytes, Reason: reason})
	if err = errors.Join(err, s.Close()); err != nil {
		return rec, fmt.Errorf("recovering run %s: %w", d.id, err)
	}
	return rec, nil
}

// errEmpty says that there is no whole line.
var errEmpty = errors.New("no event")

// never returns the head and the identity for the chain of a run that never wrote an event: the digest of its document, as far as that was
// written, and an identity that begins as the directory says.
func (d *Dir) never() (head, id string, err error) {
	path := filepath.Join(d.path, DocumentFile)
	document, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		err = d.WriteFile(DocumentFile, nil) // a record has a document, and this one is not known
	}
	if err != nil {
		return "", "", err
	}
	id = evidence.NewID()
	if _, short, ok := strings.Cut(d.id, "-"); ok && len(short) == 8 {
		id = short + id[8:]
	}
	return evidence.DocumentDigest(document), id, nil
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
		return evidence.Event{}, evidence.Event{}, 0, i.Size(), errEmpty
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
