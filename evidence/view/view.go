// Package view makes of the events of a run what a person wants to read: how it ended, a timeline, the boundary, what was granted and what
// was used of it, what was refused and what would allow it, and what it left.
//
//	run, err := view.Read(file)
//	run.Verified(report)          // what package verify says
//	err = run.Text(os.Stdout)     // or run.HTML(w), or view.Diff(a, b)
//
// What the events say is untrusted text: everything goes through package printable, and into HTML escaped. The package does not verify, and
// shows events that do not verify like others, under a line that says so.
package view

import (
	"fmt"
	"strings"
	"time"

	"cellos.io/cellos/evidence/verify"
	"cellos.io/cellos/printable"
)

// Run is one run, read. Texts are as the events have them.
type Run struct {
	Name   string // of its record
	Record string // the directory; empty: the events came from elsewhere

	Verdict  verify.Verdict // empty: nobody verified
	Findings []string
	Keys     []string
	Count    uint64 // events

	Identity, Cell, RunID string
	Started, Ended        time.Time // of the first and the last event
	Closed                bool      // there is a closing event
	Abandoned             bool
	Outcome, Reason       string // of the closing event

	Document, PlanDigest         string
	Backend, Profile, Seccomp    string
	Network                      string
	Egress, CompatAllow, Missing []string
	Injected                     Injected
	Argv                         []string
	Ending                       string // "exited", …
	Exit                         *int
	Signal                       string
	Duration, User, System       time.Duration
	MaxRSS                       int64
	Replaced                     *int64 // pieces of the output that were secrets; nil: the output was passed on as it is
	Layers                       []Layer
	Probes, ProbesHeld           int
	Measured, Holds              bool
	Start                        string        // of a virtual machine: evidence.StartCold, …
	Waited                       time.Duration // of a pooled one, for the cell
	NotCollected                 []string
	Files                        []FileUse
	Names                        []NameUse
	Secrets                      []SecretUse
	Limits                       []LimitUse
	Denials                      []Denial
	Unused, NotObserved          []string
	Changes                      []Change
	ChangesTotal                 int
	ChangesCut                   bool
	Artifacts                    []Artifact
	Residue                      []Check
	Looked                       bool // for what was left
	Timeline                     []Moment
	TimelineMore                 int // moments that are not listed
	Problems                     []string
}

// Layer is one layer of the measured boundary.
type Layer struct {
	Name, Promised, ObservedInside, ObservedOutside string
	Holds                                           bool
}

// FileUse, NameUse, SecretUse and LimitUse are the parts of the event usage; a nil count was not observed.
type (
	FileUse struct {
		Path, At, Mode  string
		Access          []string
		Opened, Changed *int64
	}
	NameUse struct {
		Name                                  string
		Connections, BytesSent, BytesReceived *int64
	}
	SecretUse struct {
		Name        string
		Taken       *int64
		Placeholder bool
	}
	LimitUse struct {
		Name, Unit string
		Limit      int64
		Peak       *int64
		Reached    bool
	}
)

// Denial is something that was refused.
type Denial struct {
	What, Name, Grant string
	ClaimedBy         string // "guest": a virtual machine says so, and nobody else saw it; "": observed
	Count             int64

	event bool // told by events of its own; the event usage sums them up
}

// Change is one changed file.
type Change struct {
	Path, Change, Kind, Mode, SHA256 string
	SizeBytes                        int64
}

// Artifact is one exported file; Failed says why it did not get to its target.
type Artifact struct {
	Name, Destination, SHA256, Failed string
	Size                              int64
}

// Check is one kind of thing that was looked for after the end.
type Check struct {
	What  string
	Found []string
}

// Moment is one entry of the timeline.
type Moment struct {
	After    time.Duration // since the first event
	Sequence uint64
	Title    string
	Detail   string
	Bad      bool
}

// Verified notes what a verification found.
func (r *Run) Verified(report verify.Report) {
	r.Verdict, r.Keys, r.Document = report.Verdict(), report.Keys, report.Document
	for _, f := range report.Findings[:min(len(report.Findings), 20)] {
		r.Findings = append(r.Findings, f.String())
	}
	if n := len(report.Findings) + report.More - 20; n > 0 {
		r.Findings = append(r.Findings, fmt.Sprintf("and %d more", n))
	}
}

// Good reports whether the run succeeded and nothing about it is doubtful.
func (r *Run) Good() bool {
	return r.Outcome == "succeeded" && (r.Verdict == verify.Good || r.Verdict == "")
}

// Headline says in one line how the run ended.
func (r *Run) Headline() string {
	switch {
	case r.Abandoned:
		return "abandoned: " + r.Reason
	case !r.Closed:
		return "not closed: its supervisor still runs, or died"
	case r.Outcome == "":
		return "refused"
	case r.Outcome == "succeeded":
		return "succeeded: " + r.How()
	}
	return r.Outcome + ": " + r.Reason
}

// How says how the command ended.
func (r *Run) How() string {
	switch {
	case r.Ending == "" && len(r.Argv) == 0:
		return "there was no command"
	case r.Ending == "notStarted":
		return "the command was not started"
	case r.Exit != nil:
		return fmt.Sprintf("%s with status %d after %s", r.Ending, *r.Exit, Span(r.Duration))
	case r.Signal != "":
		return fmt.Sprintf("%s by %s after %s", r.Ending, r.Signal, Span(r.Duration))
	}
	return fmt.Sprintf("%s after %s", r.Ending, Span(r.Duration))
}

// Scrubbed says in one line what was taken out of the output; "" if nobody asked for that.
func (r *Run) Scrubbed() string {
	if r.Replaced == nil {
		return ""
	}
	return "secrets are replaced: " + plural(int(*r.Replaced), "time")
}

// Proof says in one line what the signatures are worth.
func (r *Run) Proof() string {
	switch r.Verdict {
	case verify.Good:
		return fmt.Sprintf("verified: %d events, nothing missing or changed, signed by %s", r.Count, strings.Join(r.Keys, ", "))
	case verify.NotClosed:
		return "open: good as far as it goes, and nothing says that this is all"
	case verify.Untrusted:
		return "NOT VERIFIED: signed with a key that is not trusted here"
	case "":
		return "not verified"
	}
	return "DOES NOT VERIFY: " + string(r.Verdict)
}

// Command returns the argument vector as a shell would want it.
func (r *Run) Command() string { return printable.Command(r.Argv) }

// Span writes a duration with as many digits as are worth reading.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Span(-d)
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 100*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// Size writes a number of bytes with its unit.
func Size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// amount writes a value of a limit in its unit.
func amount(n int64, unit string) string {
	switch unit {
	case "bytes":
		return Size(n)
	case "nanoseconds":
		return Span(time.Duration(n))
	}
	return fmt.Sprint(n)
}

// count writes a count that may not have been observed.
func count(n *int64) string {
	if n == nil {
		return "not observed"
	}
	return fmt.Sprint(*n)
}
