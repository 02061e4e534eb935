package policy

import (
	"encoding/json"

	"cellos.io/cellos/evidence"
)

// Facts are what the events of a run say, as far as policies ask. The zero value knows nothing; Visit fills it. Where an
// event occurs more than once, the worse counts.
type Facts struct {
	Backend, Profile, Network string
	Promised                  []string // layers of the plan
	Egress                    []string // granted names, "host:port"
	CompatAllow               []string
	Layers                    map[string]bool // measured layers: does it hold
	BoundaryHolds             bool
	Denials                   int
	Outcome                   string
	Clean                     bool

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
	case evidence.TypePlan:
		f.visitPlan(e.Data)
	case evidence.TypeBoundary:
		f.visitBoundary(e.Data)
	case evidence.TypeResidue:
		var d struct{ Clean bool }
		json.Unmarshal(e.Data, &d) // what cannot be read stays zero: not clean
		f.Clean = d.Clean && (f.Clean || !f.residue)
		f.residue = true
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
		Layers, Egress, CompatAllow []string
	}
	if json.Unmarshal(data, &d) != nil {
		return
	}
	f.plan = true
	f.Backend, f.Profile, f.Network, f.Promised = d.Backend, d.Profile, d.Network, d.Layers
	f.Egress = bounded(f.Egress, d.Egress)
	f.CompatAllow = bounded(f.CompatAllow, d.CompatAllow)
}

func (f *Facts) visitBoundary(data []byte) {
	var d struct {
		Holds  bool
		Layers []struct {
			Name  string
			Holds bool
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
		if known || len(f.Layers) < maxList {
			f.Layers[l.Name] = l.Holds && (held || !known)
		}
	}
}

func bounded(list, more []string) []string {
	return append(list, more[:min(len(more), maxList-len(list))]...)
}
