package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/authority"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/wire"
	"cellos.io/cellos/variable"
)

// loosen applies the opt-outs of the operator's variables: the profile that takes what the host has, and those of the network.
func (c *configuration) loosen(a *authority.Authority) {
	a.Portable = c.profile == "portable"
	// Firecracker is asked for by that name in the drop-in alone; there, what boots has to be pinned.
	if backend, _ := c.vars.Word(variable.CellBackend); backend == "firecracker" && !c.vars.Set(variable.FirecrackerManifest) {
		c.Tags.Use(admission.NoManifest)
	}
	if c.Tags.On(admission.HostNetwork) {
		c.Tags.Use(admission.HostNetwork)
		a.OnHost = true
	}
	if c.Tags.On(admission.DNSSECUnchecked) {
		a.Demands = slices.DeleteFunc(a.Demands, func(d authority.Demand) bool {
			unchecked := strings.HasSuffix(d.From, ".dnssec.validate")
			if unchecked {
				c.Tags.Use(admission.DNSSECUnchecked)
			}
			return unchecked
		})
	}
}

// transports are the documented words, in any case of letters.
func transport(word string) (wire.Transport, bool) {
	switch strings.ToLower(word) {
	case "do53-udp", "do53udp", "udp":
		return wire.UDP, true
	case "do53-tcp", "do53tcp", "tcp":
		return wire.TCP, true
	case "dot", "tls", "do-tls":
		return wire.TLS, true
	case "doh", "https", "do-https":
		return wire.HTTPS, true
	}
	return "", false
}

// upstream is the server that the operator's variables put in place of the document's resolvers; nil if they do not.
func upstream(vars variable.Env, resolvers []authority.Resolver) ([]wire.Server, error) {
	id := ""
	if len(resolvers) > 0 {
		id = resolvers[0].ID
	}
	name, word := variable.DNSUpstreamProtocol, vars.Line(variable.DNSUpstreamProtocol)
	if word == "" {
		name, word = variable.DNSUpstreamTransport, vars.Line(variable.DNSUpstreamTransport)
	}
	to := vars.Line(variable.DNSProxyUpstream)
	if to != "" {
		if _, err := netip.ParseAddrPort(to); err != nil {
			return nil, variable.Errorf(variable.DNSProxyUpstream, "%s is not IP:PORT", cli.Quote(cli.Brief(to)))
		}
	}
	if word == "" {
		if to == "" {
			return nil, nil
		}
		word = "udp"
	}
	t, ok := transport(word)
	if !ok {
		return nil, variable.Errorf(name, "%s is no transport that is spoken here: do53-udp, do53-tcp, dot or doh", cli.Quote(cli.Brief(word)))
	}
	s := wire.Server{ID: id, Transport: t, Endpoint: to}
	switch t {
	case wire.HTTPS:
		if s.Endpoint = vars.Line(variable.DNSUpstreamDoHURL); !strings.HasPrefix(s.Endpoint, "https://") {
			return nil, variable.Errorf(variable.DNSUpstreamDoHURL, "a URL https://… is needed")
		}
	case wire.TLS:
		server := vars.Line(variable.DNSUpstreamDoTServer)
		port, _, err := vars.Int(variable.DNSUpstreamDoTPort)
		if err != nil {
			return nil, err
		}
		if port == 0 {
			port = 853
		}
		if _, err := netip.ParseAddrPort(server); err == nil {
			s.Endpoint = server
		} else if a, err := netip.ParseAddr(server); err == nil {
			s.Endpoint = net.JoinHostPort(a.String(), strconv.FormatInt(port, 10))
		} else {
			return nil, variable.Errorf(variable.DNSUpstreamDoTServer, "an address is needed")
		}
		s.Name = vars.Line(variable.DNSUpstreamDoTSNI)
	default:
		if to == "" { // the document's resolvers, over another transport
			var list []wire.Server
			for _, r := range resolvers {
				if strings.HasPrefix(r.Protocol, "do53") {
					list = append(list, wire.Server{ID: r.ID, Transport: t, Endpoint: r.Endpoint})
				}
			}
			return list, nil
		}
	}
	return []wire.Server{s}, nil
}

// observed are the documented decisions on what the document says of names, where a variable asks for them.
func (a *asked) observed() (list []evidence.Payload) {
	if on, _ := a.from.vars.On(variable.L7GateObservability); !on {
		return nil
	}
	d := a.doc.Spec.Authority.DNSAuthority
	if d == nil {
		return nil
	}
	t, digest := a.trust(), a.doc.CanonicalDigest()
	say := func(allow bool, code, ref, name string) {
		list = append(list, evidence.L7EgressDecision{DecisionID: evidence.NewID(), Allow: allow, SNIHost: name, PolicyDigest: digest, KeysetID: t.KeysetID, IssuerKid: t.L7Kid, ReasonCode: code, RuleRef: ref})
	}
	for i, n := range d.HostnameAllowlist {
		say(true, "hostname_allowlist_evaluated", fmt.Sprintf("authority.dnsAuthority.hostnameAllowlist[%d]", i), n)
	}
	for i, r := range a.doc.Spec.Authority.EgressRules {
		declared := slices.ContainsFunc(d.Resolvers, func(x document.Resolver) bool {
			at, err := netip.ParseAddrPort(x.Endpoint)
			return err == nil && at.Addr().String() == r.Host
		})
		if r.Port == 53 && d.BlockDirectWorkloadDNS && !declared {
			say(false, "workload_direct_dns_blocked", fmt.Sprintf("authority.egressRules[%d]", i), r.Host)
		}
	}
	return list
}

// operatorVars are the variables of the drop-in; nil in cellos run, which knows none of these.
func (a *asked) operatorVars() *variable.Env {
	if a.from == nil {
		return nil
	}
	return &a.from.vars
}
