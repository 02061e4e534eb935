// Package verify says whether a stream of events is everything that happened in one run: every event signed with a known
// key and unchanged, none missing, moved, repeated or added, from the first to the closing one.
//
//	report, err := verify.Verify(file, verify.Keys{key.KeyID(): key.Public()})
//	if err != nil { … }                  // the input could not be read
//	if report.Verdict() != verify.Good { // what is wrong, one line each
//		for _, f := range report.Findings { fmt.Println(f) }
//	}
//
// Memory does not grow with the stream. The package does not judge what the events say (package policy does), does not
// know which keys to trust, and cannot see that the end of a chain that was cut off was ever written: such a chain is
// open, as that of a run that died. docs/evidence-format.md describes what is checked, for other implementations.
package verify

import (
	"crypto"
	"errors"
	"fmt"
	"io"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/lines"
)

// Keys are the keys to trust, by key id: ed25519.PublicKey or *ecdsa.PublicKey on P-256.
type Keys map[string]crypto.PublicKey

// Verify reads a stream to its end. The error says that it could not be read; everything that is wrong with what was
// read is in the report.
func Verify(r io.Reader, k Keys) (Report, error) { return Verifier{Keys: k}.Verify(r) }

// Verifier is a verification with more than keys. Its zero fields ask for nothing.
type Verifier struct {
	Keys Keys

	// Run takes the events of one run (evidence.Run.ID) out of a stream with several, such as a mirror file. Without it
	// events of another run are findings.
	Run string
	// Document is the digest of the document (evidence.DocumentDigest) that the run must have been started with.
	Document string
	// Count and Head are what is known from elsewhere of the run's events: how many there are, and the digest of the
	// last one's payload. With Count a chain that was cut off is told from one that was never closed.
	Count uint64
	Head  string

	// Visit is called for every event that is good in itself, in the order of the stream. It gets signed content only.
	Visit func(evidence.Event)
}

// Verify reads a stream to its end.
func (v Verifier) Verify(r io.Reader) (Report, error) {
	s := state{v: v, next: 1, trusted: trusted{v.Keys, map[string]*keys.Verifier{}}}
	in := lines.NewReader(r, evidence.MaxLine)
	for {
		line, err := in.Next()
		switch {
		case err == io.EOF:
			s.end()
			return s.report, nil
		case err == nil:
			s.line(in.Number(), line)
		case errors.Is(err, lines.ErrTooLong):
			s.report.add(Finding{Kind: Unreadable, Line: in.Number(), Detail: fmt.Sprintf("the line is above %d bytes", evidence.MaxLine)})
		case errors.Is(err, lines.ErrTorn):
			s.torn(in.Number(), line)
		default:
			return s.report, fmt.Errorf("reading the stream: %w", err)
		}
	}
}

// state is what is remembered between lines.
type state struct {
	v      Verifier
	report Report
	chain
	trusted trusted
	next    uint64 // the sequence that is due
}

// torn handles what follows the last line feed: an event whose line feed alone is missing, or the beginning of one that
// its writer did not finish.
func (s *state) torn(number int, line []byte) {
	if _, err := evidence.ParseEvent(line); err == nil {
		s.line(number, line)
		return
	}
	kind := Torn
	if s.closed {
		kind = Unreadable
	}
	s.report.add(Finding{Kind: kind, Line: number, Detail: fmt.Sprintf("the stream ends after %d bytes of a line", len(line))})
}

func (s *state) line(number int, line []byte) {
	e, err := parse(line)
	if err != nil {
		s.report.add(Finding{Kind: Unreadable, Line: number, Detail: err.Error()})
		return
	}
	if s.v.Run != "" && e.run != s.v.Run {
		return
	}
	s.report.Lines++
	at := Finding{Line: number, Sequence: e.sequence, ID: e.core.ID, Type: e.core.Type}
	kind, detail := e.check(&s.trusted)
	if kind != "" {
		at.Kind, at.Detail = kind, detail
		s.report.add(at)
	}
	if s.place(e, at, kind) && kind == "" {
		s.accept(e)
	}
}

// accept notes an event that is good in itself and belongs to the run.
func (s *state) accept(e *event) {
	r := &s.report
	r.Events++
	r.keep(e.keyID)
	if r.First.IsZero() || e.core.Time.Before(r.First) {
		r.First = e.core.Time
	}
	if e.core.Time.After(r.Last) {
		r.Last = e.core.Time
	}
	if e.count != 0 {
		r.Abandoned = e.core.Type == evidence.TypeAbandoned
	}
	if s.v.Visit != nil {
		s.v.Visit(e.verified())
	}
}
