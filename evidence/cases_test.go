package evidence_test

import (
	"strings"
	"time"

	"cellos.io/cellos/evidence"
)

// cases are the supervisor's part, by hand: which events, with which values from the document.
func cases() map[string]func(r *recorder, dir string) {
	ok, none := ptr(0), evidence.Homeostasis{}
	return map[string]func(r *recorder, dir string){
		"plain-success": func(r *recorder, _ string) {
			r.scope(0)
			r.begin(evidence.Started{})
			r.run(0, "")
			r.end(evidence.Summary{CommandExitCode: ok}, none, evidence.Destroyed{ResidueClass: "none"})
		},
		"exit-failure": func(r *recorder, _ string) {
			r.scope(0)
			r.begin(evidence.Started{})
			r.run(3, "")
			r.end(evidence.Summary{CommandExitCode: ptr(3)}, none, evidence.Destroyed{Reason: "command exited with status 3"})
		},
		"timeout-from-document": func(r *recorder, _ string) {
			const late = "command timed out after 300 ms (spec.run.timeoutMs)"
			r.scope(0)
			r.begin(evidence.Started{})
			r.run(-1, late)
			r.end(evidence.Summary{CommandExitCode: ptr(-1)}, none, evidence.Destroyed{Reason: "command spawn: " + late})
		},
		"correlation": func(r *recorder, _ string) {
			place := evidence.Placement{PoolID: "pool-1", KubernetesNamespace: "ns-a", QueueName: "q1"}
			r.scope(0)
			r.begin(evidence.Started{Placement: place, TenantID: "tenant-a"})
			r.run(0, "")
			r.end(evidence.Summary{CommandExitCode: ok, Placement: place, PolicyPackID: ptr("pack-a"), PolicyPackVersion: ptr("2.1.0"),
				PolicyBundleDigest: ptr("sha256:" + strings.Repeat("cd", 32))}, none, evidence.Destroyed{TenantID: "tenant-a"})
		},
		"all-fields": func(r *recorder, _ string) {
			id := evidence.Identity{Kind: "federatedOidc", Provider: "p", Audience: "aud", SecretRef: "S"}
			r.add(evidence.NetworkScope{EgressRuleCount: 2, HasOpaqueNetworkAuthority: true}, r.targets(),
				r.declared(0, "192.0.2.1"), r.declared(1, "h.example.com"), evidence.IdentityMaterialized{Identity: id})
			r.begin(evidence.Started{TTLSeconds: 61, Placement: evidence.Placement{PoolID: "q"}})
			r.run(0, "")
			r.add(evidence.IdentityRevoked{Identity: id, Provenance: evidence.ProvenanceOf(r.at)})
			r.end(evidence.Summary{LifetimeTTLSeconds: 61, EgressRuleCount: 2, ExportTargetCount: 2, ResourceLimitsPresent: true, CommandExitCode: ok,
				Placement: evidence.Placement{PoolID: "q"}, PolicyPackID: ptr("p")}, evidence.Homeostasis{DeclaredSecretCount: 1}, evidence.Destroyed{})
		},
		"export-local": func(r *recorder, dir string) {
			r.scope(0)
			r.begin(evidence.Started{})
			r.run(0, "")
			for _, a := range []struct {
				name, path string
				size       int64
			}{{"a.txt", "a.txt", 5}, {"blob", "b.bin", 8}} {
				r.add(evidence.FSTouch{SourcePath: dir + "/out/" + a.path, ArtifactName: a.name},
					evidence.ExportCompleted{ArtifactName: a.name, Provenance: evidence.ProvenanceOf(r.at),
						Receipt: evidence.Receipt{TargetKind: "local", Destination: "vec-export/" + a.name, BytesWritten: a.size}})
			}
			r.end(evidence.Summary{CommandExitCode: ok}, none, evidence.Destroyed{})
		},
		"export-no-sink": func(r *recorder, dir string) {
			const why = `export sink: artifact "a": no export sink is configured`
			r.scope(0)
			r.begin(evidence.Started{})
			r.run(0, "")
			r.add(evidence.FSTouch{SourcePath: dir + "/out/a.txt", ArtifactName: "a"},
				evidence.ExportFailed{ArtifactName: "a", TargetKind: "local", Reason: why, Provenance: evidence.ProvenanceOf(r.at)})
			r.end(evidence.Summary{CommandExitCode: ok}, none, evidence.Destroyed{Reason: why})
		},
		"export-missing-file": func(r *recorder, dir string) {
			const why = "export sink: copying to vec-export-miss/b: no such file or directory"
			r.scope(0)
			r.begin(evidence.Started{})
			r.run(0, "")
			r.add(evidence.FSTouch{SourcePath: dir + "/out/a.txt", ArtifactName: "a"},
				evidence.ExportCompleted{ArtifactName: "a", Provenance: evidence.ProvenanceOf(r.at),
					Receipt: evidence.Receipt{TargetKind: "local", Destination: "vec-export-miss/a", BytesWritten: 5}},
				evidence.FSTouch{SourcePath: dir + "/out/b.txt", ArtifactName: "b"},
				evidence.ExportFailed{ArtifactName: "b", TargetKind: "local", Destination: "vec-export-miss/b", Reason: why, Provenance: evidence.ProvenanceOf(r.at)})
			r.end(evidence.Summary{CommandExitCode: ok}, none, evidence.Destroyed{Reason: why})
		},
		"identity": func(r *recorder, _ string) {
			id := oidc()
			id.Subject, id.TTLSeconds = ptr("repo:acme/widget"), ptr(int64(30))
			r.scope(0)
			r.add(evidence.IdentityMaterialized{Identity: id})
			r.begin(evidence.Started{})
			r.run(0, "")
			r.add(evidence.IdentityRevoked{Identity: id, Provenance: evidence.ProvenanceOf(r.at)})
			r.end(evidence.Summary{CommandExitCode: ok}, evidence.Homeostasis{DeclaredSecretCount: 1}, evidence.Destroyed{})
		},
		"identity-missing": func(r *recorder, _ string) {
			const why = "identity OIDC_TOKEN unresolvable via env broker: CELLOS_SECRET_STS.EXAMPLE.COM: not set"
			r.scope(0)
			r.add(evidence.IdentityFailed{Identity: oidc(), Operation: "materialize", Reason: why})
			r.end(evidence.Summary{}, evidence.Homeostasis{DeclaredSecretCount: 1}, evidence.Destroyed{Reason: why})
		},
		"namespace-net-rules": func(r *recorder, _ string) {
			r.scope(2)
			r.add(r.declared(0, "192.0.2.10"), r.declared(1, "example.com"))
			r.begin(evidence.Started{})
			r.add(evidence.NetworkPolicy{DeclaredEgress: []evidence.EgressRule{{Host: "192.0.2.10", Port: 443, Protocol: ptr("tcp")}, {Host: "example.com", Port: 443, Protocol: ptr("tls")}}},
				evidence.ProcessSpawned{Program: "/bin/sh", Argc: 3},
				evidence.NetworkEnforcement{DeclaredEgressRuleCount: 2, SupplementaryEgressFilterActive: true},
				evidence.Completed{Argv: r.argv, DurationMs: 500})
			r.end(evidence.Summary{EgressRuleCount: 2, CommandExitCode: ok}, none, evidence.Destroyed{})
		},
		"derivation-universal": func(r *recorder, _ string) {
			r.scope(1)
			r.add(r.declared(0, "api.example.com"),
				evidence.Started{TTLSeconds: 60, SpecHash: r.hash, DerivationVerified: ptr(true), RoleRoot: "role-ci"},
				evidence.UniversalToken{SpecHash: &r.hash, RoleRoot: ptr("role-ci"), Reason: "a universal token was accepted: it names no parentRunId",
					Remediation: "set CELLOS_REQUIRE_SCOPED_DERIVATION_TOKENS=1"}, r.security())
			r.run(0, "")
			r.end(evidence.Summary{EgressRuleCount: 1, CommandExitCode: ok}, none, evidence.Destroyed{})
		},
		"resolve-egress": func(r *recorder, _ string) {
			r.scope(2)
			for i, host := range []string{"127.0.0.1", "nothing.invalid"} {
				d := evidence.DNSResolution{FQDN: host, ResolvedAt: time.Now(), PolicyDigest: r.digest, KeysetID: evidence.DefaultKeysetID,
					IssuerKid: evidence.DefaultResolverKid, ReceiptID: "rcp-run-r-1-" + host}
				if i == 0 {
					d.Targets, d.TTLSeconds = []evidence.ResolvedTarget{{Address: host, Family: "inet", Port: 8443}}, 300
				}
				r.add(r.declared(i, host), d)
			}
			r.begin(evidence.Started{})
			r.run(0, "")
			r.end(evidence.Summary{EgressRuleCount: 2, CommandExitCode: ok}, none, evidence.Destroyed{})
		},
		"policy-rejected": func(r *recorder, _ string) {
			r.add(evidence.PolicyRejected{PolicyPackID: ptr("pack-a"), PolicyPackVersion: ptr("1.0.0"), Violations: []evidence.Violation{
				{Rule: "maxLifetimeTtlSeconds", Message: "spec.lifetime.ttlSeconds 60 is above 30"},
				{Rule: "requireRuntimeSecretDelivery", Message: "spec.run.secretDelivery is env"},
				{Rule: "requireResourceLimits", Message: "spec.run.limits is missing"}}})
		},
		"authz-pool": func(r *recorder, _ string) {
			r.add(evidence.AuthzRejected{Reason: "pool_not_allowed", Message: "tenant-a may not use pool-9", TenantID: "tenant-a", DeniedPoolID: "pool-9"})
		},
		"keyset-verified": func(r *recorder, _ string) {
			r.add(evidence.KeysetVerified{KeysetID: "keyset-2026-q3", VerifiedSignerKid: "ops-1", VerifiedAt: time.Now(),
				PayloadDigest: "sha256:340e5fd7f6b8e29186095390d22f842a1ee7f4614f7b4731e26cbacad4356856"})
			r.scope(0)
			r.begin(evidence.Started{})
			r.run(0, "")
			r.end(evidence.Summary{CommandExitCode: ok}, none, evidence.Destroyed{})
		},
		"keyset-unknown-signer": func(r *recorder, _ string) {
			r.add(evidence.KeysetVerificationFailed{AttemptedKeysetPath: "keyset.json", Reason: "no signature verified", FailedAt: time.Now()})
			r.scope(0)
			r.begin(evidence.Started{})
			r.run(0, "")
			r.end(evidence.Summary{CommandExitCode: ok}, none, evidence.Destroyed{})
		},
	}
}
