package plan

import (
	"fmt"

	"cellos.io/cellos/authority"
)

// sandboxDemands refuses what gVisor does not have.
func (p *planner) sandboxDemands() {
	if p.a.Clocks {
		p.refuse("spec.run.timeNamespace", "a time namespace of its own: gVisor has none", "leave it out: gVisor's clocks show neither the host's boot time nor its uptime")
	}
	p.sandboxNetworkDemands()
	if l := p.a.Limits; l.Memory != 0 && l.Memory < leastSandboxMemory {
		p.refuse(l.MemoryFrom, fmt.Sprintf("%s are too little for gVisor's kernel and a command; at least %s", size(l.Memory), size(leastSandboxMemory)), "raise the limit, or use the process backend")
	}
	p.sandboxArguments()
	if p.a.Watch != authority.WatchNone {
		p.refuse("spec.run.seccomp.reportRefusals", "reporting refused system calls: gVisor does not tell the supervisor of them", "leave it out, or use the process backend")
	}
}

// sandboxArguments refuses what gVisor's execve would: a string of more than 128 KiB, or more than 2 MiB of them
// (pkg/sentry/syscalls/linux/sys_thread.go: ExecMaxElemSize, ExecMaxTotalSize). Linux refuses the first, too, when it builds the cell.
func (p *planner) sandboxArguments() {
	const one, all = 32 << 12, 2 << 20
	total := 0
	each := func(from, s string) {
		if total += len(s) + 1; len(s) >= one {
			p.refuse(from, fmt.Sprintf("argument list too long: %d bytes in one string; a kernel takes %d", len(s), one-1), "put it into a file")
		}
	}
	for i, s := range p.a.Command.Argv {
		each(fmt.Sprintf("spec.run.argv[%d]", i), s)
	}
	for _, v := range p.a.Command.Env {
		each("spec.run.environment."+v.Name, v.Name+"="+v.Value)
	}
	if total > all {
		p.refuse("spec.run.argv", fmt.Sprintf("argument list too long: %d bytes in arguments and environment; gVisor takes %d", total, all), "put them into a file")
	}
}

// leastSandboxMemory is what a cell on gVisor needs to start: runsc, gofer, sentry and the smallest of commands came to stand with 24 MiB
// and no less (docs/performance.md).
const leastSandboxMemory = 32 << 20
