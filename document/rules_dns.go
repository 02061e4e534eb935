package document

import (
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
)

func (c *checker) dns(p *input.Path) {
	dns := c.spec.Authority.DNSAuthority
	if dns == nil {
		return
	}
	ids := names{}
	for i, r := range dns.Resolvers {
		at := p.Field("resolvers").Item(i)
		c.add(ids, at.Field("resolverId"), r.ResolverID)
		endpoint := at.Field("endpoint")
		if problem := format.Endpoint(r.Protocol, r.Endpoint); problem != "" && !c.Lost(endpoint) {
			c.Add(endpoint, "%s", problem)
		}
	}
	if r := dns.RefreshPolicy; r != nil && r.MinTTLSeconds != nil && r.MaxStaleSeconds != nil && *r.MinTTLSeconds > *r.MaxStaleSeconds {
		c.Add(p.Field("refreshPolicy").Field("minTtlSeconds"), "%d is above maxStaleSeconds, which is %d", *r.MinTTLSeconds, *r.MaxStaleSeconds)
	}
}

func (c *checker) cdn(p *input.Path) {
	cdn := c.spec.Authority.CDNAuthority
	if cdn == nil {
		return
	}
	ids := names{}
	for i, provider := range cdn.Providers {
		c.add(ids, p.Field("providers").Item(i).Field("providerId"), provider.ProviderID)
	}
}
