package cell

import (
	"errors"
	"fmt"
	"time"

	"cellos.io/cellos/plan"
)

// A Boundary is what was measured on the finished cell, from both sides, before the command started.
type Boundary struct {
	Layers []Layer
	Probes []Probe
	Caps   Caps // of the cell's first process, from /proc/PID/status
	Start  Start
}

// A Start is how the machine of a cell came about. The zero value is that of a cell that has none.
type Start struct {
	How    string        // evidence.StartCold or evidence.StartPooled
	Waited time.Duration // of a pooled machine: since its guest was ready
}

// A Layer joins what the plan promised of one layer with what was seen.
type Layer struct {
	Name     string
	Promised string
	Inside   string // what the probes of this layer found; "" if it has none
	Outside  string // what /proc shows from outside; "" if it shows nothing
	Holds    bool
}

// A Probe is a probe of the plan with its answer.
type Probe struct {
	plan.Probe
	Got   string // "EPERM", or "success"
	Holds bool
}

// Caps are capability sets, bit n for capability n; see capabilities(7).
type Caps struct{ Inheritable, Permitted, Effective, Bounding, Ambient uint64 }

// Holds reports whether every layer holds.
func (b Boundary) Holds() bool { return b.Err() == nil }

// Err says which layers do not hold, and how that shows. It is nil if all do.
func (b Boundary) Err() error {
	var errs []error
	for _, l := range b.Layers {
		if !l.Holds {
			errs = append(errs, fmt.Errorf("the boundary does not hold: %s: promised %s; %s", l.Name, l.Promised, seen(l)))
		}
	}
	return errors.Join(errs...)
}

func seen(l Layer) string {
	switch {
	case l.Inside == "":
		return "from outside: " + l.Outside
	case l.Outside == "":
		return "from inside: " + l.Inside
	}
	return "from inside: " + l.Inside + "; from outside: " + l.Outside
}

// A Residue is what a look for leftovers found after the end of a cell.
type Residue struct{ Checks []Check }

// A Check is one kind of thing that was looked for.
type Check struct {
	What  string   // "processes"
	Found []string // what was left; empty if nothing
}

// Clean reports whether nothing was left.
func (r Residue) Clean() bool {
	for _, c := range r.Checks {
		if len(c.Found) > 0 {
			return false
		}
	}
	return true
}
