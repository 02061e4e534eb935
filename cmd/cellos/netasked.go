package main

import (
	"time"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/remote"
	"cellos.io/cellos/gate/wire"
	"cellos.io/cellos/supervisor"
	"cellos.io/cellos/variable"
)

// refreshed reports whether the operator and the document want the document's names asked for before the run, and how often while it lasts;
// 0: not then.
func (a *asked) refreshed() (before bool, every time.Duration) {
	d := a.doc.Spec.Authority.DNSAuthority
	if a.from == nil || d == nil || d.RefreshPolicy == nil || d.RefreshPolicy.Strategy != nil && *d.RefreshPolicy.Strategy == "manual" {
		return false, 0
	}
	if before, _ = a.from.vars.On(variable.DNSAuthorityRefresh); !before {
		return false, 0
	}
	if again, _ := a.from.vars.On(variable.DNSAuthorityContinuous); again {
		seconds, set, _ := a.from.vars.Int(variable.DNSAuthorityTick)
		if !set {
			seconds = 60
			if m := d.RefreshPolicy.MinTTLSeconds; m != nil && *m > 0 {
				seconds = min(seconds, int64(*m))
			}
		}
		every = time.Duration(max(seconds, 5)) * time.Second
	}
	return before, every
}

// askFirst asks for names before the run, where the operator's variables want it, and adds the answers to what its events say.
func (a *asked) askFirst(c wire.Config, to *supervisor.Admitted) error {
	if a.from == nil {
		return nil
	}
	var q wire.Question
	q.Hosts, _ = a.from.vars.On(variable.ResolveEgressDNS)
	q.Hosts = q.Hosts && len(c.Rules) > 0 && !to.NoNames
	q.Refresh, _ = a.refreshed()
	if !q.Hosts && !q.Refresh {
		return nil
	}
	program, err := cli.Besides("cellos-gate", "a network by name", "")
	if err != nil {
		return err
	}
	// Every host and every name may take its whole time.
	waiting := 30*time.Second + 3*time.Second*time.Duration(len(c.Rules)+len(c.Names.Allow))
	list, err := remote.Ask(program, rootsAt(a.from.vars), c, q, waiting)
	if err != nil {
		return err
	}
	var names []evidence.Payload
	for _, p := range list {
		if r, ok := p.(evidence.DNSResolution); ok {
			r.ReceiptID = "rcp-" + runID(a.from.vars) + "-" + r.FQDN
			to.Resolved = append(to.Resolved, r)
		} else {
			names = append(names, p)
		}
	}
	to.Names = append(names, to.Names...)
	return nil
}
