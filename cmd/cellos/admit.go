package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/admission/authz"
	"cellos.io/cellos/admission/pack"
	"cellos.io/cellos/admission/token"
	"cellos.io/cellos/cmd/cellos/internal/backends"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/document/input"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/variable"
)

// A configuration is what the variables of cellos-supervisor ask for, with every file that they name read.
type configuration struct {
	admission.Configuration
	vars     variable.Env // with what the profile sets
	profile  string       // hardened or portable
	demanded bool         // the profile hardened was written out
	missing  []string     // isolation primitives that count as missing
	limits   operatorLimits
	unshare  unshared

	keyset evidence.Payload // what is to be said of the trust keyset; nil: none is configured
	quiet  bool             // a keyset that does not verify leaves no event: it was demanded
	errs   []error
}

// configure reads all of it. Everything that is wrong is in errs.
func configure(vars variable.Env) *configuration {
	c := &configuration{vars: vars}
	c.setProfile()
	c.errs = append(c.errs, configured(c.vars)...)
	tags, err := admission.ParseTags(c.vars.List(variable.CompatAllow))
	if err != nil {
		c.wrong(variable.CompatAllow, "%v", err)
	}
	c.Tags = tags
	if without, _ := backends.WithoutManifest(c.vars); without { // half a pair is reported where it would be used
		tags.Allow(admission.NoManifest)
	}
	c.primitives()
	c.simple()
	c.isolation()
	var errs []error
	c.limits, errs = readLimits(c.vars)
	c.errs = append(c.errs, errs...)
	c.files()
	c.trust()
	return c
}

func (c *configuration) wrong(n variable.Name, format string, args ...any) {
	c.errs = append(c.errs, variable.Errorf(n, format, args...))
}

// setProfile reads the profile. Written out, hardened sets what the existing supervisor says it sets.
func (c *configuration) setProfile() {
	c.profile, _ = c.vars.Word(variable.DeploymentProfile) // a word that is none is reported by Check
	if v, _ := c.vars.Lookup(string(variable.DeploymentProfile)); strings.ToLower(strings.TrimSpace(v)) != "hardened" {
		return
	}
	c.demanded = true
	if !c.vars.Set(variable.AuthorityKeysPath) {
		c.wrong(variable.AuthorityKeysPath, "is required by the profile hardened")
	}
	if c.vars.Is(variable.UseNoopSink) {
		c.wrong(variable.UseNoopSink, "the profile hardened demands a sink that keeps the events")
	}
	for _, n := range []variable.Name{variable.RequireJetStream, variable.RequireDerivation, variable.RequireTelemetry, variable.StrictConfig} {
		if !c.vars.Set(n) {
			c.vars = c.vars.With(n, "1")
		}
	}
	if scoped, err := c.vars.Unless(variable.RequireScopedTokens); err == nil && !scoped {
		c.vars = c.vars.With(variable.RequireScopedTokens, "1")
	}
}

// primitives reads the test hook that takes isolation away. It can only add to what is missing.
func (c *configuration) primitives() {
	for _, w := range c.vars.List(variable.ForceMissing) {
		switch strings.ToLower(w) {
		case "unshare", "seccomp":
			c.missing = append(c.missing, strings.ToLower(w))
		case "cgroup-v2", "cgroup_v2", "cgroupv2":
			c.missing = append(c.missing, "cgroup-v2")
		case "all", "*":
			c.missing = append(c.missing, "unshare", "seccomp", "cgroup-v2")
		default:
			c.wrong(variable.ForceMissing, "%s is none of unshare, seccomp, cgroup-v2, all", cli.Quote(cli.Brief(w)))
		}
	}
	if len(c.missing) > 0 && c.profile != "portable" {
		c.errs = append(c.errs, cli.NewMistake(fmt.Sprintf("%s: the host is missing isolation primitives: %s", variable.ForceMissing, strings.Join(c.missing, ", ")),
			"the profile portable (CELLOS_DEPLOYMENT_PROFILE=portable) runs with what the host has"))
	}
}

// simple reads the variables that need no file.
func (c *configuration) simple() {
	c.RequireDerivation = c.vars.Is(variable.RequireDerivation)
	c.RequireTelemetry = c.vars.Is(variable.RequireTelemetry)
	c.Namespace = c.vars.Line(variable.K8sNamespace)
	c.Tenant = c.vars.Line(variable.TenantID)
	c.Caller = c.vars.Line(variable.CallerIdentity)
	c.Scoped, _ = c.vars.Unless(variable.RequireScopedTokens)
	c.Broker.Name, _ = c.vars.Word(variable.Broker)
	c.Broker.Leases = c.Broker.Name == "vault-approle"
	if c.Broker.Name == "" && c.vars.Line(variable.Line(variable.Broker)) != "" {
		c.Broker.Name = "unknown" // reported already
	}
	if c.vars.Line(variable.Line(variable.Argv0Prefixes)) != "" {
		var err error
		if c.Argv0, err = admission.NewPrefixes(c.vars.List(variable.Argv0Prefixes), resolveLinks); err != nil {
			c.wrong(variable.Argv0Prefixes, "%v", err)
		}
	}
}

// resolveLinks follows the symbolic links of a path as far as it leads somewhere.
func resolveLinks(p string) string {
	if real, err := filepath.EvalSymlinks(p); err == nil {
		return real
	}
	if dir := filepath.Dir(p); dir != p {
		return filepath.Join(resolveLinks(dir), filepath.Base(p))
	}
	return p
}

// files reads the pack, the policy and the keys.
func (c *configuration) files() {
	downgrade, _ := c.vars.On(variable.PolicyAllowDowngrade)
	c.file(variable.PolicyPackPath, func(data []byte) (err error) {
		c.Pack, err = pack.Parse(data, pack.Options{AllowDowngrade: downgrade})
		return err
	})
	c.file(variable.AuthzPolicyPath, func(data []byte) (err error) {
		c.Policy, err = authz.Parse(data)
		return err
	})
	c.KeysConfigured = c.vars.Set(variable.AuthorityKeysPath)
	c.file(variable.AuthorityKeysPath, func(data []byte) (err error) {
		c.Keys, err = token.ParseKeys(data)
		return err
	})
}

// file reads the file that a variable names, if it is set, and reports whatever is wrong with it.
func (c *configuration) file(n variable.Path, parse func([]byte) error) {
	if name, set := c.vars.Path(n); set {
		c.errs = append(c.errs, fileErrors(n, name, parse)...)
	}
}

// fileErrors reads one file. It is opened as documents are: a symbolic link as the last part of its name is not followed.
func fileErrors(n variable.Name, name string, parse func([]byte) error) (errs []error) {
	open := name
	if open == "-" {
		open = "./-" // not standard input
	}
	data, err := input.Read(open, nil)
	if err == nil {
		err = parse(data)
	}
	var problems input.Problems
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &problems):
		return []error{variable.Errorf(n, "%v", err)}
	}
	for _, p := range problems {
		errs = append(errs, variable.Errorf(n, "%s", p.In(cli.OneLine(name))))
	}
	return errs
}

// admit asks every gate about a document.
func (c *configuration) admit(doc *document.Document, validate bool) (admission.Decision, error) {
	d := c.Decide(doc, validate)
	if len(d.Refusals) == 0 {
		return d, nil
	}
	f := cli.Failure{Code: cli.ExitRefused}
	for _, r := range d.Refusals {
		f.Errs = append(f.Errs, r)
	}
	return d, f
}
