package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/table"
)

// A Guest describes the kernel of a virtual machine, as it described itself when it was first started. See docs/guest.md.
type Guest struct {
	Kernel   Version
	Landlock int               // ABI
	Proc     map[string]uint32 // what is there of the parts of /proc that plans cover, with permission bits
	OpenMax  uint64            // hard limit of open files
	Root     *Root             // the image that it gets; nil: the host's system
	TUN      bool              // it has virtual links
	IPv6     bool              // its kernel has it, and it is not off
}

// A Machine is the virtual machine that a cell gets.
type Machine struct {
	Memory uint64 // bytes of the whole machine
	CPUs   int
	Image  string   // digest of the file system that is the base of the guest's file tree; "": the host's
	Ref    string   // of which image it was made
	Texts  []Text   // what the guest writes into its /etc, if it is the image's
	Places []Place  // what the guest makes in it, because the image has it not
	Base   []string // names in / of the host whose trees make the base of the guest's file tree
	Etc    []string // names in /etc that are shown
	Trees  []string // further paths of the host that are shown in the guest at the same place, outermost first
	Hidden []string // paths that are left out wherever they lie
	UID    uint32   // who the cell is in the guest
	GID    uint32
	Owner  Owner // whose files on the host become that user's
	Asks   bool  // the command asks for its secrets: the guest's first process listens in GuestSecrets, and passes requests on
}

// Places of a guest that are its first process's own.
const (
	GuestScratch = "/.scratch" // holds what changes in the working directory; only the guest's root can enter it
	GuestSecrets = "/.secrets" // has the socket that serves secrets
)

// An Owner is a user and group of the host.
type Owner struct{ UID, GID uint32 }

// Memory of machines. The kernel and the first process of a guest take about 90 MiB of it.
const (
	guestOwn      = 96 << 20
	defaultMemory = 416 << 20 // what is left for a cell whose document sets no limit, besides its scratch space
	leastMemory   = 32 << 20
	maxCPUs       = 32
)

// Layers of a boundary that is a virtual machine.
const (
	LayerMachine = "virtual machine" // the second kernel
	LayerMonitor = "monitor"         // the cell around the program that emulates it
)

// ForGuest plans a cell in a virtual machine: the cell is built in the guest by the same steps as on a host, of images of the granted
// files. The error is a Refused with everything that cannot be enforced so.
func ForGuest(a *authority.Authority, h Host, g Guest) (*Plan, error) {
	in := *a // what the guest enforces; the machine does the rest
	gh := h
	gh.Kernel, gh.Landlock, gh.Seccomp, gh.UserNS, gh.OpenMax, gh.ProcMax = g.Kernel, g.Landlock, true, "", g.OpenMax, 0
	gh.Cgroups, gh.Private = Cgroups{}, nil // what is the supervisor's own does not get into an image
	gh.Entries = maps.Clone(h.Entries)
	for _, name := range procNames() {
		mode, there := g.Proc[name]
		e := Entry{Kind: Regular, Mode: mode}
		if name == "sys" || name == "acpi" || name == "asound" || name == "scsi" {
			e.Kind = Directory
		}
		if !there {
			e = Entry{}
		}
		gh.Entries["/proc/"+name] = e
	}
	for _, d := range devices {
		gh.Entries[d] = Entry{Kind: Other, Mode: 0o666}
	}
	gh.Entries[devicePath] = Entry{Kind: Other, Mode: 0o666}
	if !g.TUN {
		gh.Entries[devicePath] = Entry{}
	}
	m := &Machine{UID: h.UID, GID: h.GID, CPUs: 1, Owner: Owner{h.UID, h.GID}, Hidden: h.Private}
	if h.Root() || h.GID == 0 {
		m.UID, m.GID = insideID, insideID
	}
	gh.UID, gh.GID = m.UID, m.GID
	if m.Asks = AsksForSecrets(a); m.Asks {
		in.Files = append(slices.Clone(in.Files), SecretsGrant(GuestSecrets))
		gh.Entries[GuestSecrets] = Entry{Kind: Directory, Mode: 0o700, Real: GuestSecrets}
	}

	p := &planner{a: &in, h: gh, p: &Plan{Backend: "microvm", Arch: h.Arch, Exports: len(a.Exports) > 0, Limits: a.Limits, Work: a.Work, Held: Held{Changes: -1, Terminal: -1, Device: -1, State: -1}, Machine: m}, guest: true, noIPv6: !g.IPv6}
	p.machine(m, &in)
	if g.Root != nil {
		p.h.Image = g.Root
		p.inImage(m)
	}
	if in.Work.Mode == authority.Overlay {
		in.Work.Mode = authority.Write // the guest puts an overlay there before the cell is built
	}
	p.demands()
	p.reach()
	p.host()
	p.identity()
	p.places()
	if len(p.refused) > 0 {
		return nil, p.refused
	}
	p.trays(m)
	if g.Root != nil {
		m.Texts = p.imageTexts()
	}
	p.build()
	if n := len(p.p.Table); n > table.MaxSteps {
		p.refuse("", fmt.Sprintf("the granted paths take %d steps to show; at most %d are possible", n, table.MaxSteps), "grant folders that contain them")
	}
	if len(p.refused) > 0 {
		return nil, p.refused
	}
	p.sayGuest(a, m)
	return p.p, nil
}

// machine decides the size of the machine, and refuses what a machine cannot do.
func (p *planner) machine(m *Machine, in *authority.Authority) {
	l := &in.Limits
	const here = "a virtual machine has copies of the host's files; "
	for _, g := range in.Files {
		if g.Access.Has(authority.CanWrite) {
			p.refuse(g.From, here+"what it changes in "+g.Host+" would stay there", "let it work in a copy-on-write working directory (--workdir DIR:overlay), or choose the process backend")
		}
	}
	if in.Work.Mode == authority.Write {
		p.refuse(in.Work.From, here+"what it changes in "+in.Work.Path+" would stay there", "--workdir DIR:overlay lists the changes, or choose the process backend")
	}
	if in.Watch == authority.WatchEvery {
		p.refuse("spec.run.seccomp", "telling every system call: a guest could only claim them", "learn with the process backend")
	}
	if in.OnHost {
		p.refuse("spec.authority.network", "the host's own network: a virtual machine has its own", "grant what it needs by name (--net NAME:PORT)")
	}
	for _, own := range m.Hidden {
		for _, g := range append(slices.Clone(in.Files), authority.Grant{Host: in.Work.Path, From: in.Work.From}) {
			if authority.Below(g.Host, own) {
				p.refuse(g.From, fmt.Sprintf("%s is where cellos keeps the records of runs or their keys", g.Host), "grant another folder, or move them with CELLOS_STATE and XDG_CONFIG_HOME")
			}
		}
	}
	for _, own := range []string{GuestScratch, GuestSecrets} {
		for _, g := range append(slices.Clone(in.Files), authority.Grant{Host: in.Work.Path, From: in.Work.From}) {
			if authority.Below(g.Host, own) && !Ours(g) {
				p.refuse(g.From, fmt.Sprintf("%s is a place of the guest's own", own), "grant another folder")
			}
		}
	}
	m.Memory = defaultMemory + l.Scratch
	if l.Memory != 0 {
		m.Memory = l.Memory
		if m.Memory < leastMemory {
			p.refuse(l.MemoryFrom, fmt.Sprintf("%s are too little for a virtual machine; at least %s", size(m.Memory), size(leastMemory)), "")
		}
	}
	m.Memory = (m.Memory + guestOwn + 1<<20 - 1) &^ (1<<20 - 1)
	if c := l.CPU; c != (authority.CPU{}) {
		m.CPUs = int(c.Quota / max(c.Period, 1))
		if c.Period <= 0 || c.Quota%c.Period != 0 || m.CPUs < 1 || m.CPUs > maxCPUs {
			p.refuse(l.CPUFrom, fmt.Sprintf("a virtual machine has 1 to %d whole processors", maxCPUs), "ask for whole ones")
		}
	}
	l.Memory, l.CPU = 0, authority.CPU{}
}

// trays lists the trees that become images.
func (p *planner) trays(m *Machine) {
	for _, d := range systemDirs {
		if e := p.h.Entries[d]; m.Image == "" && (e.Kind == Directory || e.Kind == Symlink) {
			m.Base = append(m.Base, d[1:])
		}
	}
	for _, at := range p.etcShown() {
		m.Etc = append(m.Etc, path.Base(at))
	}
	seen := map[string]bool{}
	for _, t := range p.trees {
		if t.host == "" || t.host == GuestSecrets || t.system || seen[t.host] {
			continue
		}
		seen[t.host] = true
		m.Trees = append(m.Trees, t.host)
	}
}

// sayGuest puts in words what the machine makes different, and promises what is measured of it.
func (p *planner) sayGuest(a *authority.Authority, m *Machine) {
	for i, s := range p.p.Says {
		if w := a.Work; w.Mode == authority.Overlay && s.Can && s.Text == oneLine(fmt.Sprintf("read and change %s on the host", w.Path)) {
			p.p.Says[i].Text = oneLine(fmt.Sprintf("read %s, and change a copy of it that is dropped at the end (changes are listed)", w.Path))
			p.p.Says[i].Layers = []string{LayerMachine, LayerMount, LayerLandlock}
		}
	}
	p.can(fmt.Sprintf("use %s of a virtual machine and %d of the host's processors", size(m.Memory), m.CPUs), LayerMachine)
	p.cannot("call the host's kernel: it has one of its own, in a virtual machine", LayerMachine, LayerMonitor)
	p.promise(LayerMachine, "a kernel of its own, that boots as the manifest and the store say")
	p.promise(LayerMonitor, "the program that emulates the machine is in a cell without network, with the machine's files only")
}

// GuestProc reads how a guest lists its parts of /proc: "cmdline 444".
func GuestProc(list []string) map[string]uint32 {
	m := map[string]uint32{}
	for _, s := range list {
		name, mode, _ := strings.Cut(s, " ")
		var n uint32
		if _, err := fmt.Sscanf(mode, "%o", &n); err == nil {
			m[name] = n
		}
	}
	return m
}
