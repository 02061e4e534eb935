package plan

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellos.io/cellos/authority"
)

// bundle makes the configuration of the OCI runtime (config.json) from the same grants as the table. Arguments and environment of the
// command are not in it, they may be of any bytes: PID 1 gets them by a file of its own.
func (p *planner) bundle() *specs.Spec {
	l := p.p.Limits
	soft, hard := p.openFiles()
	rlimits := []specs.POSIXRlimit{
		{Type: "RLIMIT_CORE"},
		{Type: "RLIMIT_NOFILE", Soft: soft, Hard: hard},
		{Type: "RLIMIT_NPROC", Soft: l.Processes + 1, Hard: l.Processes + 1},
	}
	if l.FileSize != 0 {
		rlimits = append(rlimits, specs.POSIXRlimit{Type: "RLIMIT_FSIZE", Soft: l.FileSize, Hard: l.FileSize})
	}
	// PID 1 needs them for what it does before it gives them up, see sandboxSteps. The command never has any.
	caps := []string{"CAP_SETFCAP", "CAP_SYS_ADMIN"}
	s := &specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{
			Terminal: p.a.Command.Terminal,
			// 0 is whom the grants belong to in the outer cell; PID 1 becomes the command's user by a user namespace of its own.
			User:            specs.User{UID: 0, GID: 0},
			Args:            []string{"init"},
			Cwd:             p.a.Work.Path,
			Capabilities:    &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
			Rlimits:         rlimits,
			NoNewPrivileges: true,
		},
		Root:     &specs.Root{Path: SandboxCell, Readonly: true},
		Hostname: p.a.Command.Hostname,
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, p.sandboxNetwork(), {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
		}},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			// Where gVisor counts processes; PID 1 sets the limit and takes it away.
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup"},
			p.bind("/dev/shm", NoSUID|NoDev|NoExec),
		},
		Annotations: map[string]string{},
	}
	for _, t := range p.trees {
		if t.system && !t.own() {
			continue // part of the root
		}
		s.Mounts = append(s.Mounts, p.bind(t.at, t.attr()))
	}
	return s
}

// bind shows what lies in the cell's root once more, as a mount of its own: gVisor looks again at files that the host may change, and asks
// for no more rights than the mount below it has.
func (p *planner) bind(at string, a Attr) specs.Mount {
	options := []string{"rbind", "rw"}
	if a&ReadOnly != 0 {
		options[1] = "ro"
	}
	for _, x := range []struct {
		bit  Attr
		name string
	}{{NoSUID, "nosuid"}, {NoDev, "nodev"}, {NoExec, "noexec"}} {
		if a&x.bit != 0 {
			options = append(options, x.name)
		}
	}
	return specs.Mount{Destination: at, Type: "bind", Source: SandboxCell + at, Options: options}
}

// openFiles are the soft and the hard limit of open files.
func (p *planner) openFiles() (soft, hard uint64) {
	l := p.a.Limits
	soft, hard = uint64(authority.DefaultOpenFiles), min(uint64(authority.HardOpenFiles), p.h.OpenMax)
	if l.OpenFiles != 0 {
		soft, hard = l.OpenFiles, l.OpenFiles // demands refused more than OpenMax
	}
	return min(soft, hard), hard
}
