package supervisor

import (
	"cellos.io/cellos/authority"
	"cellos.io/cellos/plan"
)

// planDetails are the seccomp filters of a plan: what they are, who asked for them, and what exactly was loaded; which sandbox it was; and who
// asked to have secrets taken out of the output.
func planDetails(p *plan.Plan, a *authority.Authority) map[string]any {
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
	if len(details) == 0 {
		return nil
	}
	return details
}
