package evidence

import "strconv"

// Placement is the document's spec.placement, or what the host made of it.
type Placement struct{ PoolID, KubernetesNamespace, QueueName string } // empty: left out

func (o *object) placement(p Placement) {
	if p == (Placement{}) {
		return
	}
	o.object("placement", func(o *object) {
		o.strOpt("kubernetesNamespace", p.KubernetesNamespace)
		o.strOpt("poolId", p.PoolID)
		o.strOpt("queueName", p.QueueName)
	})
}

// Provenance points at the started event; the zero value leaves the member out.
type Provenance struct{ Parent, ParentType string }

// ProvenanceOf returns the provenance that names e, which may be the zero Event.
func ProvenanceOf(e Event) Provenance { return Provenance{e.ID, e.Type} }

func (o *object) provenance(p Provenance) {
	if p.Parent == "" {
		return
	}
	o.object("provenance", func(o *object) {
		o.str("parent", p.Parent)
		o.str("parentType", p.ParentType)
	})
}

// Started opens the life of the cell. Empty strings and nil leave members out.
type Started struct {
	TTLSeconds int64
	SpecHash   string // SHA-256 of the document's bytes as read, 64 lower-case hexadecimal digits

	// Only with a derivation token:
	DerivationVerified    *bool
	RoleRoot, ParentRunID string

	// Only with a manifest of boot artifacts: 64 hexadecimal digits.
	KernelDigest, RootfsDigest, FirecrackerDigest string

	Placement Placement
	TenantID  string
}

func (Started) Type() string { return TypeStarted }

func (p Started) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.boolPtr("derivationVerified", p.DerivationVerified)
	o.strOpt("firecrackerDigestSha256", p.FirecrackerDigest)
	o.strOpt("kernelDigestSha256", p.KernelDigest)
	o.strOpt("parentRunId", p.ParentRunID)
	o.placement(p.Placement)
	o.strOpt("roleRoot", p.RoleRoot)
	o.strOpt("rootfsDigestSha256", p.RootfsDigest)
	o.str("runId", r.RunID)
	o.str("specHash", p.SpecHash)
	o.str("specId", r.SpecID)
	o.strOpt("tenantId", p.TenantID)
	o.num("ttlSeconds", p.TTLSeconds)
	return o.end()
}

// Capabilities are the five sets of /proc/<pid>/status, one bit for each capability.
type Capabilities struct{ Effective, Permitted, Bounding, Ambient, Inheritable uint64 }

// ContainerSecurity tells the capabilities of the cell's processes.
type ContainerSecurity struct {
	Caps       *Capabilities // nil, when unknown: leaves the sets and privileged out
	Privileged bool          // every capability that the kernel knows is effective
}

func (ContainerSecurity) Type() string { return TypeContainerSecurity }

func (p ContainerSecurity) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	if c := p.Caps; c != nil {
		o.mask("capAmb", c.Ambient)
		o.mask("capBnd", c.Bounding)
		o.mask("capEff", c.Effective)
		o.mask("capInh", c.Inheritable)
		o.mask("capPrm", c.Permitted)
	}
	o.str("cellId", r.CellID)
	if p.Caps != nil {
		o.boolean("privileged", p.Privileged)
	}
	o.str("runId", r.RunID)
	return o.end()
}

// mask writes v as /proc does: 16 lower-case hexadecimal digits.
func (o *object) mask(name string, v uint64) {
	digits := strconv.FormatUint(v, 16)
	o.str(name, "0000000000000000"[:16-len(digits)]+digits)
}

// ProcessSpawned is written when the first process of the cell stands and is measured, before its release.
type ProcessSpawned struct {
	Program string // argv[0]
	Argc    int
}

func (ProcessSpawned) Type() string { return TypeProcessSpawned }

func (p ProcessSpawned) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.num("argc", int64(p.Argc))
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.str("program", p.Program)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// Completed tells how the command ended, as far as the documented event can.
type Completed struct {
	Argv       []string
	ExitCode   int // -1: signal, time limit, could not be started
	DurationMs int64
	SpawnError string // empty: left out
}

func (Completed) Type() string { return TypeCompleted }

func (p Completed) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.strs("argv", p.Argv)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.num("durationMs", p.DurationMs)
	o.num("exitCode", int64(p.ExitCode))
	o.str("runId", r.RunID)
	o.strOpt("spawnError", p.SpawnError)
	o.str("specId", r.SpecID)
	return o.end()
}

// Destroyed closes the life of the cell and, through Stream.Finish, the chain.
type Destroyed struct {
	TTLSeconds    int64
	Reason        string // empty: outcome "succeeded"; else outcome "failed" for this reason
	TerminalState string // "clean" or "forced"; only backends that own execution; empty: left out
	ResidueClass  string // "none", and only after looking; empty: left out
	TenantID      string // empty: left out
}

func (Destroyed) Type() string { return TypeDestroyed }

func (p Destroyed) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	if p.Reason == "" {
		o.str("outcome", "succeeded")
	} else {
		o.str("outcome", "failed")
		o.str("reason", p.Reason)
	}
	o.strOpt("residueClass", p.ResidueClass)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	o.strOpt("tenantId", p.TenantID)
	o.strOpt("terminalState", p.TerminalState)
	o.num("ttlSeconds", p.TTLSeconds)
	return o.end()
}
