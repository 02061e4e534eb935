package pack

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/document"
	"cellos.io/cellos/document/format"
)

// A Violation is one rule that a document breaks.
type Violation struct {
	Rule    string // its name in the pack
	Path    string // what breaks it: a path in the document, or the name of a variable
	Message string // one line, without the path
}

// A Caller is who asks for the run, and what the operator lets pass.
type Caller struct {
	Name   string // in secretRefAllowlist; "" stands for "default"
	Source string // where the name comes from, as the path of a violation
	// AbsentLimits lets pass what is not declared: a maximum is then only compared with what is there, and an empty limits
	// object counts.
	AbsentLimits bool
}

// Violations returns every rule that the document breaks, in the documented order. absent counts the violations that
// Caller.AbsentLimits kept out of the list.
func (p *Pack) Violations(doc *document.Document, by Caller) (list []Violation, absent int) {
	c := check{rules: &p.Spec.Rules, spec: &doc.Spec, by: by}
	c.maxima()
	c.egress()
	c.delivery()
	c.dns()
	c.secrets()
	return c.found, c.absent
}

type check struct {
	rules  *Rules
	spec   *document.Spec
	by     Caller
	found  []Violation
	absent int
}

func (c *check) add(rule, path, format string, args ...any) {
	c.found = append(c.found, Violation{rule, path, fmt.Sprintf(format, args...)})
}

// missing is add for what only a missing declaration breaks.
func (c *check) missing(rule, path, format string, args ...any) {
	if c.by.AbsentLimits {
		c.absent++
		return
	}
	c.add(rule, path, format, args...)
}

func (c *check) maxima() {
	r, run := c.rules, c.spec.Run
	if most := r.MaxLifetimeTTLSeconds; most != nil && c.spec.Lifetime.TTLSeconds > *most {
		c.add("maxLifetimeTtlSeconds", "spec.lifetime.ttlSeconds", "%d is above %d", c.spec.Lifetime.TTLSeconds, *most)
	}
	if most := r.MaxMemoryMaxBytes; most != nil && run != nil {
		const at = "spec.run.limits.memoryMaxBytes"
		switch {
		case run.Limits == nil || run.Limits.MemoryMaxBytes == nil:
			c.missing("maxMemoryMaxBytes", at, "is required, and at most %d: no limit is above every limit", *most)
		case *run.Limits.MemoryMaxBytes > *most:
			c.add("maxMemoryMaxBytes", at, "%d is above %d", *run.Limits.MemoryMaxBytes, *most)
		}
	}
	if most := r.MaxRunTimeoutMs; most != nil && run != nil {
		const at = "spec.run.timeoutMs"
		life := c.spec.Lifetime.TTLSeconds * 1000 // fits: the lifetime is at most 9223372036 s
		switch {
		case run.TimeoutMs == nil && life > *most:
			c.missing("maxRunTimeoutMs", at, "is not set, and the lifetime of %d ms is above %d", life, *most)
		case run.TimeoutMs != nil && *run.TimeoutMs > *most:
			c.add("maxRunTimeoutMs", at, "%d is above %d", *run.TimeoutMs, *most)
		}
	}
}

func (c *check) egress() {
	rules := c.spec.Authority.EgressRules
	const at = "spec.authority.egressRules"
	if c.rules.RequireEgressDeclared && len(rules) == 0 {
		c.add("requireEgressDeclared", at, "must declare at least one rule")
	}
	if c.rules.ForbidOutboundEgressRules && len(rules) > 0 {
		c.add("forbidOutboundEgressRules", at, "must be empty, and has %d rules", len(rules))
	}
	if len(c.rules.AllowedEgressHosts) == 0 {
		return
	}
	for i, r := range rules {
		if !allows(c.rules.AllowedEgressHosts, r.Host) {
			c.add("allowedEgressHosts", fmt.Sprintf("%s[%d].host", at, i), "%s matches none of %s", format.Quote(r.Host), strings.Join(c.rules.AllowedEgressHosts, ", "))
		}
	}
}

func (c *check) delivery() {
	run := c.spec.Run
	if c.rules.RequireRuntimeSecretDelivery && (run == nil || run.SecretDelivery == document.DeliverEnv) {
		c.add("requireRuntimeSecretDelivery", "spec.run.secretDelivery", "must be runtimeBroker or runtimeLeasedBroker")
	}
	if !c.rules.RequireResourceLimits {
		return
	}
	switch {
	case run == nil || run.Limits == nil:
		c.add("requireResourceLimits", "spec.run.limits", "is required")
	case run.Limits.MemoryMaxBytes == nil && run.Limits.CPUMax == nil:
		c.missing("requireResourceLimits", "spec.run.limits", "must limit memory (memoryMaxBytes) or processor time (cpuMax)")
	}
}

// acknowledged is the protocol of a rule that says that it means DNS.
const acknowledged = "dns-acknowledged"

func (c *check) dns() {
	flagged := false
	for i, r := range c.spec.Authority.EgressRules {
		if r.Port != 53 {
			continue
		}
		at := fmt.Sprintf("spec.authority.egressRules[%d]", i)
		says := r.Protocol != nil && strings.EqualFold(*r.Protocol, acknowledged)
		if on(c.rules.FlagDNSEgressWithoutAcknowledgment) && !says && !flagged {
			flagged = true // one in all
			c.add("flagDnsEgressWithoutAcknowledgment", at, "reaches port 53 without the protocol %s", acknowledged)
		}
		if j := r.DNSEgressJustification; on(c.rules.RequireDNSEgressJustification) && says && (j == nil || strings.TrimSpace(*j) == "") {
			c.add("requireDnsEgressJustification", at+".dnsEgressJustification", "is required with the protocol %s", acknowledged)
		}
	}
}

func on(b *bool) bool { return b != nil && *b }

func (c *check) secrets() {
	if c.rules.SecretRefAllowlist == nil || len(c.spec.Authority.SecretRefs) == 0 {
		return
	}
	caller := c.by.Name
	if caller == "" {
		caller = "default"
	}
	granted, known := c.rules.SecretRefAllowlist[caller]
	if !known {
		c.add("secretRefAllowlist", c.by.Source, "caller_unmapped: caller %s has no list of secrets; the document asks for %s", format.Quote(caller), strings.Join(c.spec.Authority.SecretRefs, ", "))
		return
	}
	for i, s := range c.spec.Authority.SecretRefs {
		if !slices.Contains(granted, s) {
			c.add("secretRefAllowlist", fmt.Sprintf("spec.authority.secretRefs[%d]", i), "secret_ref_denied: %s is not granted to caller %s", format.Quote(s), format.Quote(caller))
		}
	}
}
