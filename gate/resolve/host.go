package resolve

import (
	"net"
	"net/netip"
	"strings"

	"cellos.io/cellos/gate/wire"
)

// ParseConf reads the name servers of a resolv.conf(5). A cell that was granted a name needs the servers only: search lists and
// options are a person's shorthand.
func ParseConf(text string) (servers []Server) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(servers) == 3 { // MAXNS of resolv.h
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			servers = append(servers, Server{Transport: wire.UDP, Endpoint: net.JoinHostPort(a.String(), "53")})
		}
	}
	return servers
}

// ParseHosts reads a hosts(5) file.
func ParseHosts(text string) map[string][]netip.Addr {
	hosts := map[string][]netip.Addr{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		a, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		for _, n := range f[1:] {
			n = strings.ToLower(strings.TrimSuffix(n, "."))
			hosts[n] = append(hosts[n], a.WithZone(""))
		}
	}
	return hosts
}
