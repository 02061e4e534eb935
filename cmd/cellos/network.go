package main

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/address"
	"cellos.io/cellos/gate/remote"
	"cellos.io/cellos/gate/wire"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/supervisor"
	"cellos.io/cellos/variable"
)

// A network is the gate of a run, and what is told of it on the terminal.
type network struct {
	gate  *remote.Gate
	adhoc bool // grants are flags, not members of a document
	watch bool // tell refusals as they come

	values func() []secret.Variable // what the gate puts into requests, when the cell stands; nil: nothing
	rules  []authority.Rule
	ui     *cli.Console
}

var _ supervisor.Network = (*network)(nil)

// gateConfig is what the gate of a plan enforces.
func (a *asked) gateConfig(auth *authority.Authority, p *plan.Plan, trust supervisor.Trust) (wire.Config, error) {
	c := wire.Config{
		Rules: auth.Network, Names: auth.Names, Cell: plan.CellAddress(), Cell6: plan.CellAddress6(), Gate: plan.GateAddress(), StandIns: plan.StandIns(), MTU: p.Network.MTU,
		Trust: evidence.Trust{KeysetID: trust.KeysetID, IssuerKid: trust.ResolverKid, PolicyDigest: a.doc.CanonicalDigest()},
		L7Kid: trust.L7Kid,
	}
	if d := a.doc.Spec.Authority.DNSAuthority; d != nil {
		c.Drift = d.RefreshPolicy != nil && (d.RefreshPolicy.Strategy == nil || *d.RefreshPolicy.Strategy != "manual")
	}
	_, c.Every = a.refreshed()
	for _, r := range auth.Names.Resolvers {
		c.Servers = append(c.Servers, wire.Server{ID: r.ID, Transport: wire.Transport(r.Protocol), Endpoint: r.Endpoint})
	}
	if vars := a.operatorVars(); vars != nil {
		list, err := upstream(*vars, auth.Names.Resolvers)
		if err != nil {
			return c, err
		}
		if len(list) > 0 {
			c.Servers = list
		}
	}
	return c, nil
}

// beginNetwork starts the gate of a document that asks for a network, while the plan is made; nil: it asks for none. The function
// returns it, or why there is none, once it is known what it is to enforce; without one it is ended.
func (a *asked) beginNetwork(ui *cli.Console, vars variable.Env) func(*wire.Config) (*network, error) {
	auth := &a.doc.Spec.Authority
	if len(auth.EgressRules) == 0 && (auth.DNSAuthority == nil || len(auth.DNSAuthority.HostnameAllowlist) == 0) || a.grants.network.host {
		return func(*wire.Config) (*network, error) { return nil, nil }
	}
	n := &network{adhoc: a.name == "", watch: a.watch, ui: ui}
	started := make(chan error, 1)
	go func() {
		program, err := cli.Besides("cellos-gate", "a network by name", "")
		if err == nil {
			n.gate, err = remote.Start(program, rootsAt(vars), n.denied)
		}
		started <- err
	}()
	var taken bool
	return func(c *wire.Config) (*network, error) {
		if taken {
			return nil, nil
		}
		taken = true
		switch err := <-started; {
		case c == nil && err == nil:
			n.gate.Close()
			return nil, nil
		case c == nil:
			return nil, nil
		case err != nil:
			return nil, err
		}
		n.gate.Prepare(*c)
		return n, nil
	}
}

// Open implements supervisor.Network.
func (n *network) Open(l cell.Link, rec supervisor.NetworkRecorder) error {
	if n.values != nil {
		if err := n.gate.Secrets(n.values()); err != nil {
			return err
		}
	}
	return n.gate.Open(remote.Link(l), rec)
}

// Release implements supervisor.Network.
func (n *network) Release() error { return n.gate.Release() }

// Failed implements supervisor.Network.
func (n *network) Failed() <-chan error { return n.gate.Failed() }

// Finish implements supervisor.Network.
func (n *network) Finish() error { return n.gate.Finish() }

// Close implements supervisor.Network.
func (n *network) Close() error { return n.gate.Close() }

// Exercised implements supervisor.Network.
func (n *network) Exercised() (used int) {
	u := n.gate.Use()
	if u == nil {
		return 0
	}
	for _, r := range u.Rules {
		if r.Connections > 0 {
			used++
		}
	}
	return used
}

// Meter sets the gate's numbers against the grants.
func (n *network) Meter(u *evidence.Usage) {
	use := n.gate.Use()
	if use == nil {
		return // nobody counted
	}
	for _, r := range use.Rules {
		e := u.Name(fmt.Sprintf("%s:%d", r.Host, r.Port))
		for _, x := range []struct {
			to  **int64
			add int64
		}{{&e.Connections, r.Connections}, {&e.Sent, r.BytesSent}, {&e.Rcvd, r.BytesReceived}} {
			if *x.to == nil {
				*x.to = new(int64)
			}
			**x.to += x.add
		}
	}
	for i := range u.Secrets {
		if u.Secrets[i].Placeholder {
			u.Secrets[i].Taken = n.injected(u.Secrets[i].Name, use)
		}
	}
	for _, r := range n.gate.Refused() {
		u.Denials = append(u.Denials, evidence.Denial{What: evidence.DeniedName, Name: destination(r), Count: r.Count, Grant: n.remedy(r)})
	}
}

// denied tells a refusal that is new, if the person wants to watch.
func (n *network) denied(r wire.Refused) {
	if n.watch {
		n.ui.Note(n.sentence(r))
	}
}

// tell prints what was refused and what would allow it, when the command has ended.
func (n *network) tell() {
	if n == nil || n.watch {
		return
	}
	const most = 10
	list := n.gate.Refused()
	list = slices.DeleteFunc(slices.Clone(list), func(r wire.Refused) bool { // a name that a connection was asked for, too, is told with that
		return r.Reason == evidence.DNSNotAllowed && slices.ContainsFunc(list, func(x wire.Refused) bool { return x.Name == r.Name && x.Addr.IsValid() })
	})
	for i, r := range list {
		if i == most {
			n.ui.Note(fmt.Sprintf("%d more refusals: cellos show last", len(list)-most))
			return
		}
		n.ui.Note(n.sentence(r))
	}
}

// destination is where the cell wanted to go.
func destination(r wire.Refused) string {
	switch {
	case r.Name == "" && !r.Addr.IsValid():
		return "a name"
	case r.Name == "":
		return r.Addr.String()
	case r.Addr.IsValid():
		return fmt.Sprintf("%s:%d", r.Name, r.Addr.Port())
	}
	return r.Name
}

// sentence tells one refusal in one line, with the grant that would allow it.
func (n *network) sentence(r wire.Refused) string {
	s := "refused: " + destination(r)
	if r.UDP {
		s += " (UDP)"
	}
	words := refusalWords(r.Reason)
	if words == "" {
		words = strings.ReplaceAll(strings.TrimPrefix(r.Reason, "l7_"), "_", " ")
	}
	s += ": " + words
	if r.Why != "" && words != "not granted" {
		s += " (" + r.Why + ")"
	}
	if r.Count > 1 {
		s += fmt.Sprintf(", %d times", r.Count)
	}
	if g := n.remedy(r); g != "" {
		s += "; " + g + " would allow it"
	}
	return s
}

// never reports whether an address is one that no rule alone lets pass.
func never(a netip.Addr) bool {
	r, blocked := address.NewFilter(nil).Blocked(a)
	return blocked && r.Never
}

// remedy is the grant that would allow what was refused; "" if none would.
func (n *network) remedy(r wire.Refused) string {
	host, port := r.Name, ""
	if r.Addr.IsValid() {
		port = fmt.Sprint(r.Addr.Port())
		if host == "" {
			host = r.Addr.Addr().String()
			if r.Addr.Addr().Is6() {
				host = "[" + host + "]"
			}
			if plan.StandInRange().Contains(r.Addr.Addr()) || r.Addr.Addr().IsLoopback() {
				return ""
			}
		}
	}
	proto := ""
	if r.UDP {
		proto = "udp"
	}
	switch r.Reason {
	case evidence.DNSNotAllowed, evidence.FlowDefault, evidence.FlowNoPort:
		if port == "53" || port == "853" || r.Name == "" && never(r.Addr.Addr()) {
			return ""
		}
		if n.adhoc {
			s := "--net " + host
			if port != "" {
				s += ":" + port
			}
			if proto != "" {
				s += "/" + proto
			}
			return s
		}
		if port == "" {
			port = "443"
		}
		s := fmt.Sprintf(`{"host": %q, "port": %s`, strings.Trim(host, "[]"), port)
		if proto != "" {
			s += fmt.Sprintf(`, "protocol": %q`, proto)
		}
		return s + "} in spec.authority.egressRules"
	case evidence.FlowNotListed:
		return "its name in spec.authority.dnsAuthority.hostnameAllowlist"
	case evidence.FlowBlocked:
		if !r.Lead.IsValid() {
			return ""
		}
		if n.adhoc {
			return fmt.Sprintf("--private %s=%s", host, r.Lead)
		}
		return fmt.Sprintf("%q in spec.authority.dnsAuthority.rebindingPolicy.responseIpAllowlist", host+":"+r.Lead.String())
	}
	return ""
}

// hostFile reads a file that a host need not have.
func hostFile(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}
