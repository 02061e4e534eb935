package policy

import (
	"encoding/json"
	"fmt"
	"strings"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/printable"
)

// Facts are what the events of a run say, as far as policies ask. The zero value knows nothing; Visit fills it. Where an
// event occurs more than once, the worse counts.
type Facts struct {
	Backend, Profile, Network string
	PlanDigest                string   // "sha256:…" of the printed plan
	Promised                  []string // layers of the plan
	Egress                    []string // granted names, "host:port"
	CompatAllow               []string
	Layers                    map[string]bool // measured layers: does it hold
	BoundaryHolds             bool
	Claimed                   int // of Layers, those that nobody saw but the guest that they are in
	Denials                   int
	Outcome                   string
	Clean                     bool
	Cell                      string   // the cell's name
	Argv                      []string // of the command; empty: there was none

	plan, boundary, residue bool // the event was there
}

// maxList bounds what is kept of lists, so that a stream cannot make the facts grow without end.
const maxList = 10_000

// Visit is for verify.Verifier.Visit.
func (f *Facts) Visit(e evidence.Event) {
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
	switch e.Type {
	case evidence.TypeStarted:
		var d struct{ CellID string }
		json.Unmarshal(e.Data, &d)
		f.Cell = d.CellID
	case evidence.TypeCompleted:
		var d struct{ Argv []string }
		json.Unmarshal(e.Data, &d)
		f.Argv = d.Argv
	case evidence.TypePlan:
		f.visitPlan(e.Data)
	case evidence.TypeBoundary:
		f.visitBoundary(e.Data)
	case evidence.TypeResidue:
		var d struct{ Clean bool }
		json.Unmarshal(e.Data, &d) // what cannot be read stays zero: not clean
		f.Clean = d.Clean && (f.Clean || !f.residue)
		f.residue = true
	case evidence.TypeUsage:
		var d struct {
			Denials []struct {
				What  string
				Count int
			}
		}
		json.Unmarshal(e.Data, &d)
		for _, x := range d.Denials {
			if x.What != evidence.DeniedName { // those have events of their own
				f.Denials += x.Count
			}
		}
	case evidence.TypeDestroyed:
		var d struct{ Outcome string }
		json.Unmarshal(e.Data, &d)
		f.Outcome = d.Outcome
	default:
		var d struct{ Action, Decision string }
		if json.Unmarshal(e.Data, &d) == nil && (d.Action == "deny" || d.Decision == "deny") {
			f.Denials++
		}
	}
}

func (f *Facts) visitPlan(data []byte) {
	var d struct {
		Backend, Profile, Network   string
		Digest                      string
		Layers, Egress, CompatAllow []string
	}
	if json.Unmarshal(data, &d) != nil {
		return
	}
	f.plan = true
	f.Backend, f.Profile, f.Network, f.Promised = d.Backend, d.Profile, d.Network, d.Layers
	f.PlanDigest = d.Digest
	f.Egress = bounded(f.Egress, d.Egress)
	f.CompatAllow = bounded(f.CompatAllow, d.CompatAllow)
}

func (f *Facts) visitBoundary(data []byte) {
	var d struct {
		Holds  bool
		Layers []struct {
			Name, ObservedInside, ObservedOutside string
			Holds                                 bool
		}
	}
	json.Unmarshal(data, &d)
	f.BoundaryHolds = d.Holds && (f.BoundaryHolds || !f.boundary)
	f.boundary = true
	if f.Layers == nil {
		f.Layers = map[string]bool{}
	}
	for _, l := range d.Layers {
		held, known := f.Layers[l.Name]
		if !known && l.ObservedOutside == "" && strings.HasPrefix(l.ObservedInside, evidence.Claimed) {
			f.Claimed++
		}
		if known || len(f.Layers) < maxList {
			f.Layers[l.Name] = l.Holds && (held || !known)
		}
	}
}

func bounded(list, more []string) []string {
	return append(list, more[:min(len(more), maxList-len(list))]...)
}

// maxCommand is how many bytes of the command are said.
const maxCommand = 300

// Sentences say in words what the facts amount to, for a stream that verified.
func (f *Facts) Sentences() (list []string) {
	if len(f.Argv) > 0 {
		command := printable.Command(f.Argv)
		if len(command) > maxCommand {
			command = strings.ToValidUTF8(command[:maxCommand], "") + "…"
		}
		list = append(list, "command: "+command)
	}
	if f.plan {
		reach := "no network"
		switch {
		case f.Network == "host":
			reach = "the host's network"
		case len(f.Egress) > 0:
			reach = "network: " + strings.Join(f.Egress[:min(len(f.Egress), 20)], ", ")
			if n := len(f.Egress) - 20; n > 0 {
				reach += fmt.Sprintf(" and %d more", n)
			}
		}
		list = append(list, "granted: backend "+f.Backend+"; "+reach+"")
		if len(f.CompatAllow) > 0 {
			list = append(list, "opted out of: "+strings.Join(f.CompatAllow, ", "))
		}
	}
	switch {
	case f.boundary && f.BoundaryHolds:
		s := fmt.Sprintf("enforced: %d layers were measured before the command's first instruction, and held", len(f.Layers))
		if f.Claimed > 0 {
			s += fmt.Sprintf("; %d of them are inside the virtual machine, by its own account", f.Claimed)
		}
		list = append(list, s)
	case f.boundary:
		list = append(list, "enforced: the boundary did not hold, and nothing ran")
	default:
		list = append(list, "enforced: nothing was measured; nothing ran")
	}
	if f.Denials > 0 {
		list = append(list, fmt.Sprintf("refused: %d requests of the command", f.Denials))
	}
	if f.Outcome != "" {
		left := "nobody looked for what was left over"
		switch {
		case f.residue && f.Clean:
			left = "nothing was left over"
		case f.residue:
			left = "something was left over"
		}
		list = append(list, "ended: "+f.Outcome+"; "+left)
	}
	return list
}
