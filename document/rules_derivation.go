package document

import (
	"fmt"

	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
)

// derivation checks what a token says of this document: its leaf grants nothing that the document does not declare, and its
// steps lead to the leaf, each narrowing. That the document declares nothing beyond the leaf, and that the signature holds,
// is checked where the keys are.
func (c *checker) derivation(p *input.Path) {
	token := c.spec.Authority.AuthorityDerivation
	if token == nil {
		return
	}
	leaf := p.Field("leafCapability")
	if !c.Lost(leaf) {
		if !c.Lost(c.egressRules) {
			c.rulesWithin(leaf, token.LeafCapability.EgressRules, c.spec.Authority.EgressRules, c.egressRules.String())
		}
		if !c.Lost(c.secretRefs) {
			c.secretsWithin(leaf, token.LeafCapability.SecretRefs, c.spec.Authority.SecretRefs, c.secretRefs.String())
		}
	}
	steps := p.Field("derivationSteps")
	if c.Lost(steps) {
		return
	}
	for i, step := range token.DerivationSteps {
		from, to := steps.Item(i).Field("fromCapability"), steps.Item(i).Field("toCapability")
		c.rulesWithin(to, step.ToCapability.EgressRules, step.FromCapability.EgressRules, "fromCapability")
		c.secretsWithin(to, step.ToCapability.SecretRefs, step.FromCapability.SecretRefs, "fromCapability")
		if i > 0 && !equal(step.FromCapability, token.DerivationSteps[i-1].ToCapability) {
			c.Add(from, "differs from the toCapability of the step before")
		}
		if i == len(token.DerivationSteps)-1 && !c.Lost(leaf) && !equal(step.ToCapability, token.LeafCapability) {
			c.Add(to, "the last step does not lead to leafCapability")
		}
	}
}

// ruleKey is what makes two egress rules the same grant. The justification is not part of it, and no protocol is not tcp.
type ruleKey struct {
	host     string
	port     uint16
	protocol string
	any      bool
}

func keyOf(r EgressRule) ruleKey {
	k := ruleKey{host: format.HostKey(r.Host), port: r.Port, any: r.Protocol == nil}
	if r.Protocol != nil {
		k.protocol = *r.Protocol
	}
	return k
}

func keysOf(rules []EgressRule) map[ruleKey]bool {
	set := make(map[ruleKey]bool, len(rules))
	for _, r := range rules {
		set[keyOf(r)] = true
	}
	return set
}

// Without says which grants of c other does not have: indexes of EgressRules and of SecretRefs. Rules are the same when
// host (in any spelling), port and protocol (exactly; none is not tcp) are; the justification does not count.
func (c Capability) Without(other Capability) (rules, secrets []int) {
	ruleSet, secretSet := keysOf(other.EgressRules), setOf(other.SecretRefs)
	for i, r := range c.EgressRules {
		if !ruleSet[keyOf(r)] {
			rules = append(rules, i)
		}
	}
	for i, s := range c.SecretRefs {
		if !secretSet[s] {
			secrets = append(secrets, i)
		}
	}
	return rules, secrets
}

// within reports whether other has every grant of c.
func (c Capability) within(other Capability) bool {
	rules, secrets := c.Without(other)
	return len(rules)+len(secrets) == 0
}

func equal(a, b Capability) bool { return a.within(b) && b.within(a) }

func (c *checker) rulesWithin(p *input.Path, rules, in []EgressRule, name string) {
	missing, _ := Capability{EgressRules: rules}.Without(Capability{EgressRules: in})
	for _, i := range missing {
		c.Add(p.Field("egressRules").Item(i), "%s is not in %s", describe(rules[i]), name)
	}
}

func (c *checker) secretsWithin(p *input.Path, secrets, in []string, name string) {
	_, missing := Capability{SecretRefs: secrets}.Without(Capability{SecretRefs: in})
	for _, i := range missing {
		c.Add(p.Field("secretRefs").Item(i), "%s is not in %s", format.Quote(secrets[i]), name)
	}
}

// describe writes a rule for a message: "api.example.com", port 443, protocol "https",
func describe(r EgressRule) string {
	protocol := "no protocol"
	if r.Protocol != nil {
		protocol = "protocol " + format.Quote(*r.Protocol)
	}
	return fmt.Sprintf("%s, port %d, %s,", format.Quote(r.Host), r.Port, protocol)
}
