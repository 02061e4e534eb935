package supervisor

import (
	"cellos.io/cellos/authority"
	"cellos.io/cellos/plan"
)

// planDetails are the seccomp filters of a plan: what they are, who asked for them, and what exactly was loaded; which sandbox it was; who
// asked to have secrets taken out of the output; and which secrets the gate puts into which requests.
func planDetails(p *plan.Plan, a *authority.Authority, certificate string) map[string]any {
	list := make([]any, 0, len(p.Filters))
	for _, f := range p.Filters {
		list = append(list, map[string]any{"name": f.Name, "by": f.By, "instructions": f.Instructions(), "sha256": f.Digest()})
	}
	details := map[string]any{}
	if len(list) > 0 {
		details["seccompFilters"] = list
	}
	if s := p.Sandbox; s != nil {
		details["runsc"] = map[string]any{"version": s.Runsc.Version, "sha256": s.Runsc.SHA256, "platform": s.Runsc.Platform}
	}
	if a.Scrub != "" {
		details["outputScrubbedBy"] = a.Scrub
	}
	if list := injected(a); len(list) > 0 {
		details["injected"] = map[string]any{"authoritySha256": certificate, "rules": list}
	}
	if len(details) == 0 {
		return nil
	}
	return details
}

// injected lists the rules whose TLS the gate opens, with the names of the secrets that it puts into their requests.
func injected(a *authority.Authority) (list []any) {
	for _, r := range a.Network {
		for _, x := range r.Inject {
			list = append(list, map[string]any{"rule": r.From, "name": r.Name(), "port": int(r.Port), "tls": "terminated", "secret": x.Secret, "header": x.Header})
		}
	}
	return list
}
