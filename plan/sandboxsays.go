package plan

import "fmt"

// sandboxSays adds what is said of a cell on gVisor only, and what is promised of it: first of the command, inside, then of the outer cell
// in which the second kernel runs.
func (p *planner) sandboxSays() {
	s, ids, l := p.sandbox, p.p.IDs, p.p.Limits
	p.cannot("make a system call of the host's kernel: gVisor's own kernel answers it, on the platform "+s.Runsc.Platform, LayerKernel)
	p.cannot("reach more of the host than the cell's files through a fault in that kernel: it runs without rights, in an empty root", LayerUser, LayerMount, LayerPID, LayerNet, LayerSeccomp)

	layers := []string{}
	for _, n := range p.p.Namespaces.Names() {
		if n != "mnt" {
			layers = append(layers, NamespaceLayer(n))
		}
	}
	p.promise(LayerKernel, "gVisor, "+s.Runsc.Version+" on the platform "+s.Runsc.Platform+", under its own filter and in an empty root")
	for _, layer := range layers {
		p.promise(layer, "a namespace of its own")
	}
	p.promise(LayerIdentity, fmt.Sprintf("host user %d, host group %d, no capabilities", ids.HostUID, ids.HostGID))
	p.promise(LayerNNP, "no_new_privs is set")
	p.promise(LayerSeccomp, fmt.Sprintf("in gVisor's kernel %s; %d around that kernel", p.filtersInForce(), len(s.Filters)))
	p.promise(LayerMount, fmt.Sprintf("a namespace of its own, %d mounts as planned, every root read-only", len(s.Mounts)))
	p.promise(LayerLimits, fmt.Sprintf("%d processes, no core dumps", l.Processes))
	p.promise(LayerSession, "a session of its own")
	if p.p.Network.Device {
		p.promise(LayerGate, "what is not granted is refused, tried before release")
	}

	for _, layer := range layers {
		s.Promises = append(s.Promises, Promise{layer, "a namespace of its own"})
	}
	s.Promises = append(s.Promises,
		Promise{LayerIdentity, fmt.Sprintf("host user %d, host group %d", ids.HostUID, ids.HostGID)},
		Promise{LayerNNP, "no_new_privs is set"},
		Promise{LayerSeccomp, fmt.Sprintf("%d filters in force", len(s.Filters))},
		Promise{LayerMount, fmt.Sprintf("%d mounts as planned", len(s.Mounts))},
		Promise{LayerLimits, fmt.Sprintf("%d threads, no core dumps", s.Limits.Processes)},
		Promise{LayerSession, "a session of its own"},
	)
	if p.p.Cgroup != nil {
		s.Promises = append(s.Promises, Promise{LayerGroup, p.p.Cgroup.Says()})
	}
}
