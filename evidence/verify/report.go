package verify

import (
	"fmt"
	"slices"
	"time"
)

// Kind is a kind of finding.
type Kind string

const (
	Unreadable    Kind = "unreadable"    // the line is no event
	Torn          Kind = "torn"          // the last line has only begun: its writer died
	Unsigned      Kind = "unsigned"      // the event, or an attribute of it, is not signed
	UnknownKey    Kind = "unknownKey"    // signed with a key that is not trusted here
	BadSignature  Kind = "badSignature"  // the signature is not that of the signed payload
	Altered       Kind = "altered"       // the event is not what the signed payload says
	Missing       Kind = "missing"       // numbers that do not occur
	Reordered     Kind = "reordered"     // an event after one with a higher number
	Duplicated    Kind = "duplicated"    // a number that occurs again
	Broken        Kind = "broken"        // the event follows another one than the one before it
	Foreign       Kind = "foreign"       // an event of another run
	AfterEnd      Kind = "afterEnd"      // an event after the closing one
	Truncated     Kind = "truncated"     // fewer events than known from the closing event or from elsewhere
	WrongDocument Kind = "wrongDocument" // the run began with another document
	WrongPlan     Kind = "wrongPlan"     // the plan kept beside the events is not the one that they name
	Open          Kind = "open"          // there is no closing event
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind     Kind   `json:"kind"`
	Line     int    `json:"line,omitempty"`     // from 1; 0: no line in particular
	Sequence uint64 `json:"sequence,omitempty"` // as the event says; 0: none
	ID       string `json:"id,omitempty"`       // of the event
	Type     string `json:"type,omitempty"`     // of the event
	Detail   string `json:"detail"`
}

// String returns one line that names the event. What the stream wrote into it is quoted where it is not plain.
func (f Finding) String() string {
	s := string(f.Kind) + ": "
	if f.Line != 0 {
		s += fmt.Sprintf("line %d: ", f.Line)
	}
	if f.Type != "" {
		s += fmt.Sprintf("event %d (%s, %s): ", f.Sequence, plain(f.Type), plain(f.ID))
	}
	return s + f.Detail
}

// plain returns words as they are, and everything else quoted and shortened.
func plain(s string) string {
	for _, c := range s {
		if c <= ' ' || c > '~' || len(s) > 80 {
			return printable(s)
		}
	}
	return s
}

// Verdict sums up a report. The first that applies holds, in this order.
type Verdict string

const (
	BadEvents Verdict = "bad"        // events are not authentic: BadSignature, Altered, Unsigned
	Garbled   Verdict = "unreadable" // lines are no events
	Gaps      Verdict = "incomplete" // events are missing, moved, repeated, cut off, or another run's or document's
	Untrusted Verdict = "unknownKey" // nothing else is wrong than that keys are not trusted
	NotClosed Verdict = "open"       // the chain is good as far as it goes; its writer died, or still lives
	Good      Verdict = "good"
)

// Report is the result of a verification.
type Report struct {
	Run      string    `json:"run"`      // unique identity
	Lines    int       `json:"lines"`    // lines that are events of the run
	Events   uint64    `json:"events"`   // of these, good ones
	Keys     []string  `json:"keys"`     // ids of the keys that signed them, at most 16
	First    time.Time `json:"first"`    // earliest and
	Last     time.Time `json:"last"`     // latest time of a good event
	Document string    `json:"document"` // digest of the document that the run began with
	Head     string    `json:"head"`     // digest of the last event's payload

	Complete  bool   `json:"complete"`  // there is a closing event
	Abandoned bool   `json:"abandoned"` // it was written afterwards, because the supervisor had died
	Count     uint64 `json:"count"`     // of events, according to it

	Findings []Finding `json:"findings"` // in the order of the stream; the first 1000
	More     int       `json:"more"`     // findings that are not listed

	kinds []Kind // that occur
}

// maxFindings bounds the memory for a report.
const maxFindings = 1000

// Add adds a finding that a caller made with what lies beside the stream.
func (r *Report) Add(f Finding) { r.add(f) }

func (r *Report) add(f Finding) {
	if !r.Has(f.Kind) {
		r.kinds = append(r.kinds, f.Kind)
	}
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, f)
	} else {
		r.More++
	}
}

func (r *Report) keep(key string) {
	if len(r.Keys) < 16 && !slices.Contains(r.Keys, key) {
		r.Keys = append(r.Keys, key)
	}
}

// Has reports whether there is a finding of one of the kinds, listed or not.
func (r *Report) Has(kinds ...Kind) bool {
	return slices.ContainsFunc(kinds, func(k Kind) bool { return slices.Contains(r.kinds, k) })
}

// Verdict sums the findings up.
func (r *Report) Verdict() Verdict {
	switch {
	case r.Has(BadSignature, Altered, Unsigned):
		return BadEvents
	case r.Has(Unreadable):
		return Garbled
	case r.Has(Missing, Reordered, Duplicated, Broken, Foreign, AfterEnd, Truncated, WrongDocument, WrongPlan):
		return Gaps
	case r.Has(UnknownKey):
		return Untrusted
	case r.Has(Open, Torn):
		return NotClosed
	}
	return Good
}
