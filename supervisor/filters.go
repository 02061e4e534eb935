package supervisor

import "cellos.io/cellos/plan"

// planDetails are the seccomp filters of a plan: what they are, who asked for them, and what exactly was loaded.
func planDetails(p *plan.Plan) map[string]any {
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
	if len(details) == 0 {
		return nil
	}
	return details
}
