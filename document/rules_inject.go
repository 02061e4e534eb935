package document

import (
	"strings"

	"cellos.io/cellos/document/format"
)

// maxInjections bounds the secrets that one rule puts into a request.
const maxInjections = 8

// inject checks the rules that put secrets into requests: each must be for one name, over HTTPS, and be the only one for its destination, so
// that a connection cannot go by another one.
func (c *checker) inject() {
	rules := c.spec.Authority.EgressRules
	for i, r := range rules {
		if len(r.Inject) == 0 {
			continue
		}
		at := c.egressRules.Item(i)
		host, protocol := at.Field("host"), at.Field("protocol")
		if !c.Lost(host) && format.IsAddress(r.Host) {
			c.Add(host, "%s is an address: a rule that injects secrets names a host, which has a certificate", format.Quote(r.Host))
		}
		if !c.Lost(protocol) && (r.Protocol == nil || !strings.EqualFold(*r.Protocol, "https")) {
			c.Add(protocol, "must be https in a rule that injects secrets")
		}
		for j, other := range rules {
			same := format.HostKey(other.Host) == format.HostKey(r.Host) && other.Port == r.Port && (other.Protocol == nil || !strings.EqualFold(*other.Protocol, "udp"))
			if j != i && same && (j < i || len(other.Inject) == 0) && !c.Lost(host) && !c.Lost(c.egressRules.Item(j)) {
				c.Add(at, "%s grants the same destination: a rule that injects secrets is the only one for its host and port", c.egressRules.Item(j))
				break
			}
		}
		list := at.Field("inject")
		if len(r.Inject) > maxInjections {
			c.Add(list, "has %d entries; at most %d secrets go into one request", len(r.Inject), maxInjections)
		}
		seen := names{}
		for j, x := range r.Inject {
			c.secretGranted(list.Item(j).Field("secret"), x.Secret)
			c.add(seen, list.Item(j).Field("header"), strings.ToLower(x.Header))
		}
	}
}
