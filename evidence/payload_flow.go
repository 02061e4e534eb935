package evidence

import "time"

// FlowDecision is the decision on one connection or datagram flow of the cell, written before it has an effect.
type FlowDecision struct {
	DecisionID string // from NewID
	Allow      bool
	Reason     string // FlowRule, …
	RuleRef    string // "authority.egressRules[0]", "default-drop"; empty: left out
	DstAddr    string // a name, or an address; empty: left out
	DstPort    int    // 0: left out
	Protocol   string // "tcp", "udp"; empty: left out
	Trust      Trust
	ObservedAt time.Time
}

// Reasons of FlowDecision. The first are documented, although no nftables are used here.
const (
	FlowRule       = "nft_egress_rule_match"
	FlowResolver   = "nft_resolver_allowlist_match"
	FlowDefault    = "nft_default_drop"
	FlowDirectDNS  = "nft_workload_dns_block"
	FlowDoQ        = "nft_doq_blocked"
	FlowHTTP3      = "nft_http3_blocked"
	FlowNoPort     = "no_port_granted"  // the name is known, the port is not granted
	FlowNotListed  = "name_not_allowed" // a rule names it, the allow-list does not
	FlowBlocked    = "address_blocked"  // the name leads to an address that no name may lead to
	FlowUnresolved = "name_unresolved"  // the resolvers do not know it, or do not answer
	FlowRebound    = "address_rejected" // the rebinding policy lets none of its addresses through
	FlowUnreached  = "upstream_failure" // allowed, but nobody answers there
	FlowLimit      = "limit_reached"    // more connections than a cell may have
	FlowBudget     = "budget_exceeded"  // the rule's budget is used up
	RefDefault     = "default-drop"
	RefDirectDNS   = "dnsAuthority.workloadDnsBlock"
	RefDoQ         = "dnsAuthority.blockUdpDoq"
	RefHTTP3       = "dnsAuthority.blockUdpHttp3"
)

func (FlowDecision) Type() string { return TypeFlowDecision }

func (p FlowDecision) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.correlationID(r)
	o.str("decision", map[bool]string{true: "allow", false: "deny"}[p.Allow])
	o.str("decisionId", p.DecisionID)
	o.str("direction", "egress")
	o.strOpt("dstAddr", p.DstAddr)
	if p.DstPort != 0 {
		o.num("dstPort", int64(p.DstPort))
	}
	o.strOpt("issuerKid", p.Trust.IssuerKid)
	o.strOpt("keysetId", p.Trust.KeysetID)
	o.strOpt("nftRuleRef", p.RuleRef)
	o.time("observedAt", p.ObservedAt)
	o.strOpt("policyDigest", p.Trust.PolicyDigest)
	o.strOpt("protocol", p.Protocol)
	o.str("reasonCode", p.Reason)
	o.str("runId", r.RunID)
	o.str("schemaVersion", schemaVersion1)
	return o.end()
}

// A Gap stands for decisions that came faster than events are written: none is lost uncounted.
type Gap struct {
	Since, Until time.Time
	Counts       []GapCount
}

// GapCount is one kind of decision in a Gap.
type GapCount struct {
	Event  string // the type that would have been written
	Reason string
	Count  int64
}

func (Gap) Type() string { return TypeNetworkGap }

func (p Gap) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	list(o, "counts", p.Counts, func(o *object, c GapCount) {
		o.num("count", c.Count)
		o.str("event", c.Event)
		o.str("reason", c.Reason)
	})
	o.str("runId", r.RunID)
	o.time("since", p.Since)
	o.str("specId", r.SpecID)
	o.time("until", p.Until)
	return o.end()
}

// NetworkUse is what the gate counted in a run: the closing account of the network.
type NetworkUse struct {
	Rules   []RuleUse
	Names   []AskedName
	Refused map[string]int64 // decisions against the cell, by reason
	Dropped map[string]int64 // packets that no decision was made on, by reason
	Peak    int64            // connections at once
}

// RuleUse is one rule of the document.
type RuleUse struct {
	Ref, Host                string
	Port                     int
	Protocol                 string
	Connections, Failed      int64 // that got through; that were allowed and did not
	Requests                 int64 // of cleartext HTTP
	BytesSent, BytesReceived int64 // by the cell
}

// AskedName is a name that the cell asked for.
type AskedName struct {
	Name    string
	Granted bool
	Count   int64
}

func (NetworkUse) Type() string { return TypeNetworkUse }

func (p NetworkUse) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	o.counts("dropped", p.Dropped)
	list(o, "names", p.Names, func(o *object, n AskedName) {
		o.num("count", n.Count)
		o.boolean("granted", n.Granted)
		o.str("name", n.Name)
	})
	o.num("peakConnections", p.Peak)
	o.counts("refused", p.Refused)
	list(o, "rules", p.Rules, func(o *object, u RuleUse) {
		o.num("bytesReceived", u.BytesReceived)
		o.num("bytesSent", u.BytesSent)
		o.num("connections", u.Connections)
		o.num("failed", u.Failed)
		o.str("host", u.Host)
		o.num("port", int64(u.Port))
		o.str("protocol", u.Protocol)
		o.str("ref", u.Ref)
		o.num("requests", u.Requests)
	})
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	return o.end()
}

// counts writes an object of numbers; nothing is {}.
func (o *object) counts(name string, m map[string]int64) {
	if m == nil {
		m = map[string]int64{}
	}
	o.free(name, m)
}
