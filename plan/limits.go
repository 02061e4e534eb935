package plan

import (
	"fmt"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// limits sets the resource limits of setrlimit(2). Wall time and output are the supervisor's to watch.
func (p *planner) limits() {
	b, l := &p.b, p.a.Limits
	b.in(LayerLimits)
	if p.sandbox != nil {
		p.sandboxLimits()
		return
	}
	// Not 0: with that the kernel writes no file, but still starts the host's handler of dumps if core_pattern names one, and a limit of 1
	// is the word against both (core(5); fs/coredump.c: do_coredump).
	core := min(1, p.h.CoreMax)
	soft, hard := p.openFiles()
	b.rlimit("core dumps", sysabi.RLIMIT_CORE, "RLIMIT_CORE", core, core)
	b.rlimit("open files", sysabi.RLIMIT_NOFILE, "RLIMIT_NOFILE", soft, hard)
	p.processes()
	l = p.p.Limits
	// One more for PID 1. The kernel counts per user and user namespace (ucounts, since 5.14), so that other cells and the
	// user's own processes do not count.
	b.rlimit("processes", sysabi.RLIMIT_NPROC, "RLIMIT_NPROC", l.Processes+1, l.Processes+1)
	if l.FileSize != 0 {
		b.rlimit("file size", sysabi.RLIMIT_FSIZE, "RLIMIT_FSIZE", l.FileSize, l.FileSize)
	}
	b.rlimit("real-time priority", sysabi.RLIMIT_RTPRIO, "RLIMIT_RTPRIO", 0, 0)
	b.rlimit("nice", sysabi.RLIMIT_NICE, "RLIMIT_NICE", 0, 0)
}

// processes decides how many processes the command may have.
func (p *planner) processes() {
	l := p.a.Limits
	if m := p.h.ProcMax; m != 0 && l.Processes+1 > m {
		// The default gives way to what the user may have; a number that was asked for does not.
		if l.Processes != authority.DefaultProcesses || m < 2 {
			p.refuse("spec.run.limits.processes", fmt.Sprintf("%d is more than this host allows cellos, which is %d with the cell's first process", l.Processes, m),
				"ask for less, or raise the hard limit (ulimit -Hu)")
		} else {
			l.Processes = m - 1
			p.p.Limits.Processes = l.Processes
		}
	}
}

func (b *builder) rlimit(what string, resource uint64, text string, soft, hard uint64) {
	b.do(fmt.Sprintf("limiting %s to %d", what, soft), "prlimit64", table.Num(0), table.Flags(resource, text),
		table.Struct(words(soft, hard), fmt.Sprintf("{%d, %d}", soft, hard)), table.Null())
}
