package plan

import (
	"cellos.io/cellos/authority"
)

// trustFrom marks the grants of certificates, which nobody asked for as files.
const trustFrom = "spec.authority.egressRules[].inject"

// TrustGrant is the grant of certificates: of the folder authority.TrustAt, or of a file in place of one that the cell would see there. The
// supervisor adds it to an authority that has secrets put into requests.
func TrustGrant(host, at string) authority.Grant {
	return authority.Grant{Host: host, At: at, Access: authority.CanRead, From: trustFrom}
}

// Ours reports whether a grant is of the supervisor's own: the folder of the secrets' socket, or certificates.
func Ours(g authority.Grant) bool { return g.From == SecretsGrant("").From || g.From == trustFrom }

// trust refuses what the gate cannot do of the rules that put secrets into requests.
func (p *planner) trust() {
	for _, r := range p.a.Network {
		if len(r.Inject) == 0 {
			continue
		}
		if p.a.OnHost {
			p.refuse(r.Inject[0].From, "putting secrets into requests: the network is the host's own, and no gate sees them", "leave out --net host")
		}
	}
}
