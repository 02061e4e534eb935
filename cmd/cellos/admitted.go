package main

import (
	"errors"
	"slices"
	"strings"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/authority"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/cmd/cellos/internal/sinks"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/supervisor"
	"cellos.io/cellos/variable"
)

// trustIDs are the names that the events about names carry.
func trustIDs(vars variable.Env) supervisor.Trust {
	or := func(n variable.Text, standard string) string {
		if v, set := vars.Lookup(string(n)); set {
			return v
		}
		return standard
	}
	return supervisor.Trust{
		KeysetID:    or(variable.TrustKeysetID, evidence.DefaultKeysetID),
		ResolverKid: or(variable.TrustResolverKid, evidence.DefaultResolverKid),
		L7Kid:       or(variable.TrustL7Kid, evidence.DefaultL7Kid),
	}
}

// trust is what the configuration says, or what the documented events carry without one.
func (a *asked) trust() supervisor.Trust {
	if a.from == nil {
		return trustIDs(variable.Of())
	}
	return trustIDs(a.from.vars)
}

// admitted is what the events of a run say of the decision on it. The zero asked, of cellos run, says nothing.
func (a *asked) admitted() supervisor.Admitted {
	c := a.from
	if c == nil {
		out := supervisor.Admitted{Namespace: len(a.doc.Spec.Authority.EgressRules) > 0}
		if a.grants.network.host {
			out.CompatAllow = []string{string(admission.HostNetwork)}
		}
		return out
	}
	names, _ := c.vars.Unless(variable.TrustPlaneEvents)
	out := supervisor.Admitted{Profile: c.profile, Missing: c.missing, CompatAllow: c.Tags.Used(), NoNames: !names, Namespace: c.unshare.net}
	out.Names = a.observed()
	one, _ := c.vars.One(variable.PerFlowRealtime)
	two, _ := c.vars.One(variable.FirecrackerPerFlowEBPF)
	out.Uncounted = !one && !two
	if c.keyset != nil {
		out.Before = []evidence.Payload{c.keyset}
	}
	if t := a.doc.Spec.Authority.AuthorityDerivation; t != nil && a.decision.Verified {
		out.Token = &supervisor.Token{RoleRoot: t.RoleRoot}
		if t.ParentRunID != nil {
			out.Token.ParentRunID = *t.ParentRunID
		}
	}
	return out
}

// refusedBy records a refusal that the documented events tell, and returns the error. A check without a run records nothing.
func (a *asked) refusedBy(err error, d admission.Decision, validate bool, env cli.Environment, ui *cli.Console) error {
	r := supervisor.Refusal{Document: a.doc, Bytes: a.data, RunID: runID(a.from.vars), Trust: a.trust(), Admitted: a.admitted()}
	named := a.doc.Spec.Policy
	switch {
	case validate:
		return err
	case len(d.Denials) > 0:
		first := d.Denials[0]
		e := evidence.AuthzRejected{Reason: first.Reason, Message: cli.OneLine(first.Path + " " + first.Text)}
		if c := a.doc.Spec.Correlation; c != nil && c.TenantID != nil {
			e.TenantID = *c.TenantID
		}
		if p := a.doc.Spec.Placement; first.Reason == "pool_not_allowed" && p != nil && p.PoolID != nil {
			e.DeniedPoolID = *p.PoolID
		}
		if first.Reason == "policy_pack_not_allowed" && named != nil && named.PackID != nil {
			e.DeniedPolicyPackID = *named.PackID
		}
		r.Closing = e
	case len(d.Violations) > 0:
		var e evidence.PolicyRejected
		for _, v := range d.Violations {
			e.Violations = append(e.Violations, evidence.Violation{Rule: v.Rule, Message: cli.OneLine(v.Path + " " + v.Message)})
		}
		if named != nil {
			e.PolicyPackID, e.PolicyPackVersion = named.PackID, named.PackVersion
		}
		r.Closing = e
	case d.OnlyLeases:
		r.Reason = cli.OneLine("runtime leased broker prepare: " + err.Error())
	case a.from.keyset != nil && !a.from.quiet && len(a.from.errs) > 0 && a.from.keyset.Type() == evidence.TypeKeysetVerificationFailed:
		r.Closing, r.Admitted.Before = a.from.keyset, nil
	default:
		return err
	}
	return errors.Join(err, a.recordRefusal(r, env, ui))
}

// recordRefusal writes the chain of a refusal to the places that a run would have written to.
func (a *asked) recordRefusal(r supervisor.Refusal, env cli.Environment, ui *cli.Console) (err error) {
	if r.State, err = cli.StateDir(env); err != nil {
		return err
	}
	if r.Signer, err = a.signing.Signer(env, ui); err != nil {
		return err
	}
	out, err := a.leaving.Open(a.doc, r.RunID, env, ui)
	if err != nil {
		return err
	}
	r.Outputs, r.Redact, r.Wrap = out.Outputs, out.Redact, out.Wrap
	return r.Record()
}

// An unshared is what CELLOS_SUBPROCESS_UNSHARE asks for. A cell has every namespace always: what is left to do are the documented
// events of a private network, and the private working directory.
type unshared struct{ mnt, net bool }

func (c *configuration) isolation() {
	text := c.vars.Line(variable.Line(variable.SubprocessUnshare))
	words := c.vars.List(variable.SubprocessUnshare)
	if text == "1" || strings.EqualFold(text, "default") {
		words = []string{"pid", "ipc", "mnt", "net"}
	}
	for _, w := range words {
		switch strings.ToLower(w) {
		case "pid", "ipc", "uts":
		case "net":
			c.unshare.net = true
		case "mnt", "mount", "ns":
			c.unshare.mnt = true
		default:
			c.wrong(variable.SubprocessUnshare, "%s is none of 1, default, pid, ipc, net, uts, mnt", cli.Quote(cli.Brief(w)))
		}
	}
	if _, _, err := operatorFilter(cli.Environment{Vars: c.vars}); err != nil {
		c.errs = append(c.errs, cli.Split(err)...)
	}
}

// narrow applies what the operator's variables take away from what the document is granted.
func (c *configuration) narrow(auth *authority.Authority, d admission.Decision) {
	if d.Verified {
		auth.Demands = slices.DeleteFunc(auth.Demands, func(d authority.Demand) bool { return d.From == "spec.authority.authorityDerivation" })
	}
	if c.unshare.mnt && auth.Work.From != "" {
		auth.Work.Mode = authority.Empty
	}
}

// validated prints what a run would use.
func (a *asked) validated(env cli.Environment) error {
	vars := env.Vars
	id := runID(vars)
	if !vars.Set(variable.RunID) {
		id = "validate"
	}
	profile, set := vars.Lookup(string(variable.DeploymentProfile))
	if !set {
		profile = "hardened"
	}
	backend, _ := vars.Word(variable.CellBackend)
	broker, _ := vars.Word(variable.Broker)
	primary := "jetstream-or-noop-fallback"
	if vars.Is(variable.UseNoopSink) {
		primary = "noop"
	}
	export := "noop"
	switch {
	case vars.Line(variable.ExportHTTPBaseURL) != "":
		export = "http"
	case vars.Set(variable.ExportDir):
		export = "local"
	}
	targets := []map[string]string{}
	if e := a.doc.Spec.Export; e != nil {
		for _, t := range e.Targets {
			targets = append(targets, map[string]string{"kind": t.Kind, "name": t.Name})
		}
	}
	digest := evidence.DocumentDigest(a.data)
	return cli.WriteJSON(env.Out, map[string]any{
		"authorityKeysConfigured": vars.Line(variable.Line(variable.AuthorityKeysPath)) != "",
		"deploymentProfile":       profile,
		"eventSink":               map[string]any{"jsonlMirrorEnabled": vars.Set(variable.JSONLEvents), "primary": primary, "subject": sinks.Subject(vars, a.doc, id)},
		"export":                  map[string]any{"defaultSink": export, "namedTargets": targets},
		"hostBackend":             or(backend, "proprietary"),
		"mode":                    "validate",
		"policyPackConfigured":    vars.Line(variable.Line(variable.PolicyPackPath)) != "",
		"runId":                   id,
		"secretBroker":            or(broker, "memory"),
		"specId":                  a.doc.Spec.ID,
		"specPath":                a.name,
		"specSha256":              strings.TrimPrefix(digest, "sha256:"),
	})
}

func or(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}
