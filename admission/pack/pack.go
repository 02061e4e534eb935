// Package pack reads policy packs, files with rules that an operator's documents must keep, and applies them.
//
//	p, err := pack.Parse(data, pack.Options{}) // input.Problems: everything that is wrong with the file
//	for _, v := range p.Violations(doc, pack.Caller{Name: "ci"}) { … }
//
// A rule that is misspelt restricts nothing, so that unknown rules are errors. Nothing here looks at the host or the environment.
package pack

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"

	"cellos.io/cellos/document"
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
)

// Kind is the kind of the file.
const Kind = "PolicyPack"

// A Pack is a policy pack as read.
type Pack struct {
	APIVersion string `json:"apiVersion" doc:"required,enum=cellos.io/v1"`
	Kind       string `json:"kind" doc:"required,enum=PolicyPack"`
	Spec       Spec   `json:"spec" doc:"required"`

	Digest string // "sha256:" and the hexadecimal SHA-256 of the file
}

// A Spec is the body of a pack.
type Spec struct {
	ID          string              `json:"id" doc:"required,format=portable"`
	Description *string             `json:"description"`
	Version     *string             `json:"version"`   // from 1.0.0 to below 2.0.0
	Placement   *document.Placement `json:"placement"` // the pack is for documents that are placed there; nothing set: for all
	Rules       Rules               `json:"rules" doc:"required"`
}

// Rules are what a document must keep. Absent ones ask for nothing.
type Rules struct {
	MaxLifetimeTTLSeconds *int64 `json:"maxLifetimeTtlSeconds" doc:"min=1"`
	MaxMemoryMaxBytes     *int64 `json:"maxMemoryMaxBytes" doc:"min=1"`
	MaxRunTimeoutMs       *int64 `json:"maxRunTimeoutMs" doc:"min=1"`

	RequireEgressDeclared     bool     `json:"requireEgressDeclared" doc:"default=false"`
	ForbidOutboundEgressRules bool     `json:"forbidOutboundEgressRules" doc:"default=false"`
	AllowedEgressHosts        []string `json:"allowedEgressHosts" doc:"nonull,format=nonempty"` // a host, *.suffix or *; case counts; empty: all

	RequireRuntimeSecretDelivery bool `json:"requireRuntimeSecretDelivery" doc:"default=false"`
	RequireResourceLimits        bool `json:"requireResourceLimits" doc:"default=false"`

	FlagDNSEgressWithoutAcknowledgment *bool `json:"flagDnsEgressWithoutAcknowledgment"`
	RequireDNSEgressJustification      *bool `json:"requireDnsEgressJustification"`

	SecretRefAllowlist map[string][]string `json:"secretRefAllowlist"` // by caller; nil: not restricted
}

// Options change how a pack is read.
type Options struct {
	// AllowDowngrade takes versions below 1.0.0. It changes nothing else.
	AllowDowngrade bool
}

// Parse reads a pack. The error is of type input.Problems.
func Parse(data []byte, opt Options) (*Pack, error) {
	root, err := input.Parse("pack.json", data)
	if err != nil {
		return nil, err
	}
	p := new(Pack)
	report := input.Decode(root, p)
	spec := (*input.Path)(nil).Field("spec")
	if v := p.Spec.Version; v != nil && !report.Lost(spec.Field("version")) {
		if problem := version(*v, opt); problem != "" {
			report.Add(spec.Field("version"), "%s", problem)
		}
	}
	if p.Spec.Rules.RequireEgressDeclared && p.Spec.Rules.ForbidOutboundEgressRules {
		report.Add(spec.Field("rules"), "requireEgressDeclared and forbidOutboundEgressRules are mutually exclusive: no document keeps both")
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	p.Digest = "sha256:" + hex.EncodeToString(sum[:])
	return p, nil
}

// version says what is wrong with a version; "" if nothing is.
func version(v string, opt Options) string {
	if problem := format.Check("semver", v); problem != "" {
		return problem
	}
	core, _, _ := strings.Cut(v, "-")
	parts := strings.Split(core, ".")
	for _, n := range parts {
		if i, ok := new(big.Int).SetString(n, 10); !ok || !i.IsUint64() {
			return format.Quote(v) + " is not a version: a number is above 2⁶⁴−1"
		}
	}
	switch {
	case parts[0] == "0" && !opt.AllowDowngrade:
		return format.Quote(v) + " is below 1.0.0, the oldest that is understood"
	case parts[0] != "0" && parts[0] != "1":
		return format.Quote(v) + " is above 1: rules of a later major version are not understood"
	}
	return ""
}

// OutOfScope returns the path in the document at which it leaves the pack's scope, and why; "" if the pack is for it.
func (p *Pack) OutOfScope(doc *document.Document) (path, text string) {
	want := p.Spec.Placement
	if want == nil {
		return "", ""
	}
	have := doc.Spec.Placement
	for _, f := range []struct {
		name       string
		want, have func(*document.Placement) *string
	}{
		{"poolId", poolOf, poolOf}, {"kubernetesNamespace", namespaceOf, namespaceOf}, {"queueName", queueOf, queueOf},
	} {
		w := f.want(want)
		if w == nil {
			continue
		}
		if have == nil {
			return "spec.placement", "is missing, and policy pack " + format.Quote(p.Spec.ID) + " is for " + f.name + " " + format.Quote(*w) + ": no policy would apply"
		}
		if h := f.have(have); h == nil || *h != *w {
			return "spec.placement." + f.name, "is not " + format.Quote(*w) + ", which policy pack " + format.Quote(p.Spec.ID) + " is for: no policy would apply"
		}
	}
	return "", ""
}

func poolOf(p *document.Placement) *string      { return p.PoolID }
func namespaceOf(p *document.Placement) *string { return p.KubernetesNamespace }
func queueOf(p *document.Placement) *string     { return p.QueueName }

// allows reports whether a host matches one of the patterns. Case counts, as it always did for packs.
func allows(patterns []string, host string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if suffix, wild := strings.CutPrefix(pattern, "*."); wild {
			return strings.HasSuffix(host, "."+suffix)
		}
		return pattern == "*" || pattern == host || bare(pattern) == bare(host)
	})
}

// bare drops the brackets of an IPv6 address: both spellings are one host.
func bare(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}
