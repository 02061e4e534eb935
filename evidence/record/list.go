package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/lines"
)

// Status is the state of a record, as far as its first and last line tell. It says nothing about signatures.
type Status string

const (
	Running    Status = "running"    // locked by a live process
	Complete   Status = "complete"   // closed by its closing event
	Abandoned  Status = "abandoned"  // closed afterwards, for a supervisor that died
	Open       Status = "open"       // not closed, and nobody is left who could
	Empty      Status = "empty"      // no event at all
	Unreadable Status = "unreadable" // the first or last line is no event
)

// Summary is one run in a list.
type Summary struct {
	ID, Path string // name of the run directory, and where it is
	Status   Status
	Err      error // for Unreadable

	Run, SpecID, RunID string // unique identity; data.specId and data.runId of the first event
	Started, Ended     time.Time
	Events             uint64 // sequence of the last event
	LastType           string // type of the last event
	Outcome, Reason    string // "succeeded", "failed", "rejected" or ""; of the closing event
}

// List returns the runs recorded under state, newest first. It reads the first and the last line of each. A state
// directory without runs is an empty list.
func List(state string) ([]Summary, error) {
	ids, err := names(state)
	if err != nil {
		return nil, err
	}
	out := make([]Summary, len(ids))
	for i, id := range ids {
		out[i] = Read(filepath.Join(state, runsDir, id))
	}
	return out, nil
}

// names returns the run directories under state, newest first.
func names(state string) ([]string, error) {
	list, err := os.ReadDir(filepath.Join(state, runsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	var ids []string
	for _, e := range list {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			ids = append(ids, e.Name())
		}
	}
	slices.Reverse(ids)
	return ids, nil
}

// AmbiguousError lists the runs that a prefix fits.
type AmbiguousError struct {
	Prefix string
	IDs    []string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("run %q: fits %d runs: %s", e.Prefix, len(e.IDs), strings.Join(e.IDs[:min(len(e.IDs), 5)], ", "))
}

// Find returns the directory of the run that name means: "last" for the newest, the name of a run directory, or a
// prefix of it or of its random part that fits one run only. The error for no run wraps fs.ErrNotExist.
func Find(state, name string) (string, error) {
	ids, err := names(state)
	if err != nil {
		return "", err
	}
	var fit []string
	for _, id := range ids {
		_, random, _ := strings.Cut(id, "-")
		switch {
		case name == "last" || name == id:
			return filepath.Join(state, runsDir, id), nil
		case name != "" && (strings.HasPrefix(id, name) || strings.HasPrefix(random, name)):
			fit = append(fit, id)
		}
	}
	switch len(fit) {
	case 0:
		return "", fmt.Errorf("run %q: %w", name, fs.ErrNotExist)
	case 1:
		return filepath.Join(state, runsDir, fit[0]), nil
	}
	return "", &AmbiguousError{name, fit}
}

// Read summarises the run in the directory path.
func Read(path string) Summary { return read(path, true) }

// read does, and looks whether the run is alive if it is asked to.
func read(path string, alive bool) Summary {
	s := Summary{ID: filepath.Base(path), Path: path}
	f, err := os.Open(filepath.Join(path, EventsFile))
	if err == nil {
		defer f.Close()
		err = s.read(f)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), err == io.EOF:
		s.Status = Empty
	case err != nil:
		s.Status, s.Err = Unreadable, fmt.Errorf("reading run %s: %w", s.ID, err)
	}
	if alive && (s.Status == Empty || s.Status == Open) {
		if l, err := take(path); err == nil {
			l.Close()
		} else if errors.Is(err, errLive) {
			s.Status = Running
		}
	}
	if s.Started.IsZero() {
		s.Started, _ = time.Parse(idTime, strings.SplitN(s.ID, "-", 2)[0])
	}
	return s
}

func (s *Summary) read(f *os.File) error {
	line, err := lines.NewReader(f, evidence.MaxLine).Next()
	if err == lines.ErrTorn {
		err = io.EOF
	}
	if err != nil {
		return err
	}
	first, err := evidence.ParseEvent(line)
	if err != nil {
		return fmt.Errorf("first line: %w", err)
	}
	i, err := f.Stat()
	if err != nil {
		return err
	}
	if line, _, _, err = lines.Last(f, i.Size(), evidence.MaxLine); err != nil {
		return err
	}
	last, err := evidence.ParseEvent(line)
	if err != nil {
		return fmt.Errorf("last line: %w", err)
	}
	s.Run, s.Started, s.Events, s.LastType = first.Run, first.Time, last.Sequence, last.Type
	s.SpecID, s.RunID, _, _ = common(first)
	s.Status = Open
	if last.Count == 0 {
		return nil
	}
	s.Status, s.Ended = Complete, last.Time
	_, _, s.Outcome, s.Reason = common(last)
	switch last.Type {
	case evidence.TypeAbandoned:
		s.Status = Abandoned
	case evidence.TypePolicyRejected, evidence.TypeAuthzRejected, evidence.TypeKeysetVerificationFailed, evidence.TypeManifestFailed:
		s.Outcome = "rejected"
	}
	return nil
}

// common returns the members of data that a list shows; what is not there, or no text, is empty. For a signed
// envelope they are those of the event inside.
func common(e evidence.Event) (specID, runID, outcome, reason string) {
	var d struct {
		SpecID, RunID, Outcome, Reason any
		Event                          struct{ Data json.RawMessage }
	}
	if json.Unmarshal(e.Data, &d) != nil {
		return
	}
	if e.Type == evidence.TypeSignedEnvelope {
		inner := d.Event.Data
		d.Event.Data = nil
		if json.Unmarshal(inner, &d) != nil {
			return
		}
	}
	text := func(v any) string { s, _ := v.(string); return s }
	return text(d.SpecID), text(d.RunID), text(d.Outcome), text(d.Reason)
}
