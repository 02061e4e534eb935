package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
)

// Bounds of what is kept for showing; a run may have millions of events.
const (
	maxTimeline = 500
	maxChanges  = 1000
	maxDenials  = 1000
)

// Read reads the events of a run. Lines that are no events become problems, and so does everything in an event that is not what its type
// says; the error says that the stream could not be read.
func Read(in io.Reader) (*Run, error) {
	r := &Run{}
	for e, err := range evidence.ReadEvents(in) {
		var line *evidence.LineError
		switch {
		case errors.As(err, &line):
			r.problem(err.Error())
		case err != nil:
			return r, err
		default:
			r.add(e)
		}
	}
	return r, nil
}

func (r *Run) problem(text string) {
	if len(r.Problems) < 20 {
		r.Problems = append(r.Problems, text)
	}
}

// add takes one event in.
func (r *Run) add(e evidence.Event) {
	if e.Type == evidence.TypeSignedEnvelope {
		var d struct {
			Event struct {
				Type string
				Data json.RawMessage
			}
		}
		if json.Unmarshal(e.Data, &d) == nil {
			e.Type, e.Data = d.Event.Type, d.Event.Data
		}
	}
	r.Count++
	if r.Count == 1 {
		r.Started, r.Identity = e.Time, e.Run
		r.Document = e.Prev
	}
	if e.Time.After(r.Ended) {
		r.Ended = e.Time
	}
	var ids struct{ CellID, RunID string }
	if json.Unmarshal(e.Data, &ids) == nil && r.Cell == "" {
		r.Cell, r.RunID = ids.CellID, ids.RunID
	}
	if e.Count != 0 {
		r.Closed = true
	}
	if err := r.take(e); err != nil {
		r.problem(fmt.Sprintf("event %d (%s): %v", e.Sequence, e.Type, err))
	}
	title, detail, bad := moment(e)
	if title == "" {
		return
	}
	if len(r.Timeline) < maxTimeline {
		r.Timeline = append(r.Timeline, Moment{e.Time.Sub(r.Started), e.Sequence, title, detail, bad})
	} else {
		r.TimelineMore++
	}
}

// take notes what an event says of the run.
func (r *Run) take(e evidence.Event) error {
	read := func(to any) error { return json.Unmarshal(e.Data, to) }
	switch e.Type {
	case evidence.TypePlan:
		var d struct {
			Backend, Profile, SeccompProfile, Digest, Network string
			Egress, CompatAllow, Missing                      []string
			Details                                           struct{ Injected Injected }
		}
		err := read(&d)
		r.Backend, r.Profile, r.Seccomp, r.PlanDigest, r.Network = d.Backend, d.Profile, d.SeccompProfile, d.Digest, d.Network
		r.Egress, r.CompatAllow, r.Missing, r.Injected = d.Egress, d.CompatAllow, d.Missing, d.Details.Injected
		return err
	case evidence.TypeBoundary:
		var d struct {
			Holds        bool
			Layers       []Layer
			Probes       []struct{ Holds bool }
			NotCollected []string
			Start        string
			WaitedNanos  int64
		}
		err := read(&d)
		r.Start, r.Waited = d.Start, time.Duration(d.WaitedNanos)
		r.Measured, r.Holds, r.Layers, r.Probes, r.NotCollected = true, d.Holds, d.Layers, len(d.Probes), d.NotCollected
		for _, p := range d.Probes {
			if p.Holds {
				r.ProbesHeld++
			}
		}
		return err
	case evidence.TypeCompleted:
		return read(&struct{ Argv *[]string }{&r.Argv})
	case evidence.TypeCommand:
		var d struct {
			Outcome                               string
			ExitCode                              *int
			Signal                                string
			DurationNanos, UserNanos, SystemNanos int64
			MaxRSSBytes                           int64
			OutputReplaced                        *int64
		}
		err := read(&d)
		r.Ending, r.Exit, r.Signal, r.MaxRSS = d.Outcome, d.ExitCode, d.Signal, d.MaxRSSBytes
		r.Replaced = d.OutputReplaced
		r.Duration, r.User, r.System = time.Duration(d.DurationNanos), time.Duration(d.UserNanos), time.Duration(d.SystemNanos)
		if d.Signal == "SIGSYS" {
			r.deny(Denial{What: evidence.DeniedSyscall, Name: "outside the profile " + r.Seccomp + " (SIGSYS ended the command)", Grant: "another --seccomp profile", Count: 1})
		}
		return err
	case evidence.TypeUsage:
		return r.usage(e)
	case evidence.TypeFiles:
		var d struct {
			Total     int
			Truncated bool
			Changes   []Change
		}
		err := read(&d)
		r.ChangesTotal, r.ChangesCut = d.Total, r.ChangesCut || d.Truncated
		r.Changes = append(r.Changes, d.Changes[:min(len(d.Changes), maxChanges-len(r.Changes))]...)
		return err
	case evidence.TypeArtifact, evidence.TypeExportCompleted, evidence.TypeExportFailed:
		return r.export(e)
	case evidence.TypeResidue:
		r.Looked = true
		return read(&struct{ Checks *[]Check }{&r.Residue})
	case evidence.TypeDestroyed:
		return read(&struct{ Outcome, Reason *string }{&r.Outcome, &r.Reason})
	case evidence.TypeAbandoned:
		r.Abandoned = true
		return read(&struct{ Reason *string }{&r.Reason})
	case evidence.TypePolicyRejected, evidence.TypeAuthzRejected, evidence.TypeKeysetVerificationFailed, evidence.TypeManifestFailed:
		r.Outcome = "refused"
		_, r.Reason, _ = moment(e)
	}
	return r.refused(e)
}

func (r *Run) usage(e evidence.Event) error {
	var d struct {
		Files               []FileUse
		Names               []NameUse
		Secrets             []SecretUse
		Limits              []LimitUse
		Denials             []Denial
		Unused, NotObserved []string
	}
	err := json.Unmarshal(e.Data, &d)
	r.Files, r.Names, r.Secrets, r.Limits, r.Unused, r.NotObserved = d.Files, d.Names, d.Secrets, d.Limits, d.Unused, d.NotObserved
	for _, x := range d.Denials {
		if x.What == evidence.DeniedName { // counted there, with what would allow it
			r.Denials = slices.DeleteFunc(r.Denials, func(y Denial) bool { return y.event })
			break
		}
	}
	for _, x := range d.Denials {
		r.deny(x)
	}
	return err
}

func (r *Run) export(e evidence.Event) error {
	var d struct {
		ArtifactName, SHA256, Destination, Reason string
		SizeBytes                                 int64
		Receipt                                   struct {
			Destination  string
			BytesWritten int64
		}
	}
	err := json.Unmarshal(e.Data, &d)
	var a *Artifact
	for i := range r.Artifacts {
		if r.Artifacts[i].Name == d.ArtifactName {
			a = &r.Artifacts[i]
		}
	}
	if a == nil && len(r.Artifacts) < maxChanges {
		r.Artifacts = append(r.Artifacts, Artifact{Name: d.ArtifactName})
		a = &r.Artifacts[len(r.Artifacts)-1]
	}
	switch {
	case a == nil:
	case e.Type == evidence.TypeArtifact:
		a.SHA256, a.Size, a.Destination = d.SHA256, d.SizeBytes, d.Destination
	case e.Type == evidence.TypeExportFailed:
		a.Failed, a.Destination = d.Reason, d.Destination
	default:
		a.Destination, a.Size = d.Receipt.Destination, d.Receipt.BytesWritten
	}
	return err
}

// refused notes the denials that are events of their own.
func (r *Run) refused(e evidence.Event) error {
	var d struct {
		Action, Decision, SNIHost, DstAddr, QueryName, ReasonCode, Protocol string
		DstPort                                                             int
	}
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return err
	}
	if d.Action != "deny" && d.Decision != "deny" {
		return nil
	}
	name, grant := d.SNIHost, ""
	switch {
	case d.QueryName != "":
		name, grant = "looking up "+d.QueryName, "an egress rule for "+d.QueryName
	case d.DstAddr != "":
		name = net.JoinHostPort(d.DstAddr, strconv.Itoa(d.DstPort))
		grant = fmt.Sprintf("an egress rule {host: %s, port: %d}", d.DstAddr, d.DstPort)
	case name != "":
		grant = "an egress rule for " + name
	}
	if d.ReasonCode != "" {
		name += " (" + d.ReasonCode + ")"
	}
	r.deny(Denial{What: evidence.DeniedName, Name: name, Grant: grant, Count: 1, event: true})
	return nil
}

func (r *Run) deny(d Denial) {
	for i := range r.Denials {
		if x := &r.Denials[i]; x.What == d.What && x.Name == d.Name {
			x.Count += d.Count
			return
		}
	}
	if len(r.Denials) < maxDenials {
		r.Denials = append(r.Denials, d)
	}
}

// shortType is the last part of a type, in words.
func shortType(t string) string {
	return strings.ReplaceAll(t[strings.LastIndexByte(t, '.')+1:], "_", " ")
}
