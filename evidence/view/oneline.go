package view

import (
	"fmt"
	"strings"

	"cellos.io/cellos/evidence"
)

// Boundary says in one line whether the boundary held.
func (r *Run) Boundary() string {
	switch {
	case !r.Measured:
		return "not measured: nothing ran"
	case r.Holds:
		return "held: " + plural(len(r.Layers), "layer") + ", " + plural(r.Probes, "probe") + r.machine()
	}
	return fmt.Sprintf("DID NOT HOLD: %d of %d probes answered as they must; nothing ran", r.ProbesHeld, r.Probes)
}

// machine says how the virtual machine of the cell came about, if it has one.
func (r *Run) machine() string {
	switch r.Start {
	case "":
		return ""
	case evidence.StartCold:
		return "; in a machine that was booted for it"
	case evidence.StartPooled:
		return "; in a machine of the pool, never used before, that had waited " + Span(r.Waited)
	}
	return "; in a machine that was " + r.Start
}

// LeftOver says in one line what a look for leftovers found.
func (r *Run) LeftOver() string {
	if !r.Looked {
		return "nobody looked"
	}
	var found []string
	for _, c := range r.Residue {
		for _, f := range c.Found {
			found = append(found, c.What+": "+f)
		}
	}
	if len(found) == 0 {
		return "nothing"
	}
	return strings.Join(found, "; ")
}

// Reach says in words what of the network was granted.
func (r *Run) Reach() string {
	switch {
	case r.Network == "host":
		return "the host's network, unfiltered"
	case len(r.Egress) > 0:
		return strings.Join(r.Egress, ", ")
	case r.Network == "":
		return "unknown"
	}
	return "none"
}
