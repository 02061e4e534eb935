package verify

import (
	"fmt"
	"slices"
)

// chain is what is known of the order of events so far, in bounded memory.
type chain struct {
	run     string // of the first event that has one
	missing []gap  // below next, ascending
	recent  [64]link
	closed  bool
	closing uint64 // sequence of the closing event
	head    string // digest of the event with the highest sequence
}

// gap is a range of sequence numbers that were passed over.
type gap struct{ from, to uint64 }

// link is the payload digest of a recent event; empty: it could not be verified.
type link struct {
	sequence uint64
	digest   string
}

// maxGaps bounds the memory for streams with many holes; each is a finding already.
const maxGaps = 1024

// place finds the event's place among the others, and reports whether it belongs to the run. fault is what is wrong with the
// event itself, or nothing. That its key is not trusted is no fault here: the order is checked all the same.
func (s *state) place(e *event, at Finding, fault Kind) bool {
	report := func(k Kind, format string, args ...any) {
		at.Kind, at.Detail = k, fmt.Sprintf(format, args...)
		s.report.add(at)
	}
	if fault == UnknownKey {
		fault = ""
	}
	if e.sequence == 0 {
		if fault == "" {
			report(Unsigned, "no sequence number")
		}
		return false
	}
	if s.run == "" && e.run != "" {
		s.run, s.report.Run = e.run, e.run
	}
	if e.run != s.run {
		if fault == "" {
			report(Foreign, "belongs to run %s, and the stream to %s", printable(e.run), printable(s.run))
		}
		return false
	}
	n := e.sequence
	if fault != "" && n > s.next {
		return false // who knows where it belongs; its place stays empty and is missed at the next good event
	}
	if s.closed && n > s.closing {
		report(AfterEnd, "follows the closing event, number %d", s.closing)
		return false
	}
	switch {
	case n > s.next:
		s.skip(gap{s.next, n - 1})
		s.next = n + 1
	case n == s.next:
		s.next++
	case s.fill(n):
		report(Reordered, "comes after number %d", s.next-1)
	case fault != "":
		return false // a damaged copy: that it is damaged is said already
	default:
		report(Duplicated, "number %d comes again", n)
		return false
	}
	if n == 1 {
		s.first(e, report, fault)
	} else if before := s.recent[(n-1)%64]; fault == "" && before.sequence == n-1 && before.digest != "" && before.digest != e.prev {
		report(Broken, "does not follow the event before it: cellosprev is another payload's digest")
	}
	l := link{sequence: n}
	if fault == "" {
		l.digest = e.digest
	}
	s.recent[n%64] = l
	if n+1 == s.next {
		s.head = l.digest
	}
	if e.count != 0 && fault == "" {
		if e.count != n {
			report(Truncated, "the closing event is number %d and counts %d events", n, e.count)
		}
		if n+1 != s.next {
			report(AfterEnd, "closes the run, and event %d was before it", s.next-1)
		}
		s.closed, s.closing, s.report.Count = true, n, e.count
	}
	return true
}

// first checks the link to the document.
func (s *state) first(e *event, report func(Kind, string, ...any), fault Kind) {
	if s.v.Document != "" && fault == "" && e.prev != s.v.Document {
		report(WrongDocument, "the run began with the document %s, not %s", printable(e.prev), s.v.Document)
	}
	if fault == "" {
		s.report.Document = e.prev
	}
}

// skip remembers numbers that were passed over. Beyond maxGaps the last gap grows: still missing, less exactly.
func (s *state) skip(g gap) {
	if len(s.missing) == maxGaps {
		s.report.add(Finding{Kind: Missing, Sequence: g.from, Detail: g.String()})
		return
	}
	s.missing = append(s.missing, g)
}

func (g gap) String() string {
	if g.from == g.to {
		return fmt.Sprintf("event %d is missing", g.from)
	}
	return fmt.Sprintf("events %d to %d are missing", g.from, g.to)
}

// fill takes n out of the missing numbers, and reports whether it was one.
func (s *state) fill(n uint64) bool {
	for i, g := range s.missing {
		if n < g.from || n > g.to {
			continue
		}
		var rest []gap
		if g.from < n {
			rest = append(rest, gap{g.from, n - 1})
		}
		if n < g.to {
			rest = append(rest, gap{n + 1, g.to})
		}
		s.missing = slices.Replace(s.missing, i, i+1, rest...)
		return true
	}
	return false
}

// end makes the findings that only the end of the stream allows.
func (s *state) end() {
	r := &s.report
	for _, g := range s.missing {
		r.add(Finding{Kind: Missing, Sequence: g.from, Detail: g.String()})
	}
	r.Complete, r.Head = s.closed, s.head
	last := s.next - 1
	switch {
	case s.v.Count != 0 && s.v.Count != last:
		r.add(Finding{Kind: Truncated, Sequence: last, Detail: fmt.Sprintf("the stream ends with event %d of %d", last, s.v.Count)})
	case s.v.Head != "" && s.v.Head != s.head:
		r.add(Finding{Kind: Truncated, Sequence: last, Detail: "the last event is not the one with the expected digest"})
	case !s.closed && last == 0:
		r.add(Finding{Kind: Open, Detail: "there is no event that could be placed"})
	case !s.closed:
		r.add(Finding{Kind: Open, Sequence: last, Detail: fmt.Sprintf("no closing event follows event %d", last)})
	}
}
