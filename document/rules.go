package document

import (
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
)

// checker applies the rules that compare parts of a document with each other. What can be said of one value alone is in
// the struct tags, and has been checked by input.Decode. A rule is passed over where a part that it needs was lost.
type checker struct {
	*input.Report
	spec *Spec
	at   *input.Path // "spec"

	egressRules *input.Path
	secretRefs  *input.Path
	granted     map[string]bool // secretRefs as a set
}

func checkSpec(spec *Spec, report *input.Report) {
	at := (*input.Path)(nil).Field("spec")
	authority := at.Field("authority")
	c := &checker{Report: report, spec: spec, at: at,
		egressRules: authority.Field("egressRules"),
		secretRefs:  authority.Field("secretRefs"),
		granted:     setOf(spec.Authority.SecretRefs)}
	c.placement()
	c.identity()
	c.run()
	c.filesystem(authority.Field("filesystem"))
	c.inject()
	c.derivation(authority.Field("authorityDerivation"))
	c.dns(authority.Field("dnsAuthority"))
	c.cdn(authority.Field("cdnAuthority"))
	c.export()
	c.telemetry()
}

func setOf(words []string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return set
}

// secretGranted reports the name at p, if authority.secretRefs does not have it.
func (c *checker) secretGranted(p *input.Path, name string) {
	if !c.granted[name] && !c.Lost(p) && !c.Lost(c.secretRefs) {
		c.Add(p, "%s is not granted in %s", format.Quote(name), c.secretRefs)
	}
}

// names finds repeated names in a list.
type names map[string]*input.Path

// add reports the name at p, if the list has it already.
func (c *checker) add(seen names, p *input.Path, name string) {
	if c.Lost(p) {
		return
	}
	if first, again := seen[name]; again {
		c.Add(p, "%s is taken by %s", format.Quote(name), first)
		return
	}
	seen[name] = p
}
