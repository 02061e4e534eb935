package document

import (
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
)

func (c *checker) export() {
	e := c.spec.Export
	if e == nil {
		return
	}
	p := c.at.Field("export")
	known := c.targets(p.Field("targets"), e.Targets)
	c.artifacts(p.Field("artifacts"), e, known)
}

// targets checks the targets and returns their names, or nil when one of them is lost.
func (c *checker) targets(list *input.Path, targets []Target) names {
	hosts := map[format.BaseURL]bool{}
	for _, r := range c.spec.Authority.EgressRules {
		hosts[format.BaseURL{Host: format.HostKey(r.Host), Port: int(r.Port)}] = true
	}
	known, lost := names{}, len(targets) == 0 && c.Lost(list)
	for i, t := range targets {
		p := list.Item(i)
		c.add(known, p.Field("name"), t.Name)
		lost = lost || c.Lost(p.Field("name"))
		if t.SecretRef != nil {
			c.secretGranted(p.Field("secretRef"), *t.SecretRef)
		}
		u, problem := format.ParseBaseURL(t.BaseURL)
		if t.Kind == TargetHTTP && problem == "" && len(hosts) > 0 && !hosts[u] && !c.Lost(c.egressRules) {
			c.Add(p.Field("baseUrl"), "no rule in %s covers %s port %d", c.egressRules, u.Host, u.Port)
		}
	}
	if lost {
		return nil
	}
	return known
}

// artifacts checks the artifacts against the targets. known is nil when it is not known which targets there are.
func (c *checker) artifacts(list *input.Path, e *Export, known names) {
	taken := map[string]names{}
	for i, a := range e.Artifacts {
		p := list.Item(i)
		target := ""
		switch at := p.Field("target"); {
		case a.Target != nil:
			target = *a.Target
			if known != nil && known[target] == nil && !c.Lost(at) {
				c.Add(at, "no target is called %s", format.Quote(target))
			}
		case c.Lost(at):
			continue
		case len(e.Targets) > 1:
			c.Add(at, "is required where there are several targets")
			continue
		case len(e.Targets) == 1:
			target = e.Targets[0].Name
		}
		if taken[target] == nil {
			taken[target] = names{}
		}
		c.add(taken[target], p.Field("name"), a.Name)
	}
}
