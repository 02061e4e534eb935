package evidence

// Summary is the compliance summary at the end of a run.
type Summary struct {
	LifetimeTTLSeconds    int64
	EgressRuleCount       int
	ExportTargetCount     int // of export.targets
	ResourceLimitsPresent bool
	SecretDeliveryMode    string // "env", "runtimeBroker" or "runtimeLeasedBroker"
	Placement             Placement
	CommandExitCode       *int // nil, when the command phase was not entered: left out

	// The document's policy reference; nil: left out.
	PolicyPackID, PolicyPackVersion, PolicyBundleDigest *string
}

func (Summary) Type() string { return TypeSummary }

func (p Summary) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.intPtr("commandExitCode", p.CommandExitCode)
	o.correlation(r.Correlation)
	o.num("egressRuleCount", int64(p.EgressRuleCount))
	o.num("exportTargetCount", int64(p.ExportTargetCount))
	o.num("lifetimeTtlSeconds", p.LifetimeTTLSeconds)
	o.placement(p.Placement)
	o.strPtr("policyBundleDigest", p.PolicyBundleDigest)
	o.strPtr("policyPackId", p.PolicyPackID)
	o.strPtr("policyPackVersion", p.PolicyPackVersion)
	o.boolean("resourceLimitsPresent", p.ResourceLimitsPresent)
	o.str("runId", r.RunID)
	o.str("secretDeliveryMode", p.SecretDeliveryMode)
	o.str("specId", r.SpecID)
	return o.end()
}

// Homeostasis compares the authority that was declared with what was used.
type Homeostasis struct {
	SpecHash                   string // canonical digest of spec, "sha256:…"
	DeclaredEgressRules        int
	ExercisedEgressConnections *int // nil, when nothing counts them: null
	DeclaredSecretCount        int
}

func (Homeostasis) Type() string { return TypeHomeostasis }

func (p Homeostasis) AppendData(dst []byte, r *Run) []byte {
	efficiency := 1.0
	if n := p.ExercisedEgressConnections; n != nil && p.DeclaredEgressRules > 0 {
		efficiency = min(float64(*n)/float64(p.DeclaredEgressRules), 1)
	}
	o := begin(dst)
	o.num("accessedMountPaths", 0)
	o.float("authorityEfficiency", efficiency)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.num("declaredEgressRules", int64(p.DeclaredEgressRules))
	o.num("declaredMountPaths", 0)
	o.num("declaredSecretCount", int64(p.DeclaredSecretCount))
	if p.ExercisedEgressConnections == nil {
		o.null("exercisedEgressConnections")
		o.str("exercisedEgressReason", "telemetry_pending_L2-04")
	} else {
		o.num("exercisedEgressConnections", int64(*p.ExercisedEgressConnections))
	}
	o.strs("recommendedRemovals", nil)
	o.str("runId", r.RunID)
	o.str("specHash", p.SpecHash)
	o.str("specId", r.SpecID)
	return o.end()
}

// HomeostasisViolation says that more was used than declared.
type HomeostasisViolation struct {
	DeclaredEgressRuleCount    int
	ExercisedEgressConnections int    // above the declared count
	SpecHash                   string // canonical digest of spec
}

func (HomeostasisViolation) Type() string { return TypeHomeostasisViolation }

func (p HomeostasisViolation) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.num("declaredEgressRuleCount", int64(p.DeclaredEgressRuleCount))
	o.num("exercisedEgressConnections", int64(p.ExercisedEgressConnections))
	o.num("overage", int64(p.ExercisedEgressConnections-p.DeclaredEgressRuleCount))
	o.str("severity", "critical")
	o.str("specHash", p.SpecHash)
	return o.end()
}
