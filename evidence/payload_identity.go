package evidence

// Identity is the document's spec.identity.
type Identity struct {
	Kind       string // "federatedOidc"
	Provider   string
	Audience   string
	Subject    *string // nil: null
	TTLSeconds *int64  // nil: null
	SecretRef  string
}

func (o *object) identity(i Identity) {
	o.object("identity", func(o *object) {
		o.str("audience", i.Audience)
		o.str("kind", i.Kind)
		o.str("provider", i.Provider)
		o.str("secretRef", i.SecretRef)
		o.strNull("subject", i.Subject)
		if i.TTLSeconds == nil {
			o.null("ttlSeconds")
		} else {
			o.num("ttlSeconds", *i.TTLSeconds)
		}
	})
}

// IdentityMaterialized says that the credential of spec.identity was fetched.
type IdentityMaterialized struct{ Identity Identity }

func (IdentityMaterialized) Type() string { return TypeIdentityMaterialized }

func (p IdentityMaterialized) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.identity(p.Identity)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// IdentityFailed says that fetching or revoking failed.
type IdentityFailed struct {
	Identity  Identity
	Operation string // "materialize" or "revoke"
	Reason    string
}

func (IdentityFailed) Type() string { return TypeIdentityFailed }

func (p IdentityFailed) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.identity(p.Identity)
	o.str("operation", p.Operation)
	o.str("reason", p.Reason)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// IdentityRevoked says that the credential was revoked at teardown.
type IdentityRevoked struct {
	Identity   Identity
	Provenance Provenance
}

func (IdentityRevoked) Type() string { return TypeIdentityRevoked }

func (p IdentityRevoked) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.identity(p.Identity)
	o.provenance(p.Provenance)
	o.str("reason", "teardown")
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// UniversalToken says that a derivation token without a parent run was accepted.
type UniversalToken struct {
	SpecHash, RoleRoot  *string // nil: null
	Reason, Remediation string
}

func (UniversalToken) Type() string { return TypeUniversalToken }

func (p UniversalToken) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.str("reason", p.Reason)
	o.str("remediation", p.Remediation)
	o.strNull("roleRoot", p.RoleRoot)
	o.str("runId", r.RunID)
	o.strNull("specHash", p.SpecHash)
	o.str("specId", r.SpecID)
	return o.end()
}
