package admission

import (
	"fmt"
	"strings"

	"cellos.io/cellos/admission/authz"
	"cellos.io/cellos/admission/pack"
	"cellos.io/cellos/admission/token"
	"cellos.io/cellos/document"
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/variable"
)

// A Configuration is what the operator demands. The zero value demands nothing.
type Configuration struct {
	Tags *Tags

	RequireDerivation bool // authority needs a derivation token
	RequireTelemetry  bool // spec.telemetry must be there
	Namespace         string
	Tenant            string
	Caller            string // "" stands for "default"

	Pack   *pack.Pack
	Policy *authz.Policy

	Keys           token.Keys
	KeysConfigured bool
	Scoped         bool // tokens must name their parent run

	Argv0 *Prefixes // nil: any

	Broker Broker
}

// A Broker is where secrets come from.
type Broker struct {
	Name   string // "" if none is named
	Leases bool   // it can lease
}

// A Refusal is one reason not to run.
type Refusal struct {
	Path string // in the document, or the name of a variable
	Text string // one line
}

func (r Refusal) Error() string { return r.Path + ": " + r.Text }

// A Decision is what all gates said.
type Decision struct {
	Refusals []Refusal

	// What the documented events of a refusal say; nil if that gate did not refuse.
	Denials    []authz.Denial
	Violations []pack.Violation

	// Leases is set when the only refusals are of secrets that the broker cannot lease: the documented life of such a run has
	// events, and no command.
	OnlyLeases bool

	Unverified bool // there is a token, and no keys to verify it with
	Universal  bool // the token is for no run in particular, and was accepted
	Verified   bool // there is a token, and its signature holds
}

func (d *Decision) refuse(path, format string, args ...any) {
	d.Refusals = append(d.Refusals, Refusal{path, fmt.Sprintf(format, args...)})
}

// Decide asks every gate. validate is set for a check without a run: a token without configured keys is then noted instead of refused.
func (c Configuration) Decide(doc *document.Document, validate bool) Decision {
	var d Decision
	c.demands(doc, &d)
	c.token(doc, validate, &d)
	c.placed(doc, &d)
	c.authorize(doc, &d)
	c.pack(doc, &d)
	if run := doc.Spec.Run; run != nil && c.Argv0 != nil {
		if text := c.Argv0.problem(run.Argv[0], doc.Spec.Authority.Filesystem); text != "" {
			d.refuse("spec.run.argv[0]", "%s", text)
		}
	}
	before := len(d.Refusals)
	c.deliver(doc, &d)
	d.OnlyLeases = before == 0 && len(d.Refusals) > 0
	return d
}

// demands are the parts that a document must have.
func (c Configuration) demands(doc *document.Document, d *Decision) {
	a := &doc.Spec.Authority
	if what := asks(a); c.RequireDerivation && a.AuthorityDerivation == nil && what != "" {
		d.refuse("spec.authority.authorityDerivation", "is required by %s: the document declares authority (%s)", variable.RequireDerivation, what)
	}
	if c.RequireTelemetry && doc.Spec.Telemetry == nil {
		d.refuse("spec.telemetry", "is required by %s", variable.RequireTelemetry)
	}
}

// asks names the first thing that a document is granted; "" if it is granted nothing.
func asks(a *document.Authority) string {
	dns, cdn, fs := a.DNSAuthority, a.CDNAuthority, a.Filesystem
	switch {
	case len(a.EgressRules) > 0:
		return "egressRules"
	case len(a.SecretRefs) > 0:
		return "secretRefs"
	case dns != nil && (len(dns.Resolvers)+len(dns.AllowedQueryTypes)+len(dns.HostnameAllowlist) > 0 || dns.RefreshPolicy != nil || dns.RebindingPolicy != nil ||
		dns.BlockDirectWorkloadDNS || dns.BlockUDPDoQ || dns.BlockUDPHTTP3):
		return "dnsAuthority"
	case cdn != nil && len(cdn.Providers) > 0:
		return "cdnAuthority"
	case fs != nil && (len(fs.Read)+len(fs.Write)+len(fs.Exec) > 0 || fs.WorkingDirectory != nil):
		return "filesystem"
	}
	return ""
}

func (c Configuration) token(doc *document.Document, validate bool, d *Decision) {
	t := doc.Spec.Authority.AuthorityDerivation
	if t == nil {
		return
	}
	problems := c.Keys.Problems(doc, token.Demand{Scoped: c.Scoped, Subset: c.Tags.On(DerivationSubset)})
	if len(token.Beyond(doc)) > 0 {
		c.Tags.Use(DerivationSubset)
	}
	d.Verified = true
	for _, p := range problems {
		if !c.KeysConfigured && p.Path == "spec.authority.authorityDerivation.roleRoot" {
			d.Verified = false
			if validate {
				d.Unverified = true
				continue
			}
			p.Text += fmt.Sprintf(": %s is not set", variable.AuthorityKeysPath)
		}
		d.refuse(p.Path, "%s", p.Text)
	}
	d.Universal = !c.Scoped && token.Universal(t)
}

// placed compares what a document says of its place with where it is.
func (c Configuration) placed(doc *document.Document, d *Decision) {
	if p := doc.Spec.Placement; c.Namespace != "" && p != nil && p.KubernetesNamespace != nil && *p.KubernetesNamespace != c.Namespace {
		d.refuse("spec.placement.kubernetesNamespace", "%s does not match %s=%s", format.Quote(*p.KubernetesNamespace), variable.K8sNamespace, c.Namespace)
	}
	if t := tenant(doc); c.Tenant != "" && t != nil && *t != c.Tenant {
		d.refuse("spec.correlation.tenantId", "%s does not match %s=%s", format.Quote(*t), variable.TenantID, c.Tenant)
	}
}

func tenant(doc *document.Document) *string {
	if doc.Spec.Correlation == nil {
		return nil
	}
	return doc.Spec.Correlation.TenantID
}

func (c Configuration) authorize(doc *document.Document, d *Decision) {
	if c.Policy == nil {
		return
	}
	switch {
	case c.Policy.Spec.MaxCellsPerHour == nil:
	case c.Tags.On(AuthzRate):
		c.Tags.Use(AuthzRate)
	default:
		d.refuse(string(variable.AuthzPolicyPath), "spec.maxCellsPerHour: nothing counts cells; enforce the rate where runs are started, and leave it out here")
	}
	loaded := ""
	if c.Pack != nil {
		loaded = c.Pack.Spec.ID
	}
	for _, x := range c.Policy.Denials(doc, loaded) {
		if x.Claim && c.Tags.On(AuthzNamedPack) {
			c.Tags.Use(AuthzNamedPack)
			continue
		}
		d.Denials = append(d.Denials, x)
		d.refuse(x.Path, "%s (%s)", x.Text, x.Reason)
	}
}

func (c Configuration) pack(doc *document.Document, d *Decision) {
	p := c.Pack
	if p == nil {
		return
	}
	claims := c.claims(doc)
	var violations []pack.Violation
	switch path, text := p.OutOfScope(doc); {
	case path != "" && c.Tags.On(PackScopeSkip):
		c.Tags.Use(PackScopeSkip)
	case path != "":
		violations = []pack.Violation{{Rule: "placement", Path: path, Message: text}}
	default:
		more, absent := p.Violations(doc, pack.Caller{Name: c.Caller, Source: string(variable.CallerIdentity), AbsentLimits: c.Tags.On(PackAbsentLimits)})
		if absent > 0 {
			c.Tags.Use(PackAbsentLimits)
		}
		violations = more
	}
	// The documented event lists rules of the pack; what is wrong with the claims is said in it when nothing else is.
	if d.Violations = violations; len(violations) == 0 {
		d.Violations = claims
	}
	for _, v := range append(claims, violations...) {
		d.refuse(v.Path, "%s (rule %s of policy pack %s)", v.Message, v.Rule, format.Quote(p.Spec.ID))
	}
}

// claims compares the pack that a document names with the one that is loaded.
func (c Configuration) claims(doc *document.Document) (list []pack.Violation) {
	named := doc.Spec.Policy
	if named == nil {
		return nil
	}
	version := ""
	if c.Pack.Spec.Version != nil {
		version = *c.Pack.Spec.Version
	}
	for _, x := range []struct {
		field        string
		named        *string
		loaded, what string
	}{
		{"packId", named.PackID, c.Pack.Spec.ID, "id"}, {"packVersion", named.PackVersion, version, "version"}, {"bundleDigest", named.BundleDigest, c.Pack.Digest, "digest"},
	} {
		if x.named == nil || *x.named == x.loaded {
			continue
		}
		if c.Tags.On(AuthzNamedPack) {
			c.Tags.Use(AuthzNamedPack)
			continue
		}
		is := format.Quote(x.loaded)
		if x.loaded == "" {
			is = "not given"
		}
		list = append(list, pack.Violation{Rule: x.field, Path: "spec.policy." + x.field, Message: fmt.Sprintf("is %s, and the %s of the loaded pack is %s", format.Quote(*x.named), x.what, is)})
	}
	return list
}

// deliver refuses secrets that the broker cannot deliver in the way that the document asks for.
func (c Configuration) deliver(doc *document.Document, d *Decision) {
	refs := doc.Spec.Authority.SecretRefs
	if len(refs) == 0 {
		return
	}
	switch run := doc.Spec.Run; {
	case c.Broker.Name == "":
		d.refuse(string(variable.Broker), "no broker is named, and the document asks for %s", strings.Join(refs, ", "))
	case run != nil && run.SecretDelivery == document.DeliverRuntimeLeasedBroker && !c.Broker.Leases:
		d.refuse("spec.run.secretDelivery", "%s is not supported by the broker %s, which has no leases; choose %s or %s",
			run.SecretDelivery, c.Broker.Name, document.DeliverRuntimeBroker, document.DeliverEnv)
	}
}
