package evidence

import "time"

// NetworkScope is written first in every run.
type NetworkScope struct {
	EgressRuleCount           int
	HasOpaqueNetworkAuthority bool // authority.network is present and not null
}

func (NetworkScope) Type() string { return TypeNetworkScope }

func (p NetworkScope) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.num("egressRuleCount", int64(p.EgressRuleCount))
	o.boolean("hasOpaqueNetworkAuthority", p.HasOpaqueNetworkAuthority)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// DNSTargetSet names the digest of the declared egress.
type DNSTargetSet struct {
	CurrentDigest string    // canonical digest of spec, "sha256:…"
	UpdatedAt     time.Time // written like Event.Time
	KeysetID      string    // CELLOS_TRUST_KEYSET_ID, or DefaultKeysetID
	IssuerKid     string    // CELLOS_TRUST_RESOLVER_KID, or DefaultResolverKid
}

// Documented values of the trust ids where no variable gives another.
const (
	DefaultKeysetID    = "cellos:builtin-v0"
	DefaultResolverKid = "cellos-local-resolve-v0"
	DefaultL7Kid       = "cellos-local-l7-v0"
)

func (DNSTargetSet) Type() string { return TypeDNSTargetSet }

func (p DNSTargetSet) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.str("currentDigest", p.CurrentDigest)
	o.str("fqdn", "declared-egress.trust.cellos.internal")
	o.str("issuerKid", p.IssuerKid)
	o.str("keysetId", p.KeysetID)
	o.str("previousDigest", "empty")
	o.str("reason", "refresh")
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	o.time("updatedAt", p.UpdatedAt)
	return o.end()
}

// L7EgressDecision is one decision on a name: for a declared rule before the run, or for a connection in it.
type L7EgressDecision struct {
	DecisionID   string // from NewID
	Allow        bool   // action "allow" or "deny"
	SNIHost      string
	PolicyDigest string // canonical digest of spec
	KeysetID     string
	IssuerKid    string // CELLOS_TRUST_L7_KID, or DefaultL7Kid
	ReasonCode   string // "egress_declared_allowlist", …
	RuleRef      string // "authority.egressRules[0]"; empty: left out
	StreamID     *int64 // HTTP/2 stream; nil: left out
}

func (L7EgressDecision) Type() string { return TypeL7EgressDecision }

func (p L7EgressDecision) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("action", map[bool]string{true: "allow", false: "deny"}[p.Allow])
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.str("decisionId", p.DecisionID)
	o.str("issuerKid", p.IssuerKid)
	o.str("keysetId", p.KeysetID)
	o.str("policyDigest", p.PolicyDigest)
	o.str("reasonCode", p.ReasonCode)
	o.strOpt("ruleRef", p.RuleRef)
	o.str("runId", r.RunID)
	o.str("sniHost", p.SNIHost)
	o.str("specId", r.SpecID)
	if p.StreamID != nil {
		o.num("streamId", *p.StreamID)
	}
	return o.end()
}

// DNSResolution is what a declared host resolved to before the run.
type DNSResolution struct {
	FQDN         string
	ResolvedAt   time.Time
	Targets      []ResolvedTarget // at most 24
	TTLSeconds   int64
	PolicyDigest string
	KeysetID     string
	IssuerKid    string
	ReceiptID    string // "rcp-<runId>-<host>"
}

// ResolvedTarget is one address of a DNSResolution.
type ResolvedTarget struct {
	Address string
	Family  string // "inet" or "inet6"
	Port    int
}

func (DNSResolution) Type() string { return TypeDNSResolution }

func (p DNSResolution) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	o.str("fqdn", p.FQDN)
	o.str("issuerKid", p.IssuerKid)
	o.str("keysetId", p.KeysetID)
	o.str("policyDigest", p.PolicyDigest)
	o.str("receiptId", p.ReceiptID)
	o.time("resolvedAt", p.ResolvedAt)
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	list(o, "targets", p.Targets, func(o *object, t ResolvedTarget) {
		o.str("address", t.Address)
		o.str("family", t.Family)
		o.num("port", int64(t.Port))
	})
	o.num("ttlSeconds", p.TTLSeconds)
	return o.end()
}

// EgressRule is one of the document's authority.egressRules.
type EgressRule struct {
	Host                   string
	Port                   int
	Protocol               *string // nil: null
	DNSEgressJustification *string // nil: left out
}

// NetworkPolicy is written when the run has a network namespace of its own.
type NetworkPolicy struct {
	DeclaredEgress []EgressRule // also gives declaredEgressCount
}

func (NetworkPolicy) Type() string { return TypeNetworkPolicy }

func (p NetworkPolicy) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlation(r.Correlation)
	list(o, "declaredEgress", p.DeclaredEgress, func(o *object, e EgressRule) {
		o.strPtr("dnsEgressJustification", e.DNSEgressJustification)
		o.str("host", e.Host)
		o.num("port", int64(e.Port))
		o.strNull("protocol", e.Protocol)
	})
	o.num("declaredEgressCount", int64(len(p.DeclaredEgress)))
	o.str("isolationMode", "clone_newnet")
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// NetworkEnforcement follows the end of a command that had a network namespace of its own.
type NetworkEnforcement struct {
	NftRulesApplied                 bool // false: this program uses no nftables
	DeclaredEgressRuleCount         int
	SupplementaryEgressFilterActive bool // the gate enforced at least one rule
	CommandExitCode                 int
	SpawnError                      string // empty: left out
}

func (NetworkEnforcement) Type() string { return TypeNetworkEnforcement }

func (p NetworkEnforcement) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.num("commandExitCode", int64(p.CommandExitCode))
	o.correlation(r.Correlation)
	o.num("declaredEgressRuleCount", int64(p.DeclaredEgressRuleCount))
	o.str("isolationMode", "clone_newnet")
	o.boolean("nftRulesApplied", p.NftRulesApplied)
	o.str("runId", r.RunID)
	o.strOpt("spawnError", p.SpawnError)
	o.str("specId", r.SpecID)
	o.boolean("supplementaryEgressFilterActive", p.SupplementaryEgressFilterActive)
	return o.end()
}
