package main

import (
	"errors"
	"slices"
	"strings"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
)

const injectHelp = "write NAME=HOST, NAME=HOST:PORT or NAME=HOST:PORT/HEADER"

// injectFlag reads NAME=HOST[:PORT][/HEADER]: a rule for the host, and a secret that goes into its requests. Without a header it is a bearer
// token (RFC 6750).
func (g *grants) injectFlag(v string) error {
	name, to, ok := strings.Cut(v, "=")
	if !ok || name == "" || to == "" {
		return errors.New(injectHelp)
	}
	to, header, named := strings.Cut(to, "/")
	if named && header == "" {
		return errors.New(injectHelp)
	}
	if !slices.ContainsFunc(g.secrets, func(s grantedSecret) bool { return s.name == name }) {
		g.secretFlag(name)
		g.secrets[len(g.secrets)-1].implied = true
	}
	r, err := parseRule(to)
	if err != nil {
		return err
	}
	https, bearer := "https", "Bearer "
	in := document.Injection{Secret: name, Header: "Authorization", Prefix: &bearer}
	if named {
		in = document.Injection{Secret: name, Header: header}
	}
	n := &g.network
	for i, x := range n.rules {
		if x.Host == r.Host && x.Port == r.Port && len(x.Inject) > 0 { // one more for the same requests
			n.rules[i].Inject = append(x.Inject, in)
			return nil
		}
	}
	r.Protocol, r.Inject = &https, []document.Injection{in}
	n.rules, n.flags = append(n.rules, r), append(n.flags, "--inject "+cli.Brief(name)+"=…")
	return n.consistent()
}
