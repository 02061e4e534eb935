package admission

import (
	"fmt"
	"slices"
	"strings"
)

// A Tag lets pass one thing that cellos-supervisor 0.5.1 let pass. All are off unless CELLOS_COMPAT_ALLOW names them.
type Tag string

// The tags there are.
const (
	DLQOnly          Tag = "dlq-only"           // dead letters instead of a live sink
	Unsigned         Tag = "unsigned"           // documented signing that cannot be done; our own signature stays
	KeysetUnverified Tag = "keyset-unverified"  // a trust keyset that does not verify
	HostNetwork      Tag = "host-network"       // the host's network, unfiltered
	DNSSECUnchecked  Tag = "dnssec-unchecked"   // DNSSEC asked for and not validated
	DerivationSubset Tag = "derivation-subset"  // more authority than the derivation token grants
	AuthzRate        Tag = "authz-rate"         // a rate in the authorization policy that nothing enforces
	AuthzNamedPack   Tag = "authz-named-pack"   // a policy pack that the document names and nobody loaded
	PackScopeSkip    Tag = "pack-scope-skip"    // a document outside the policy pack's scope
	PackAbsentLimits Tag = "pack-absent-limits" // no limit, where the policy pack has a maximum
	NoManifest       Tag = "no-manifest"        // boot images without a manifest of their digests
)

func tags() []Tag {
	return []Tag{DLQOnly, Unsigned, KeysetUnverified, HostNetwork, DNSSECUnchecked, DerivationSubset, AuthzRate, AuthzNamedPack, PackScopeSkip, PackAbsentLimits, NoManifest}
}

// Tags are the tags that are on, and those that had an effect. The zero Tags allow nothing. It must not be used concurrently.
type Tags struct{ on, used []Tag }

// ParseTags reads a list of tags; a word that is none is an error, and all such words are named.
func ParseTags(list []string) (*Tags, error) {
	t := new(Tags)
	var unknown []string
	for _, w := range list {
		if slices.Contains(tags(), Tag(w)) {
			t.on = append(t.on, Tag(w))
		} else {
			unknown = append(unknown, fmt.Sprintf("%q", w))
		}
	}
	if unknown != nil {
		known := make([]string, len(tags()))
		for i, w := range tags() {
			known[i] = string(w)
		}
		return t, fmt.Errorf("%s: no such tag; there are %s", strings.Join(unknown, ", "), strings.Join(known, ", "))
	}
	return t, nil
}

// On reports whether a tag is on.
func (t *Tags) On(tag Tag) bool { return t != nil && slices.Contains(t.on, tag) }

// Allow turns a tag on that is asked for in another way than by its name.
func (t *Tags) Allow(tag Tag) {
	if !t.On(tag) {
		t.on = append(t.on, tag)
	}
}

// Use notes that a tag that is on had an effect: the evidence names it.
func (t *Tags) Use(tag Tag) {
	if t.On(tag) && !slices.Contains(t.used, tag) {
		t.used = append(t.used, tag)
	}
}

// Used returns the tags that had an effect, in ascending order.
func (t *Tags) Used() []string {
	if t == nil {
		return nil
	}
	var list []string
	for _, tag := range t.used {
		list = append(list, string(tag))
	}
	slices.Sort(list)
	return list
}
