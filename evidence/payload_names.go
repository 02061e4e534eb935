package evidence

import "time"

// Trust is who vouches for what the events about names say, and the document that they are judged by.
type Trust struct{ KeysetID, IssuerKid, PolicyDigest string }

// DNSQuery is one question of the cell.
type DNSQuery struct {
	QueryID     string // from NewID
	Name        string // lower case, without final dot; empty: it could not be read
	QueryType   string // one of the documented words, else "A"
	Allow       bool
	Reason      string // DNSAllowed, …
	RCode       *int   // of the answer; nil: there was none
	Resolver    string // that was asked; empty: none
	LatencyMs   *int64 // of its answer
	TargetCount *int   // answers of the type that was asked for
	Trust       Trust
	ObservedAt  time.Time
}

// Documented reasons of DNSQuery.
const (
	DNSAllowed     = "allowed_by_allowlist"
	DNSNotAllowed  = "denied_not_in_allowlist"
	DNSDeniedType  = "denied_query_type"
	DNSMalformed   = "malformed_query"
	DNSUpstream    = "upstream_failure"
	DNSTooMany     = "denied_query_limit" // ours: more names or questions than a cell may ask for
	schemaVersion1 = "1.0.0"
)

func (DNSQuery) Type() string { return TypeDNSQuery }

func (p DNSQuery) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlationID(r)
	o.str("decision", map[bool]string{true: "allow", false: "deny"}[p.Allow])
	o.str("issuerKid", p.Trust.IssuerKid)
	o.str("keysetId", p.Trust.KeysetID)
	o.time("observedAt", p.ObservedAt)
	o.str("policyDigest", p.Trust.PolicyDigest)
	o.str("queryId", p.QueryID)
	if p.Name == "" {
		p.Name = "(unknown)"
	}
	o.str("queryName", p.Name)
	o.str("queryType", p.QueryType)
	o.str("reasonCode", p.Reason)
	o.intPtr("responseRcode", p.RCode)
	o.intPtr("responseTargetCount", p.TargetCount)
	o.str("runId", r.RunID)
	o.str("schemaVersion", schemaVersion1)
	if p.LatencyMs != nil {
		o.num("upstreamLatencyMs", *p.LatencyMs)
	}
	o.strOpt("upstreamResolverId", p.Resolver)
	return o.end()
}

// correlationID is the one member of the correlation that events without the others have.
func (o *object) correlationID(r *Run) {
	if r.Correlation != nil {
		o.strPtr("correlationId", r.Correlation.CorrelationID)
	}
}

// QueryPermitted says that a question passed.
type QueryPermitted struct{ Name, QueryType, Resolver string }

func (QueryPermitted) Type() string { return TypeQueryPermitted }

func (p QueryPermitted) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.str("queryName", p.Name)
	o.str("queryType", p.QueryType)
	o.str("resolver", p.Resolver)
	o.str("schemaVersion", schemaVersion1)
	return o.end()
}

// QueryRefused says that a question did not.
type QueryRefused struct{ Name, QueryType, Reason string }

func (QueryRefused) Type() string { return TypeQueryRefused }

func (p QueryRefused) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.str("queryName", p.Name)
	o.str("queryType", p.QueryType)
	o.str("reason", p.Reason)
	o.str("schemaVersion", schemaVersion1)
	return o.end()
}

// Drift says that a name leads to other addresses than before.
type Drift struct {
	Hostname, ResolverID string
	Previous, Current    []string // sorted
	Added, Removed       []string
	PreviousDigest       string // "empty" at first
	CurrentDigest        string
	TTLSeconds           int64
	StaleSeconds         int64
	Trust                Trust
	ObservedAt           time.Time
}

func (Drift) Type() string { return TypeDrift }

func (p Drift) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.strs("addedTargets", p.Added)
	o.str("cellId", r.CellID)
	o.correlationID(r)
	o.str("currentDigest", p.CurrentDigest)
	o.strs("currentTargets", p.Current)
	o.str("hostname", p.Hostname)
	o.strOpt("issuerKid", p.Trust.IssuerKid)
	o.strOpt("keysetId", p.Trust.KeysetID)
	o.time("observedAt", p.ObservedAt)
	o.strOpt("policyDigest", p.Trust.PolicyDigest)
	o.str("previousDigest", p.PreviousDigest)
	o.strs("previousTargets", p.Previous)
	o.strs("removedTargets", p.Removed)
	o.str("resolverId", p.ResolverID)
	o.str("runId", r.RunID)
	o.str("schemaVersion", schemaVersion1)
	o.num("staleSeconds", p.StaleSeconds)
	o.num("ttlSeconds", p.TTLSeconds)
	return o.end()
}

// Rebind says that a name led to more addresses than its document lets it have (Threshold), or to one that is not used (Rejected).
type Rebind struct {
	Rejected             bool
	Hostname, ResolverID string
	NovelIP              string
	Previous, Cumulative int
	Max                  int      // Threshold only
	Allowed              []string // Rejected only: the entries of responseIpAllowlist for this host
	Trust                Trust
	ObservedAt           time.Time
}

func (p Rebind) Type() string {
	if p.Rejected {
		return TypeRebindRejected
	}
	return TypeRebindThreshold
}

func (p Rebind) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlationID(r)
	o.num("cumulativeIpCount", int64(p.Cumulative))
	o.str("hostname", p.Hostname)
	o.strOpt("issuerKid", p.Trust.IssuerKid)
	o.strOpt("keysetId", p.Trust.KeysetID)
	if !p.Rejected {
		o.num("maxNovelIpsPerHostname", int64(p.Max))
	}
	o.str("novelIp", p.NovelIP)
	o.time("observedAt", p.ObservedAt)
	o.str("policyDigest", p.Trust.PolicyDigest)
	o.num("previousIpCount", int64(p.Previous))
	o.strOpt("resolverId", p.ResolverID)
	if p.Rejected {
		o.strs("responseIpAllowlist", p.Allowed)
	}
	o.str("runId", r.RunID)
	o.str("schemaVersion", schemaVersion1)
	return o.end()
}
