package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cellos.io/cellos/authority"
)

func (p *planner) can(text string, layers ...string) {
	p.p.Says = append(p.p.Says, Sentence{Can: true, Text: oneLine(text), Layers: p.there(layers)})
}

func (p *planner) cannot(text string, layers ...string) {
	p.p.Says = append(p.p.Says, Sentence{Text: oneLine(text), Layers: p.there(layers)})
}

// there are the layers that the host has.
func (p *planner) there(layers []string) []string {
	if len(p.p.Missing) == 0 {
		return layers
	}
	return slices.DeleteFunc(slices.Clone(layers), p.lacks)
}

// says puts the plan in words. Every line names the layers that make it true.
func (p *planner) says() {
	a, l, ids := p.a, p.p.Limits, p.p.IDs
	wall := LayerLandlock // what repeats the mounts
	if p.sandbox != nil {
		wall = LayerKernel
	}
	var system []string
	for _, t := range p.trees {
		if t.system && t.host != "" {
			system = append(system, t.host)
		}
	}
	if p.h.Image == nil {
		p.can("read and run the system's programs in "+strings.Join(system, ", "), LayerMount, wall)
	} else {
		p.can("read and run the programs of the image "+p.h.Image.Ref+", in place of the system's", LayerMount, wall)
	}
	var etc []string
	for _, at := range p.etcShown() {
		etc = append(etc, strings.TrimPrefix(at, "/etc/"))
	}
	if len(etc) > 0 {
		p.can("read these parts of the host's /etc: "+and(etc), LayerMount, wall)
	}
	w := a.Work.Path
	switch a.Work.Mode {
	case authority.Overlay:
		p.can(fmt.Sprintf("read %s, and change a copy of it that is dropped at the end (changes are listed)", w), LayerMount, wall)
	case authority.Read:
		p.can(fmt.Sprintf("read %s", w), LayerMount, wall)
	case authority.Write:
		p.can(fmt.Sprintf("read and change %s on the host", w), LayerMount, wall)
	case authority.Empty:
		p.can(fmt.Sprintf("write in %s, which is empty at the start and dropped at the end", w), LayerMount, wall)
	}
	for _, g := range a.Files {
		if Ours(g) {
			continue
		}
		s := map[bool]string{true: "read", false: "use"}[g.Access.Has(authority.CanRead)]
		if g.Access.Has(authority.CanWrite) {
			s = "read and change on the host"
		}
		if g.Access.Has(authority.CanExec) {
			s += " and run"
		}
		s = strings.Replace(s, "use and run", "read and run", 1)
		if g.At != g.Host {
			s += " " + g.Host + " as " + g.At
		} else {
			s += " " + g.Host
		}
		p.can(s, LayerMount, wall)
	}
	var scratch []string
	if !p.replaced("/tmp") {
		scratch = append(scratch, "/tmp")
	}
	scratch = append(scratch, "/dev/shm")
	if p.overlaid() {
		scratch = append(scratch, "the copy of the working directory")
	} else if a.Work.Mode == authority.Empty {
		scratch = append(scratch, "the working directory")
	}
	p.can(fmt.Sprintf("write up to %s in %s, in memory, dropped at the end", size(l.Scratch), and(scratch)), LayerMount)
	p.networkSays()
	var env []string
	for _, v := range a.Command.Env {
		env = append(env, v.Name)
	}
	p.can("see the environment variables "+strings.Join(env, ", "), LayerFDs)
	p.saysSecrets()
	if a.Command.Terminal {
		p.can("use a terminal of its own", LayerSession)
	}
	p.can(fmt.Sprintf("run %d processes and threads at once, for %s", l.Processes, duration(l.Wall)), LayerLimits, LayerWatch)
	p.saysCgroup()
	if l.Output != 0 {
		p.can(fmt.Sprintf("print %s", size(l.Output)), LayerWatch)
	}
	if l.FileSize != 0 {
		p.can(fmt.Sprintf("make files of up to %s", size(l.FileSize)), LayerLimits)
	}

	for _, d := range a.Devices {
		p.can("use the device "+d, LayerMount)
	}
	for _, x := range a.Exports {
		p.can("have "+x.Path+" exported as "+x.Name+" when it succeeded", LayerWatch)
	}

	p.cannot("see or open any other file of the host", LayerMount, wall)
	p.networkCannot()
	p.cannot("see, signal or trace any process outside the cell", LayerPID, LayerSeccomp, wall)
	p.cannot(fmt.Sprintf("be root: it is user %d (host user %d) without capabilities, and cannot gain any", ids.UID, ids.HostUID), LayerUser, LayerIdentity, LayerNNP)
	p.cannot("make namespaces, mounts, devices, BPF programs, io_uring or other rarely needed system calls (profile "+p.base()+")", LayerSeccomp)
	p.saysFilters()
	if p.writesOnHost() {
		p.cannot("give a file a set-user-ID or set-group-ID bit", LayerSeccomp)
	}
	for _, t := range p.trees {
		if t.covers {
			p.cannot("see "+t.at+", where cellos keeps its records or keys", LayerMount)
		}
	}
	p.saysScrub()
	p.cannot("use the caller's terminal, keyrings, descriptors or environment", LayerSession, LayerFDs)
	p.cannot("outlive its main process or the supervisor", LayerPID, LayerWatch)

	if p.sandbox != nil {
		p.sandboxSays()
		return
	}
	for _, n := range p.p.Namespaces.Names() {
		if n != "mnt" {
			p.promise(NamespaceLayer(n), "a namespace of its own")
		}
	}
	p.promise(LayerIdentity, fmt.Sprintf("host user %d, host group %d, no capabilities", ids.HostUID, ids.HostGID))
	p.promise(LayerNNP, "no_new_privs is set")
	p.promise(LayerSeccomp, p.filtersInForce())
	if !p.lacks(LayerLandlock) {
		p.promise(LayerLandlock, "only granted paths can be opened")
	}
	p.promise(LayerMount, fmt.Sprintf("a namespace of its own, %d mounts as planned, the root read-only", len(p.p.Mounts)))
	p.promise(LayerLimits, fmt.Sprintf("%d processes, no core dumps", l.Processes))
	p.promise(LayerSession, "a session of its own")
	if p.p.Network.Device {
		p.promise(LayerGate, "what is not granted is refused, tried before release")
	}
}

func (p *planner) promise(layer, what string) {
	p.p.Promises = append(p.p.Promises, Promise{layer, what})
}

func (p *planner) overlaid() bool { return p.a.Work.Mode == authority.Overlay }

// and joins a list as a sentence does: "a, b and c".
func and(s []string) string {
	if n := len(s) - 1; n > 0 {
		return strings.Join(s[:n], ", ") + " and " + s[n]
	}
	return strings.Join(s, "")
}

// size prints bytes in the largest binary unit that is exact.
func size(n uint64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for n != 0 && n%1024 == 0 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return fmt.Sprintf("%d %s", n, units[i])
}

func duration(d time.Duration) string {
	if d == 0 {
		return "as long as it takes"
	}
	return d.String()
}
