package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os/exec"
	"strconv"
	"strings"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
)

// A netAsked is what --net, --dns and --private ask for.
type netAsked struct {
	rules   []document.EgressRule
	flags   []string // that each rule came from
	dns     []document.Resolver
	private []string // NAME:ADDRESS or NAME:PREFIX
	none    bool
	host    bool
}

const netHelp = "write NAME, NAME:PORT or NAME:PORT/PROTOCOL, none, or host"

// register adds the flags to a set.
func (n *netAsked) register(asked func(name, help string, f func(string) error)) {
	asked("net", "", n.net)
	asked("dns", "", n.server)
	asked("private", "", n.address)
}

// net reads one --net.
func (n *netAsked) net(v string) error {
	switch v {
	case "none":
		n.none = true
		return n.consistent()
	case "host":
		n.host = true
		return n.consistent()
	case "":
		return errors.New(netHelp)
	}
	r, err := parseRule(v)
	if err != nil {
		return err
	}
	n.rules, n.flags = append(n.rules, r), append(n.flags, "--net "+cli.Brief(v))
	return n.consistent()
}

func (n *netAsked) consistent() error {
	if n.none && (n.host || len(n.rules) > 0) || n.host && len(n.rules) > 0 {
		return errors.New("none, host and names exclude each other")
	}
	return nil
}

// parseRule reads NAME[:PORT[/PROTOCOL]]. A name alone is what a browser would do with it: TCP port 443.
func parseRule(v string) (document.EgressRule, error) {
	r := document.EgressRule{Host: v, Port: 443}
	if strings.Contains(v, "://") {
		return r, errors.New("a name is granted, not a URL: NAME[:PORT[/PROTOCOL]]")
	}
	rest, proto, hasProto := strings.Cut(v, "/")
	if hasProto {
		r.Protocol = &proto
	}
	host, port := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") && (strings.Count(rest, ":") == 1 || rest[0] == '[') {
		host, port = rest[:i], rest[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' {
			return r, fmt.Errorf("%q is no port from 1 to 65535", cli.Brief(port))
		}
		r.Port = uint16(n)
	}
	if hasProto && port == "" {
		return r, errors.New("a protocol goes with a port: NAME:PORT/PROTOCOL")
	}
	host, err := asciiName(host)
	r.Host = host
	return r, err
}

// asciiName writes a name as it is asked for: UTS-46, non-transitional. A name that is ASCII stays as it is.
func asciiName(name string) (string, error) {
	if strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 }) < 0 {
		return name, nil
	}
	if strings.Contains(strings.ToLower(name), "xn--") {
		return "", errors.New("the name mixes punycode and other letters")
	}
	program, err := cli.Besides("cellos-gate", "a name that is not of ASCII", "") // which has the tables
	if err != nil {
		return "", errors.New("the name is not ASCII: write its punycode form (xn--…)")
	}
	out, err := exec.Command(program, "--ascii", name).Output()
	if err != nil {
		return "", errors.New("not a name (UTS 46)")
	}
	return strings.TrimSpace(string(out)), nil
}

// server reads one --dns: ADDRESS[:PORT], tcp://…, tls://NAME[:PORT], https://….
func (n *netAsked) server(v string) error {
	r := document.Resolver{ResolverID: fmt.Sprintf("dns-%d", len(n.dns)+1)}
	switch scheme, rest, ok := strings.Cut(v, "://"); {
	case ok && scheme == "https":
		if u, err := url.Parse(v); err != nil || u.Host == "" {
			return errors.New("write https://NAME/PATH")
		}
		r.Protocol, r.Endpoint = "doh", v
	case ok && scheme == "tls":
		r.Protocol, r.Endpoint = "dot", withPort(rest, "853")
	case ok && scheme == "tcp":
		r.Protocol, r.Endpoint = "do53-tcp", withPort(rest, "53")
	case ok && scheme == "udp", !ok:
		if !ok {
			rest = v
		}
		r.Protocol, r.Endpoint = "do53-udp", withPort(rest, "53")
	default:
		return errors.New("write ADDRESS[:PORT], tcp://ADDRESS[:PORT], tls://NAME[:PORT] or https://NAME/PATH")
	}
	n.dns = append(n.dns, r)
	return nil
}

func withPort(s, port string) string {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return net.JoinHostPort(a.String(), port)
	}
	if _, _, err := net.SplitHostPort(s); err == nil {
		return s
	}
	return net.JoinHostPort(s, port)
}

// address reads one --private.
func (n *netAsked) address(v string) error {
	name, to, ok := strings.Cut(v, "=")
	_, aerr := netip.ParseAddr(to)
	_, perr := netip.ParsePrefix(to)
	if !ok || name == "" || aerr != nil && perr != nil {
		return errors.New("write NAME=ADDRESS or NAME=PREFIX")
	}
	name, err := asciiName(name)
	n.private = append(n.private, name+":"+to)
	return err
}

// document writes the flags into a document.
func (n *netAsked) document(a *document.Authority) {
	a.EgressRules = append(a.EgressRules, n.rules...)
	if len(n.dns) == 0 && len(n.private) == 0 {
		return
	}
	a.DNSAuthority = &document.DNSAuthority{Resolvers: n.dns}
	if len(n.private) > 0 {
		a.DNSAuthority.RebindingPolicy = &document.RebindingPolicy{ResponseIPAllowlist: n.private, MaxNovelIPsPerHostname: 64}
	}
}

// flagOf says which flag a path of the document came from, "" if none of these.
func (n *netAsked) flagOf(p string) string {
	for i, f := range n.flags {
		if strings.HasPrefix(p, fmt.Sprintf("spec.authority.egressRules[%d]", i)) {
			return f
		}
	}
	switch {
	case strings.HasPrefix(p, "spec.authority.egressRules"):
		return "--net"
	case strings.HasPrefix(p, "spec.authority.dnsAuthority.resolvers"):
		return "--dns"
	case strings.HasPrefix(p, "spec.authority.dnsAuthority.rebindingPolicy"):
		return "--private"
	}
	return ""
}
