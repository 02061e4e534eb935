package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
)

// said is what the timeline reads of data, whatever the type.
type said struct {
	TTLSeconds                                int64
	Backend, Program, Outcome, Reason         string
	Message, Operation, ArtifactName, SNIHost string
	FQDN, QueryName, Hostname, DstAddr        string
	Action, Decision, ReasonCode              string
	Layers, Targets, Probes, Checks           []json.RawMessage
	Holds, Clean                              bool
	Total, Argc                               int
	DstPort, TornBytes                        int
	Role, ExpectedSHA256, ActualSHA256        string
	Identity                                  struct{ SecretRef, Audience string }
	Receipt                                   struct{ Destination string }
	Violations                                []struct{ Rule, Message string }
	ExitCode                                  *int
	Signal                                    string
	DurationNanos                             int64
}

// moment words an event for the timeline; an event that is not worth a line there has no title.
func moment(e evidence.Event) (title, detail string, bad bool) {
	var d said
	json.Unmarshal(e.Data, &d) // what cannot be read stays empty; take reports it
	switch e.Type {
	case evidence.TypeNetworkScope, evidence.TypeDNSTargetSet, evidence.TypeContainerSecurity, evidence.TypeCompleted, evidence.TypeUsage,
		evidence.TypeSummary, evidence.TypeHomeostasis, evidence.TypeNetworkPolicy, evidence.TypeNetworkEnforcement, evidence.TypeFSTouch, evidence.TypeArtifact:
		return "", "", false // other events say the same, or tables do
	case evidence.TypeStarted:
		return "run started", "for at most " + Span(time.Duration(d.TTLSeconds)*time.Second), false
	case evidence.TypePlan:
		return "plan made", plural(len(d.Layers), "layer") + ", backend " + d.Backend, false
	case evidence.TypeBoundary:
		if !d.Holds {
			return "boundary measured", "it does not hold", true
		}
		return "boundary measured", plural(len(d.Layers), "layer") + " and " + plural(len(d.Probes), "probe") + " hold", false
	case evidence.TypeProcessSpawned:
		return "command released", d.Program, false
	case evidence.TypeCommand:
		r := Run{Ending: d.Outcome, Exit: d.ExitCode, Signal: d.Signal, Duration: time.Duration(d.DurationNanos)}
		return "command ended", r.How(), d.Outcome != evidence.OutcomeExited || d.ExitCode == nil || *d.ExitCode != 0
	case evidence.TypeFiles:
		return "changes listed", plural(d.Total, "changed path"), false
	case evidence.TypeResidue:
		switch {
		case d.Clean:
			return "looked for leftovers", "nothing was left", false
		case len(d.Checks) == 0:
			return "looked for leftovers", "there was no cell", false
		}
		return "looked for leftovers", "something was left", true
	case evidence.TypeDestroyed:
		return "cell destroyed", strings.TrimSuffix(d.Outcome+": "+d.Reason, ": "), d.Outcome != "succeeded"
	case evidence.TypeAbandoned:
		return "closed afterwards", d.Reason, true
	case evidence.TypeIdentityMaterialized:
		return "identity fetched", d.Identity.SecretRef + " for " + d.Identity.Audience, false
	case evidence.TypeIdentityRevoked:
		return "identity revoked", d.Identity.SecretRef, false
	case evidence.TypeIdentityFailed:
		return "identity failed", d.Operation + ": " + d.Reason, true
	case evidence.TypeExportCompleted:
		return "exported", d.ArtifactName + " to " + d.Receipt.Destination, false
	case evidence.TypeExportFailed:
		return "export failed", d.ArtifactName + ": " + d.Reason, true
	case evidence.TypePolicyRejected:
		var list []string
		for _, v := range d.Violations {
			list = append(list, v.Rule+": "+v.Message)
		}
		return "refused by policy", strings.Join(list, "; "), true
	case evidence.TypeAuthzRejected:
		return "not authorized", d.Reason + ": " + d.Message, true
	case evidence.TypeManifestFailed:
		return "boot artifact does not match", d.Role + ": " + cmp.Or(d.ActualSHA256, "no such file") + " instead of " + d.ExpectedSHA256, true
	case evidence.TypeKeysetVerificationFailed:
		return "keyset does not verify", d.Reason, true
	case evidence.TypeDNSResolution:
		return "resolved", fmt.Sprintf("%s: %s", d.FQDN, plural(len(d.Targets), "address")), false
	}
	switch shortType(e.Type) {
	case "query permitted", "query refused", "network use": // dns_query says it with the decision, and the table of uses with numbers
		return "", "", false
	}
	deny := d.Action == "deny" || d.Decision == "deny"
	name := d.SNIHost + d.QueryName + d.Hostname + d.DstAddr
	if d.DstPort != 0 {
		name += fmt.Sprintf(":%d", d.DstPort)
	}
	if d.ReasonCode != "" {
		name = strings.TrimSpace(name + " (" + d.ReasonCode + ")")
	}
	switch {
	case deny:
		return "refused: " + asked(e.Type), name, true
	case d.Action == "allow" || d.Decision == "allow":
		return "allowed: " + asked(e.Type), name, false
	}
	return shortType(e.Type), strings.TrimSpace(name + " " + d.Reason), false
}

// asked words what a decision is about.
func asked(t string) string {
	switch s := shortType(t); s {
	case "dns query":
		return "look-up"
	case "network flow decision":
		return "connection"
	case "l7 egress decision":
		return "name"
	default:
		return s
	}
}

func plural(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
