package attest

import "cellos.io/cellos/evidence/verify"

type object = map[string]any

// cell is the content of the predicate Cell; docs/attestation.md describes it.
func (r *Run) cell(report verify.Report) object {
	p := object{
		"run":      object{"id": report.Run, "cell": r.cellID, "runId": r.runID, "startedOn": stamp(report.First), "finishedOn": stamp(report.Last)},
		"document": object{"digest": digest(report.Document)},
		"command":  object{"argv": list(r.argv), "outcome": r.ending, "exitCode": r.exit, "signal": r.signal},
		"granted":  object{"network": r.network, "egress": list(r.egress), "compatAllow": list(r.compatAllow)},
		"boundary": object{"backend": r.backend, "profile": r.profile, "seccompProfile": r.seccomp, "layers": list(r.layers), "missing": list(r.missing), "measured": r.boundary, "holds": r.boundary && r.holds},
		"result":   object{"outcome": r.outcome, "reason": r.reason},
		"residue":  object{"looked": r.looked, "clean": r.looked && r.clean},
		"files":    object{"changed": r.changed, "complete": !r.cut},
		"evidence": object{"events": report.Count, "head": digest(report.Head), "keys": list(report.Keys)},
	}
	if r.plan != "" {
		p["plan"] = object{"digest": digest(r.plan)}
	}
	return p
}

// slsa is the content of the predicate SLSA (slsa.dev/spec/v1.0/provenance).
func (r *Run) slsa(report verify.Report, c Context) object {
	byproducts := []Resource{{Name: "events.jsonl", Digest: Digests{"sha256": c.Events}, Annotations: object{"cellos.io/head": report.Head, "cellos.io/count": report.Count}}}
	if r.plan != "" {
		byproducts = append(byproducts, Resource{Name: "plan.txt", Digest: digest(r.plan)})
	}
	return object{
		"buildDefinition": object{
			"buildType":            "https://cellos.io/build/cell/v1",
			"externalParameters":   object{"document": object{"digest": digest(report.Document)}, "argv": list(r.argv), "egress": list(r.egress)},
			"internalParameters":   object{"backend": r.backend, "profile": r.profile, "seccompProfile": r.seccomp, "network": r.network, "layers": list(r.layers), "compatAllow": list(r.compatAllow)},
			"resolvedDependencies": []Resource{{Name: "document", Digest: digest(report.Document)}},
		},
		"runDetails": object{
			"builder":    object{"id": c.Builder, "version": object{"cellos": c.Version}},
			"metadata":   object{"invocationId": report.Run, "startedOn": stamp(report.First), "finishedOn": stamp(report.Last)},
			"byproducts": byproducts,
		},
	}
}

// list is never null in JSON.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
