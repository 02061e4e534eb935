package supervisor

import (
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
)

// summary are the two events that sum a run up. exit is nil when there was no command, exercised when nothing counted which rules
// were used.
func summary(doc *document.Document, exit, exercised *int) []evidence.Payload {
	s := &doc.Spec
	sum := evidence.Summary{
		LifetimeTTLSeconds:    s.Lifetime.TTLSeconds,
		EgressRuleCount:       len(s.Authority.EgressRules),
		ResourceLimitsPresent: s.Run != nil && s.Run.Limits != nil,
		SecretDeliveryMode:    document.DeliverEnv,
		Placement:             placement(s.Placement),
		CommandExitCode:       exit,
	}
	if s.Run != nil {
		sum.SecretDeliveryMode = s.Run.SecretDelivery
	}
	if s.Export != nil {
		sum.ExportTargetCount = len(s.Export.Targets)
	}
	if s.Policy != nil {
		sum.PolicyPackID, sum.PolicyPackVersion, sum.PolicyBundleDigest = s.Policy.PackID, s.Policy.PackVersion, s.Policy.BundleDigest
	}
	secrets := map[string]bool{}
	for _, x := range s.Authority.SecretRefs {
		secrets[x] = true
	}
	return []evidence.Payload{sum, evidence.Homeostasis{SpecHash: doc.CanonicalDigest(), DeclaredEgressRules: len(s.Authority.EgressRules), ExercisedEgressConnections: exercised, DeclaredSecretCount: len(secrets)}}
}
