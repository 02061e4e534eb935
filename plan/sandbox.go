package plan

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// A Sandbox is what a plan for gVisor has besides the rest: the cell's root, and the command's boundary, are those of a second kernel, which
// runs as a program, runsc, in a cell of Linux processes. Table, Handed, Held and Namespaces of the plan build that outer cell; Boot, and
// what the plan says, are about the command.
//
//	supervisor
//	  outer cell: namespaces, own root, filter; uid 0 of a user namespace that holds nothing else
//	    PID 1 (cellinit) ── runsc ── gofer      opens the granted files, then only serves
//	                              └─ sentry     gVisor's kernel, in namespaces, an empty root and a filter of its own
//	                                   PID 1 (cellinit) ── the command
type Sandbox struct {
	Runsc    Runsc
	Spec     *specs.Spec      // config.json of the bundle
	Argv     []string         // of the command; empty: the cell is only measured
	Env      []string         // of the command, NAME=VALUE
	Boot     Boot             // of the outer cell's PID 1: its probes are made where runsc will stand
	Mounts   []Mount          // of the outer cell
	Promises []Promise        // of the outer cell
	Limits   authority.Limits // of the outer cell
	Filters  []Filter         // on runsc
}

// A Runsc is the program that a host has.
type Runsc struct {
	Path, Version string
	SHA256        string // lower-case hex
	Platform      string // how it takes the command's system calls: "systrap"
}

// The names of what is handed over to runsc, in the order of its descriptors.
const (
	RunscFile = "runsc"
	Inner     = "inner control"   // package cellinit speaks on it with the command's PID 1
	Arguments = "arguments"       // cellinit.ArgumentsFile
	InnerInit = "inner init"      // the program of the command's PID 1
	Input     = "command's input" // and the command's other streams: those of runsc are the supervisor's
	Output    = "command's output"
	Errors    = "command's errors"
)

// sandboxFiles are the descriptors of runsc, which its PID 1 lets it keep.
func (p *planner) sandboxFiles() []string {
	if p.sandbox == nil {
		return nil
	}
	names := []string{RunscFile, Inner, Arguments, InnerInit}
	if !p.a.Command.Terminal {
		names = append(names, Input, Output, Errors)
	}
	return names
}

// ForGVisor plans a cell on gVisor. The error is a Refused with everything that it cannot enforce.
func ForGVisor(a *authority.Authority, h Host, r Runsc) (*Plan, error) {
	return (&planner{a: a, h: h, p: blank(a, h, "gvisor"), sandbox: &Sandbox{Runsc: r}}).plan()
}

// Outer is the plan of the cell in which runsc runs, for the process backend.
func (p *Plan) Outer() *Plan {
	o := *p
	s := p.Sandbox
	o.Backend, o.Sandbox, o.Says, o.Profile = "process", nil, nil, "sandbox"
	o.IDs.UID, o.IDs.GID, o.Privileged = 0, 0, true
	o.Boot, o.Mounts, o.Promises, o.Limits, o.Filters = s.Boot, s.Mounts, s.Promises, s.Limits, s.Filters
	return &o
}

// Paths of the outer cell.
const (
	// SandboxCell is where the outer cell has the command's root.
	SandboxCell   = "/cell"
	sandboxBundle = "/bundle" // config.json
	sandboxState  = "/state"  // runsc's own
	// SandboxLog is where runsc writes what it has to say, in the folder that Held.State names.
	SandboxLog = "log"
	// SandboxUnsupported is where gVisor notes there which system calls of the command it does not have.
	SandboxUnsupported = "unsupported"
)

// sandboxRoot puts the cell's root aside and makes the one in which runsc runs:
//
//	/cell                 the cell's root, with every grant
//	/bundle/config.json   what runsc is told
//	/state                what it notes; a file system of its own, so that the command cannot fill it
//	/proc /dev/null /tmp  what it needs to start its own processes, which leave this root again
func (p *planner) sandboxRoot() {
	b := &p.b
	o := b.cloneTree("the sandbox's root", sysabi.AT_FDCWD, "outer", false)
	b.attachKeep("the sandbox's root", o, sysabi.AT_FDCWD, "outer")
	for _, d := range []string{"cell", "bundle", "state", "proc", "tmp", "dev", "dev/pts", "etc"} {
		b.do("making /"+d, "mkdirat", table.FD(o), table.Path(d), mode(0o755))
	}
	b.do("making /dev/null", "mknodat", table.FD(o), table.Path("dev/null"), table.Flags(sysabi.S_IFREG|0o444, "S_IFREG|0444"), table.Num(0))
	config, err := json.Marshal(p.sandbox.Spec)
	if err != nil {
		p.refuse("", "writing the bundle: "+err.Error(), "")
		return
	}
	b.writeFile("writing the bundle", o, "bundle/config.json", sysabi.O_CREAT|sysabi.O_WRONLY, "O_CREAT|O_WRONLY", 0o444, config)
	mounts := p.p.Mounts
	p.p.Mounts = nil
	b.setAttr("the sandbox's root", o, ReadOnly|NoSUID|NoDev, false)
	p.mount("/", "tmpfs", ReadOnly|NoSUID|NoDev)
	b.attach("the cell's root in the sandbox's", b.cloneTree("the cell's root", sysabi.AT_FDCWD, "root", true), o, "cell")
	p.mount(SandboxCell, "tmpfs", ReadOnly|NoSUID|NoDev)
	b.attach("/proc", b.newFS("/proc", "proc", NoSUID|NoDev|NoExec), o, "proc")
	p.mount("/proc", "proc", NoSUID|NoDev|NoExec)
	null := b.cloneTree("/dev/null", sysabi.AT_FDCWD, "/dev/null", false)
	b.setAttr("/dev/null", null, NoSUID|NoExec, false)
	b.attach("/dev/null", null, o, "dev/null")
	p.mount("/dev/null", "", NoSUID|NoExec)
	state := b.newFS("the sandbox's notes", "tmpfs", NoSUID|NoDev|NoExec, [2]string{"mode", "0700"}, [2]string{"size", fmt.Sprint(sandboxNotes)}, [2]string{"nr_inodes", "1024"})
	b.attachKeep("the sandbox's notes", state, o, "state")
	p.mount(sandboxState, "tmpfs", NoSUID|NoDev|NoExec)
	p.p.Held.State = b.opens("opening the sandbox's notes", "openat", table.FD(state), table.Path("."), table.Flags(sysabi.O_RDONLY, "O_RDONLY"), table.Num(0))
	b.close(state)
	if p.a.Command.Terminal {
		b.attach("/dev/pts", b.newFS("/dev/pts", "devpts", NoSUID|NoExec, [2]string{"ptmxmode", "0666"}, [2]string{"mode", "0620"}), o, "dev/pts")
		p.mount("/dev/pts", "devpts", NoSUID|NoExec)
		p.terminal(o, 2)
	}
	for _, m := range mounts {
		if m.At != "/" {
			p.mount(SandboxCell+m.At, m.Type, m.Attr)
		}
	}
	p.sandbox.Mounts, p.p.Mounts = p.p.Mounts, mounts
	b.close(p.rootFD)
	p.rootFD = o
}

// sandboxNotes are the bytes that runsc may write of its own: a few KiB of state, and its log, which is short unless it fails.
const sandboxNotes = 8 << 20

// runscArguments is the command line of runsc. Nothing in it comes from the document.
func (p *planner) runscArguments() []string {
	fd := func(name string) int { return p.fd(name) }
	args := []string{
		"runsc", "--root=" + sandboxState, "--log=" + sandboxState + "/" + SandboxLog,
		"--platform=" + p.sandbox.Runsc.Platform,
		"--network=" + map[bool]string{true: "sandbox", false: "none"}[p.p.Network.Device],
		// The control group and the network namespace are the outer cell's.
		"--ignore-cgroups", "--gofer-network-namespace=host", "--host-settings=ignore",
		// What the grants hold besides files and folders is no way out, but for the socket on which secrets are asked for: then every
		// granted one can be connected to, as without gVisor. No copy is made of anything: the copy-on-write view is the host kernel's, below.
		"--host-uds=" + map[bool]string{true: "open", false: "none"}[AsksForSecrets(p.a) && len(p.a.Secrets) > 0], "--host-fifo=none", "--overlay2=none",
		"--gso=false", "--software-gso=false",
		"run", "--bundle=" + sandboxBundle, "--user-log=" + sandboxState + "/" + SandboxUnsupported,
		fmt.Sprintf("--exec-fd=%d", fd(InnerInit)),
		fmt.Sprintf("--pass-fd=%d:3", fd(Inner)), fmt.Sprintf("--pass-fd=%d:4", fd(Arguments)),
	}
	if p.a.Command.Terminal {
		args = append(args, "--pass-fd=0:2") // runsc's own standard error is the supervisor's
	} else {
		args = append(args, fmt.Sprintf("--pass-fd=%d:0", fd(Input)), fmt.Sprintf("--pass-fd=%d:1", fd(Output)), fmt.Sprintf("--pass-fd=%d:2", fd(Errors)))
	}
	return append(args, "cell")
}

// sandboxLimits bounds what runsc may use. The command's own limits are gVisor's to keep: one of its processes is a process of the host
// with threads that come and go, and a file that it writes in /tmp may lie in a memory file that is much larger.
func (p *planner) sandboxLimits() {
	b := &p.b
	n := sandboxProcesses(p.p.Limits.Processes)
	if m := p.h.ProcMax; m != 0 {
		n = min(n, m)
	}
	core := min(1, p.h.CoreMax)
	b.rlimit("core dumps", sysabi.RLIMIT_CORE, "RLIMIT_CORE", core, core)
	b.rlimit("open files", sysabi.RLIMIT_NOFILE, "RLIMIT_NOFILE", p.h.OpenMax, p.h.OpenMax)
	b.rlimit("processes", sysabi.RLIMIT_NPROC, "RLIMIT_NPROC", n, n)
	b.rlimit("real-time priority", sysabi.RLIMIT_RTPRIO, "RLIMIT_RTPRIO", 0, 0)
	b.rlimit("nice", sysabi.RLIMIT_NICE, "RLIMIT_NICE", 0, 0)
	p.sandbox.Limits = p.p.Limits
	p.sandbox.Limits.Processes = n - 1
}

// sandboxProcesses are the processes and threads of the host that runsc may have where the command may have n.
func sandboxProcesses(n uint64) uint64 { return sandboxThreads + 2*n }

// sandboxThreads are threads that runsc, gofer and sentry may have besides those of the command: three Go programs, whose runtimes make a
// thread for each that waits in the kernel.
const sandboxThreads = 1024

// sandboxFilter loads the filter of the outer cell. Sentry and gofer load their own, much narrower ones, on top of it; this one takes
// away what none of runsc's processes ever needs, also while they start.
func (p *planner) sandboxFilter(a *sysabi.Arch) {
	prog, err := seccomp.Compile(sandboxPolicy(), a)
	if err != nil {
		p.refuse("", "compiling the filter of the sandbox: "+err.Error(), "")
		return
	}
	for _, f := range p.p.Filters {
		if f.Name == "set-id" {
			p.sandbox.Filters = append(p.sandbox.Filters, f)
			p.loadHere(f.Name, f.Program, "the filter against set-user-ID files")
		}
	}
	f := Filter{Name: "sandbox", By: "cellos", Program: prog.Bytes()}
	p.sandbox.Filters = append(p.sandbox.Filters, f)
	p.loadHere(f.Name, f.Program, "the filter of the sandbox")
}

// sandboxPolicy is that filter.
func sandboxPolicy() *seccomp.Policy {
	families := seccomp.Rule{Names: []string{"socket", "socketpair"}, Else: seccomp.Errno(sysabi.EAFNOSUPPORT), Cases: []seccomp.Case{{
		All:  []seccomp.Cond{seccomp.In(0, seccomp.Bits32, sysabi.AF_UNIX, sysabi.AF_INET, sysabi.AF_INET6, sysabi.AF_NETLINK, sysabi.AF_PACKET)},
		Then: seccomp.Allow,
	}}}
	return &seccomp.Policy{Name: "sandbox", Default: seccomp.Allow, Rules: []seccomp.Rule{
		{Names: []string{
			"acct", "add_key", "adjtimex", "bpf", "clock_adjtime", "clock_settime", "delete_module", "fanotify_init", "finit_module", "init_module",
			"io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie",
			"mbind", "migrate_pages", "move_pages", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "perf_event_open", "quotactl", "quotactl_fd",
			"reboot", "request_key", "setdomainname", "settimeofday", "swapoff", "swapon", "syslog", "uselib", "userfaultfd", "vhangup",
		}, Else: seccomp.Errno(sysabi.EPERM)},
		families,
	}}
}
