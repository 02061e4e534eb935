package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"cellos.io/cellos/evidence"
)

// Admitted is what was decided before the run and what its events say of that. The zero value is a run that nobody but its document
// decided on.
type Admitted struct {
	Before      []evidence.Payload // events that come first
	Names       []evidence.Payload // events that follow what is declared about the network
	Resolved    []evidence.Payload // events that follow the declared rules, one each; nil: none
	Profile     string             // deployment profile; "" if there is none
	Missing     []string           // layers that the host lacks and the profile lets go
	CompatAllow []string           // what was let pass

	Token     *Token // the derivation token, verified; nil: the document has none
	Uncounted bool   // leave the number of used rules out of homeostasis, as documented where nobody asked to count
	NoNames   bool   // leave out dns_target_set and the decisions on declared rules
	Namespace bool   // write the documented events of a run with a network namespace of its own
}

// A Token is what events say of a derivation token.
type Token struct {
	RoleRoot    string
	ParentRunID string // "" for a token that is for no run in particular
}

// declared writes what is declared about the network.
func (l *life) declared(digest string) []evidence.Payload {
	rules := l.Document.Spec.Authority.EgressRules
	list := []evidence.Payload{evidence.NetworkScope{EgressRuleCount: len(rules), HasOpaqueNetworkAuthority: l.Document.Spec.Authority.Network != nil}}
	if l.Admitted.NoNames {
		return list
	}
	list = append(list, evidence.DNSTargetSet{CurrentDigest: digest, UpdatedAt: time.Now(), KeysetID: l.Trust.KeysetID, IssuerKid: l.Trust.ResolverKid})
	for i, r := range rules {
		list = append(list, evidence.L7EgressDecision{
			DecisionID: evidence.NewID(), Allow: true, SNIHost: r.Host, PolicyDigest: digest, KeysetID: l.Trust.KeysetID, IssuerKid: l.Trust.L7Kid,
			ReasonCode: "egress_declared_allowlist", RuleRef: fmt.Sprintf("authority.egressRules[%d]", i),
		})
		if i < len(l.Admitted.Resolved) {
			list = append(list, l.Admitted.Resolved[i])
		}
	}
	return list
}

// started is the event that opens the cell's life, and what must follow it at once.
func (l *life) started() []evidence.Payload {
	s := &l.Document.Spec
	raw := sha256.Sum256(l.Bytes)
	hash := hex.EncodeToString(raw[:])
	e := evidence.Started{TTLSeconds: s.Lifetime.TTLSeconds, SpecHash: hash, Placement: placement(s.Placement), TenantID: tenant(s)}
	e.KernelDigest, e.RootfsDigest, e.FirecrackerDigest = l.boots[0], l.boots[1], l.boots[2]
	t := l.Admitted.Token
	if t == nil {
		return []evidence.Payload{e}
	}
	verified := true
	e.DerivationVerified, e.RoleRoot, e.ParentRunID = &verified, t.RoleRoot, t.ParentRunID
	if t.ParentRunID != "" {
		return []evidence.Payload{e}
	}
	return []evidence.Payload{e, evidence.UniversalToken{
		SpecHash: &hash, RoleRoot: &t.RoleRoot,
		Reason:      "a universal derivation token was accepted: it names no parentRunId, and can be used again for any run",
		Remediation: "have tokens made with parentRunId, and set CELLOS_REQUIRE_SCOPED_DERIVATION_TOKENS=1",
	}}
}

// policy is the event of a network namespace of the run's own, before the command is there.
func (l *life) policy() []evidence.Payload {
	if !l.Admitted.Namespace {
		return nil
	}
	var p evidence.NetworkPolicy
	for _, r := range l.Document.Spec.Authority.EgressRules {
		p.DeclaredEgress = append(p.DeclaredEgress, evidence.EgressRule{Host: r.Host, Port: int(r.Port), Protocol: r.Protocol, DNSEgressJustification: r.DNSEgressJustification})
	}
	return []evidence.Payload{p}
}

// enforcement is the event of that namespace when the command has ended. Rules hold, or nothing would have run.
func (l *life) enforcement(exit int) []evidence.Payload {
	if !l.Admitted.Namespace {
		return nil
	}
	rules := len(l.Document.Spec.Authority.EgressRules)
	return []evidence.Payload{evidence.NetworkEnforcement{
		DeclaredEgressRuleCount: rules, SupplementaryEgressFilterActive: rules > 0, CommandExitCode: exit, SpawnError: l.spawnError(),
	}}
}
