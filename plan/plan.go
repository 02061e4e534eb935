// Package plan decides how a host enforces an authority: which system calls build the cell, in which order, what the
// finished cell must look like, and which probes must be refused inside it.
//
//	p, err := plan.For(a, host)   // pure: the same input gives the same plan on any operating system
//	fmt.Print(p.Table)            // the list of system calls, like strace
//	for _, s := range p.Says { fmt.Println(s.Text, s.Layers) }
//
// What cannot be enforced is refused, all reasons at once (Refused); nothing is left out silently. The package makes no
// system call: package host looks at the machine, packages spawn and backend/process carry a plan out.
package plan

import (
	"fmt"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/table"
)

// A Plan is a cell as one host will build it. It is not changed after For returned it.
type Plan struct {
	Backend    string     // "process" or "gvisor"
	Arch       string     // architecture of the numbers in the table
	Namespaces Namespaces // made by clone3 itself
	IDs        IDs
	Handed     []Handed    // descriptors that the supervisor hands over
	Table      table.Table // what the child does, up to the start of the cell's PID 1
	Boot       Boot        // what PID 1 does before and when it starts the command
	Held       Held        // descriptors of the child that the supervisor copies before release
	Mounts     []Mount     // every mount of the finished cell, besides those that a granted tree brings along
	Promises   []Promise   // what is measured before release
	Missing    []string    // layers that the host lacks and whoever asked goes without
	Says       []Sentence  // what the command can do and cannot, in words
	Cgroup     *Cgroup     // nil: the cell has none of its own
	Network    Network     // the cell's way out
	Limits     authority.Limits
	Work       authority.Work
	Profile    string   // seccomp profile
	Filters    []Filter // seccomp filters on the command, in the order in which they are loaded
	Watch      authority.Watch
	Exports    bool     // files are read from the cell when the command has ended
	Privileged bool     // PID 1 keeps its capabilities in the user namespace that was made for it: it starts another kernel
	Sandbox    *Sandbox // of a plan for gVisor; else nil
	Machine    *Machine // the virtual machine that the cell is built in; nil: it is built here
}

// IDs says who the command is.
type IDs struct {
	UID, GID         uint32 // inside the cell
	HostUID, HostGID uint32 // on the host; never 0
	ByParent         bool   // the supervisor writes the maps (root); else the child maps its own ids
}

// A Handed descriptor is opened by the supervisor and given to the child under a name.
type Handed struct {
	Name string
	Tree *Tree // for a granted tree that the supervisor must open; nil for the well-known names
}

// The well-known names of handed descriptors.
const (
	Stdin   = "stdin"
	Stdout  = "stdout"
	Stderr  = "stderr"
	Control = "control" // one end of a SOCK_SEQPACKET pair; package cellinit speaks on it
	Init    = "init"    // the program of PID 1
	Maps    = "maps"    // read end of a pipe: one byte when the identity maps are written
)

// A Tree is a path that root opens for the child, with ownership mapped to the cell's user
// (mount_setattr(2), MOUNT_ATTR_IDMAP).
type Tree struct {
	Path     string
	Attr     Attr
	UID, GID uint32 // owner on the file system that becomes the cell's user
}

// Held are descriptor numbers in the child that stay open until release; -1 if there is none.
type Held struct {
	Changes  int // the folder that collects what changes in the working directory
	Terminal int // the master side of the cell's terminal
	Device   int // the cell's network device
	State    int // the folder where runsc keeps what it notes
}

// Boot is what PID 1 is told.
type Boot struct {
	Probes     []Probe
	Candidates []string // paths to try for the command, as execvp(3) would
	Terminal   bool     // make descriptor 0 the controlling terminal
	Keep, Kept int      // the first descriptor that the command keeps besides 0, 1 and 2, and how many
}

// A Promise is one property of the finished cell that the supervisor measures before the command starts.
type Promise struct {
	Layer string
	What  string
}

// A Sentence says in words what the command can or cannot do.
type Sentence struct {
	Can    bool
	Text   string
	Layers []string // the layers that enforce it
}

// Layers are the names of the boundary's layers.
const (
	LayerUser     = "user namespace"
	LayerMount    = "mount namespace"
	LayerPID      = "pid namespace"
	LayerNet      = "network namespace"
	LayerIPC      = "ipc namespace"
	LayerUTS      = "uts namespace"
	LayerCgroup   = "cgroup namespace"
	LayerTime     = "time namespace"
	LayerIdentity = "identity"
	LayerSeccomp  = "seccomp"
	LayerLandlock = "landlock"
	LayerNNP      = "no_new_privs"
	LayerLimits   = "resource limits"
	LayerSession  = "session"
	LayerFDs      = "descriptors"
	LayerWatch    = "supervisor"
	LayerKernel   = "second kernel"
	LayerGroup    = "control group"
	LayerGate     = "network gate"
)

// For plans a cell. The error is a Refused with everything that the host cannot enforce.
func For(a *authority.Authority, h Host) (*Plan, error) {
	return (&planner{a: a, h: h, p: blank(a, h, "process")}).plan()
}

func blank(a *authority.Authority, h Host, backend string) *Plan {
	return &Plan{
		Backend: backend,
		Arch:    h.Arch,
		Limits:  a.Limits,
		Work:    a.Work,
		Exports: len(a.Exports) > 0,
		Held:    Held{Changes: -1, Terminal: -1, State: -1, Device: -1},
	}
}

func (p *planner) plan() (*Plan, error) {
	p.demands()
	p.reach()
	p.host()
	p.identity()
	p.asked()
	p.places()
	if len(p.refused) > 0 {
		return nil, p.refused
	}
	p.build()
	if n := len(p.p.Table); n > table.MaxSteps && len(p.refused) == 0 {
		p.refuse("", fmt.Sprintf("the granted paths take %d steps to show; at most %d are possible", n, table.MaxSteps), "grant folders that contain them")
	}
	if len(p.refused) > 0 {
		return nil, p.refused
	}
	return p.p, nil
}

type planner struct {
	a       *authority.Authority
	h       Host
	p       *Plan
	b       builder
	refused Refused
	trees   []tree          // what is shown where, outermost first
	made    map[string]bool // folders made in the cell's root
	rootFD  int             // the root's tmpfs
	placed  []string        // names of the descriptors, from 0 on
	sandbox *Sandbox        // nil: the command runs on the host's kernel
	guest   bool            // the cell is built in a virtual machine
	noIPv6  bool            // that machine's kernel has none
}

func (p *planner) refuse(from, text, remedy string) {
	p.refused = append(p.refused, Refusal{from, oneLine(text), oneLine(remedy)})
}

// build makes the table. The order follows from the kernel's rules: namespaces come with clone3, identity first, then
// mounts, then everything that takes rights away, the filter last.
func (p *planner) build() {
	p.b.steps = make(table.Table, 0, 512) // a plan without grants has about 330 steps
	p.descriptors()
	p.session()
	p.device()
	p.maps()
	if p.sandbox != nil {
		p.processes()
		p.sandbox.Spec = p.bundle()
	}
	p.root()
	p.network()
	p.limits()
	p.privileges()
	p.landlock()
	p.filter()
	p.start()
	p.probes()
	p.watched()
	p.says()
	p.p.Sandbox = p.sandbox
}
