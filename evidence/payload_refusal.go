package evidence

import "time"

// Violation is one rule of a policy pack that a document breaks.
type Violation struct{ Rule, Message string }

// PolicyRejected is the only event of a run that a policy pack refuses.
type PolicyRejected struct {
	Violations                      []Violation // all; also gives violationCount
	PolicyPackID, PolicyPackVersion *string     // the document's reference; nil: left out
}

func (PolicyRejected) Type() string { return TypePolicyRejected }

func (p PolicyRejected) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.correlation(r.Correlation)
	o.strPtr("policyPackId", p.PolicyPackID)
	o.strPtr("policyPackVersion", p.PolicyPackVersion)
	o.str("specId", r.SpecID)
	o.num("violationCount", int64(len(p.Violations)))
	list(o, "violations", p.Violations, func(o *object, v Violation) {
		o.str("message", v.Message)
		o.str("rule", v.Rule)
	})
	return o.end()
}

// AuthzRejected is the only event of a run that an authorization policy refuses. Empty strings leave members out.
type AuthzRejected struct {
	Reason   string // "subject_not_authorized", "pool_not_allowed" or "policy_pack_not_allowed"
	Message  string
	TenantID string // also written as subject

	DeniedPoolID, DeniedPolicyPackID string
}

func (AuthzRejected) Type() string { return TypeAuthzRejected }

func (p AuthzRejected) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.correlation(r.Correlation)
	o.strOpt("deniedPolicyPackId", p.DeniedPolicyPackID)
	o.strOpt("deniedPoolId", p.DeniedPoolID)
	o.str("message", p.Message)
	o.str("reason", p.Reason)
	o.str("specId", r.SpecID)
	o.strOpt("subject", p.TenantID)
	o.strOpt("tenantId", p.TenantID)
	return o.end()
}

// KeysetVerified says that a configured trust keyset verifies.
type KeysetVerified struct {
	KeysetID          string // from the payload, else "(unknown)"
	PayloadDigest     string // "sha256:…"
	VerifiedSignerKid string // the first that verifies
	VerifiedAt        time.Time
}

func (KeysetVerified) Type() string { return TypeKeysetVerified }

func (p KeysetVerified) AppendData(dst []byte, _ *Run) []byte {
	o := begin(dst)
	o.str("keysetId", p.KeysetID)
	o.str("payloadDigest", p.PayloadDigest)
	o.str("schemaVersion", "1.0.0")
	o.str("verifiedAt", p.VerifiedAt.UTC().Format(time.RFC3339))
	o.str("verifiedSignerKid", p.VerifiedSignerKid)
	return o.end()
}

// ManifestFailed says that a file that would boot is not the one that the manifest of boot artifacts pins.
type ManifestFailed struct {
	Role             string // "kernel", "initrd", "rootfs" or "firecracker"
	Expected, Actual string // SHA-256, 64 hexadecimal digits; Actual is "" where there is no such file
	ManifestPath     string
}

func (ManifestFailed) Type() string { return TypeManifestFailed }

func (p ManifestFailed) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("actualSha256", p.Actual)
	o.str("cellId", r.CellID)
	o.str("expectedSha256", p.Expected)
	o.str("manifestPath", p.ManifestPath)
	o.str("role", p.Role)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// KeysetVerificationFailed says that a configured trust keyset does not verify.
type KeysetVerificationFailed struct {
	AttemptedKeysetPath string // base name, or "(empty chain)"
	Reason              string
	FailedAt            time.Time
}

func (KeysetVerificationFailed) Type() string { return TypeKeysetVerificationFailed }

func (p KeysetVerificationFailed) AppendData(dst []byte, _ *Run) []byte {
	o := begin(dst)
	o.str("attemptedKeysetPath", p.AttemptedKeysetPath)
	o.str("failedAt", p.FailedAt.UTC().Format(time.RFC3339))
	o.str("reason", p.Reason)
	o.str("schemaVersion", "1.0.0")
	return o.end()
}
