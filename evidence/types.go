package evidence

// Prefixes of event types.
const (
	documented    = "dev.cellos.events."
	observability = documented + "cell.observability.v1."

	// OwnPrefix starts the types of the events that only this program writes.
	OwnPrefix = "io.cellos.evidence.v1."
)

// Documented event types.
const (
	TypeNetworkScope       = observability + "network_scope"
	TypeDNSTargetSet       = observability + "dns_target_set"
	TypeL7EgressDecision   = observability + "l7_egress_decision"
	TypeDNSResolution      = observability + "dns_resolution"
	TypeContainerSecurity  = observability + "container_security"
	TypeNetworkPolicy      = observability + "network_policy"
	TypeProcessSpawned     = observability + "process_spawned"
	TypeNetworkEnforcement = observability + "network_enforcement"
	TypeFSTouch            = observability + "fs_touch"
	TypeDNSQuery           = observability + "dns_query"
	TypeDrift              = observability + "dns_authority_drift"
	TypeRebindThreshold    = observability + "dns_authority_rebind_threshold"
	TypeRebindRejected     = observability + "dns_authority_rebind_rejected"
	TypeFlowDecision       = observability + "network_flow_decision"

	TypeQueryPermitted = documented + "cell.dns.v1.query_permitted"
	TypeQueryRefused   = documented + "cell.dns.v1.query_refused"

	TypeIdentityMaterialized = documented + "cell.identity.v1.materialized"
	TypeIdentityFailed       = documented + "cell.identity.v1.failed"
	TypeIdentityRevoked      = documented + "cell.identity.v1.revoked"
	TypeUniversalToken       = documented + "cell.identity.v1.universal_token_accepted_in_permissive_mode"

	TypeStarted        = documented + "cell.lifecycle.v1.started"
	TypeDestroyed      = documented + "cell.lifecycle.v1.destroyed"
	TypeManifestFailed = documented + "cell.lifecycle.v1.manifest-failed"
	TypeCompleted      = documented + "cell.command.v1.completed"

	TypeExportCompleted = documented + "cell.export.v2.completed"
	TypeExportFailed    = documented + "cell.export.v2.failed"

	TypeSummary              = documented + "cell.compliance.v1.summary"
	TypeHomeostasis          = documented + "cell.authority.v1.homeostasis"
	TypeHomeostasisViolation = documented + "cell.authority.v1.homeostasis_violation"

	TypePolicyRejected = documented + "cell.policy.v1.rejected"
	TypeAuthzRejected  = documented + "cell.authz.v1.rejected"

	TypeKeysetVerified           = documented + "cell.trust.v1.keyset_verified"
	TypeKeysetVerificationFailed = documented + "cell.trust.v1.keyset_verification_failed"

	TypeSignedEnvelope = documented + "signed_envelope.v1"
)

// Types of our own events.
const (
	TypePlan       = OwnPrefix + "plan"
	TypeBoundary   = OwnPrefix + "boundary"
	TypeCommand    = OwnPrefix + "command"
	TypeFiles      = OwnPrefix + "files"
	TypeArtifact   = OwnPrefix + "artifact"
	TypeUsage      = OwnPrefix + "usage"
	TypeResidue    = OwnPrefix + "residue"
	TypeNetworkGap = OwnPrefix + "network_gap"
	TypeNetworkUse = OwnPrefix + "network_use"
	TypeAbandoned  = OwnPrefix + "abandoned"
)
