package evidence

// Plan says what this host will enforce, before the command is released. Nil and empty lists are written as [].
type Plan struct {
	Backend        string   // "process", "gvisor", "microvm"
	Profile        string   // deployment profile, such as "portable" or "hardened"; empty: left out
	SeccompProfile string   // such as "hardened"; empty: left out
	Digest         string   // "sha256:…" of the printed plan
	Layers         []string // the layers promised, by the names that Boundary uses
	Missing        []string // layers that the host lacks and the profile lets go
	Network        string   // "none", "names" or "host"
	Egress         []string // granted names, "host:port"
	CompatAllow    []string // tags of CELLOS_COMPAT_ALLOW that had an effect

	Details map[string]any // whatever else is worth keeping; nil: left out
}

func (Plan) Type() string { return TypePlan }

func (p Plan) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("backend", p.Backend)
	o.str("cellId", r.CellID)
	o.strs("compatAllow", p.CompatAllow)
	if p.Details != nil {
		o.free("details", p.Details)
	}
	o.str("digest", p.Digest)
	o.strs("egress", p.Egress)
	o.strs("layers", p.Layers)
	o.strs("missing", p.Missing)
	o.str("network", p.Network)
	o.strOpt("profile", p.Profile)
	o.str("runId", r.RunID)
	o.strOpt("seccompProfile", p.SeccompProfile)
	o.str("specId", r.SpecID)
	return o.end()
}

// Claimed begins an observation that a guest made of itself: nobody else saw it.
const Claimed = "the guest claims: "

// Layer is one layer of the boundary: what the plan promised and what was seen. An empty observation is left out: it
// could not be made from there.
type Layer struct {
	Name            string // "seccomp", "landlock", "mount namespace", …
	Promised        string
	ObservedInside  string // by a probe in the cell
	ObservedOutside string // in /proc, from the host
	Holds           bool
}

// Probe is one forbidden operation that was tried inside the cell before release.
type Probe struct {
	Name     string // such as "mount a file system"
	Expected string // such as "EPERM"
	Got      string
	Holds    bool
}

// Boundary is the measured boundary: written before release, and only released when it holds.
type Boundary struct {
	Layers       []Layer
	Probes       []Probe
	NotCollected []string // what the document asks to record and the backend has no channel for

	Inside, Outside map[string]any // raw observations; nil: left out

	Start       string // of a virtual machine: StartCold, StartPooled or StartRestored; empty: left out
	WaitedNanos int64  // how long a pooled machine waited for its cell; else left out
}

// How the virtual machine of a cell came about.
const (
	StartCold     = "cold"     // booted for the cell
	StartPooled   = "pooled"   // booted before, and never used
	StartRestored = "restored" // from a snapshot
)

// Holds reports whether every layer and every probe holds; the event's member holds.
func (p Boundary) Holds() bool {
	for _, l := range p.Layers {
		if !l.Holds {
			return false
		}
	}
	for _, q := range p.Probes {
		if !q.Holds {
			return false
		}
	}
	return true
}

func (Boundary) Type() string { return TypeBoundary }

func (p Boundary) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.boolean("holds", p.Holds())
	if p.Inside != nil {
		o.free("inside", p.Inside)
	}
	list(o, "layers", p.Layers, func(o *object, l Layer) {
		o.boolean("holds", l.Holds)
		o.str("name", l.Name)
		o.strOpt("observedInside", l.ObservedInside)
		o.strOpt("observedOutside", l.ObservedOutside)
		o.str("promised", l.Promised)
	})
	o.strs("notCollected", p.NotCollected)
	if p.Outside != nil {
		o.free("outside", p.Outside)
	}
	list(o, "probes", p.Probes, func(o *object, q Probe) {
		o.str("expected", q.Expected)
		o.str("got", q.Got)
		o.boolean("holds", q.Holds)
		o.str("name", q.Name)
	})
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	o.strOpt("start", p.Start)
	if p.Start == StartPooled {
		o.num("waitedNanos", p.WaitedNanos)
	}
	return o.end()
}

// Outcomes of a Command.
const (
	OutcomeExited      = "exited"      // ExitCode is set
	OutcomeSignaled    = "signaled"    // Signal is set
	OutcomeTimeout     = "timeout"     // a time limit ended it
	OutcomeCancelled   = "cancelled"   // the caller ended it
	OutcomeOutOfMemory = "outOfMemory" // the kernel ended it at the memory limit
	OutcomeNotStarted  = "notStarted"  // it could not be executed
)

// Command tells how the command ended and what it used: what the documented event cannot.
type Command struct {
	Outcome  string // OutcomeExited, …
	ExitCode *int   // 0 to 255; nil: null
	Signal   string // "SIGKILL"; empty: null

	DurationNanos, UserNanos, SystemNanos int64 // wall time, and processor time of all its processes
	MaxRSSBytes                           int64 // high-water mark of memory
	ReadBlocks, WrittenBlocks             int64 // of 512 bytes, getrusage(2)
	Processes                             int64 // high-water mark of processes in the cell; 0: unknown

	OutputReplaced *int64 // how many pieces of the output were secrets, and replaced; nil: the output was passed on as it is

	Details map[string]any // limits and their high-water marks, refused calls, …; nil: left out
}

func (Command) Type() string { return TypeCommand }

func (p Command) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	if p.Details != nil {
		o.free("details", p.Details)
	}
	o.num("durationNanos", p.DurationNanos)
	if p.ExitCode == nil {
		o.null("exitCode")
	} else {
		o.num("exitCode", int64(*p.ExitCode))
	}
	o.num("maxRssBytes", p.MaxRSSBytes)
	o.str("outcome", p.Outcome)
	if p.OutputReplaced != nil {
		o.num("outputReplaced", *p.OutputReplaced)
	}
	o.num("processes", p.Processes)
	o.num("readBlocks", p.ReadBlocks)
	o.str("runId", r.RunID)
	if p.Signal == "" {
		o.null("signal")
	} else {
		o.str("signal", p.Signal)
	}
	o.str("specId", r.SpecID)
	o.num("systemNanos", p.SystemNanos)
	o.num("userNanos", p.UserNanos)
	o.num("writtenBlocks", p.WrittenBlocks)
	return o.end()
}

// ResidueCheck is one place that was looked at after teardown.
type ResidueCheck struct {
	What  string   // "processes", "mounts", "cgroup", …
	Found []string // what was left there; nothing is good
}

// Residue tells what was found after teardown.
type Residue struct{ Checks []ResidueCheck }

// Clean reports whether there were checks and none found anything; the event's member clean.
func (p Residue) Clean() bool {
	for _, c := range p.Checks {
		if len(c.Found) > 0 {
			return false
		}
	}
	return len(p.Checks) > 0
}

func (Residue) Type() string { return TypeResidue }

func (p Residue) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	list(o, "checks", p.Checks, func(o *object, c ResidueCheck) {
		o.strs("found", c.Found)
		o.str("what", c.What)
	})
	o.boolean("clean", p.Clean())
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// Abandoned closes the chain of a run whose supervisor died.
type Abandoned struct {
	LastSequence uint64 // of the last whole event
	TornBytes    int64  // length of the partial line that followed it and was cut off
	Reason       string
}

func (Abandoned) Type() string { return TypeAbandoned }

func (p Abandoned) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.unum("lastSequence", p.LastSequence)
	o.str("reason", p.Reason)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	o.num("tornBytes", p.TornBytes)
	return o.end()
}
