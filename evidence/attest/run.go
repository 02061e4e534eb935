package attest

import (
	"encoding/json"

	"cellos.io/cellos/evidence"
)

// Run is what the events of one run say, as far as an attestation repeats it. The zero value knows nothing; Visit, which is for
// verify.Verifier.Visit, fills it.
type Run struct {
	cellID, runID                        string
	plan                                 string // digest
	backend, profile, seccomp, network   string
	layers, missing, egress, compatAllow []string
	argv                                 []string
	ending, signal                       string
	exit                                 *int
	boundary, holds, looked, clean       bool
	outcome, reason                      string
	artifacts, files                     []file
	changed                              int
	cut                                  bool // not every changed file is listed
}

type file struct{ name, digest, how string }

// maxFiles bounds the subjects; package overlay lists as many changes.
const maxFiles = 10_000

// Outcome is the run's own: "succeeded", "failed", or "" for a run that was refused.
func (r *Run) Outcome() string { return r.outcome }

// Visit takes a verified event in.
func (r *Run) Visit(e evidence.Event) {
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
	var ids struct{ CellID, RunID string }
	if json.Unmarshal(e.Data, &ids) == nil && r.cellID == "" {
		r.cellID, r.runID = ids.CellID, ids.RunID
	}
	// What cannot be read stays unknown, and an unknown boundary does not hold.
	read := func(to any) { json.Unmarshal(e.Data, to) }
	switch e.Type {
	case evidence.TypePlan:
		var d struct {
			Digest, Backend, Profile, SeccompProfile, Network string
			Layers, Missing, Egress, CompatAllow              []string
		}
		read(&d)
		r.plan, r.backend, r.profile, r.seccomp, r.network = d.Digest, d.Backend, d.Profile, d.SeccompProfile, d.Network
		r.layers, r.missing, r.egress, r.compatAllow = d.Layers, d.Missing, d.Egress, d.CompatAllow
	case evidence.TypeBoundary:
		var d struct{ Holds bool }
		read(&d)
		r.holds = d.Holds && (r.holds || !r.boundary)
		r.boundary = true
	case evidence.TypeCompleted:
		read(&struct{ Argv *[]string }{&r.argv})
	case evidence.TypeCommand:
		var d struct {
			Outcome  string
			ExitCode *int
			Signal   string
		}
		read(&d)
		r.ending, r.exit, r.signal = d.Outcome, d.ExitCode, d.Signal
	case evidence.TypeArtifact:
		var d struct{ ArtifactName, SHA256 string }
		read(&d)
		r.artifacts = keep(r.artifacts, file{d.ArtifactName, d.SHA256, "exported"})
	case evidence.TypeFiles:
		var d struct {
			Total     int
			Truncated bool
			Changes   []struct{ Path, Change, Kind, SHA256 string }
		}
		read(&d)
		r.changed, r.cut = d.Total, r.cut || d.Truncated
		for _, c := range d.Changes {
			if c.Kind == "file" && c.Change != evidence.FileDeleted {
				r.files = keep(r.files, file{c.Path, c.SHA256, c.Change})
			}
		}
	case evidence.TypeResidue:
		var d struct{ Clean bool }
		read(&d)
		r.clean = d.Clean && (r.clean || !r.looked)
		r.looked = true
	case evidence.TypeDestroyed:
		var d struct{ Outcome, Reason string }
		read(&d)
		r.outcome, r.reason = d.Outcome, d.Reason
	}
}

func keep(list []file, f file) []file {
	if len(f.digest) == 64 && f.name != "" && len(list) < maxFiles {
		return append(list, f)
	}
	return list
}
