package plan

import "github.com/opencontainers/runtime-spec/specs-go"

// sandboxNetwork is the network namespace of the sentry. With a device it is the outer cell's, whose link runsc takes over: it reads
// addresses and routes, takes them away from the host's kernel, and gives gVisor's own TCP/IP stack a packet socket on the link. Without
// one it is an empty one that runsc makes.
//
//	the command ── gVisor's stack ── packet socket ── eth0 (TUN, no address) ── gate
func (p *planner) sandboxNetwork() specs.LinuxNamespace {
	ns := specs.LinuxNamespace{Type: specs.NetworkNamespace}
	if p.p.Network.Device {
		ns.Path = "/proc/self/ns/net"
	}
	return ns
}

// sandboxNetworkDemands refuses what would be another network than the process backend's.
func (p *planner) sandboxNetworkDemands() {
	if p.a.OnHost {
		p.refuse("", "the host's network: gVisor's kernel has a TCP/IP stack of its own, and would have to call the host's", "use the process backend, or name what is to be reached")
	}
}
