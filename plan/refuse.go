package plan

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
)

// demands refuses what the document asks for and this backend does not enforce.
func (p *planner) demands() {
	for _, d := range p.a.Demands {
		why, remedy := "not enforced by this backend yet", ""
		if d.From == "spec.authority.authorityDerivation" { // a plan has no keys; whoever has checked it takes the demand away
			why, remedy = "nobody has checked it", "cellos supervise does, with CELLOS_AUTHORITY_KEYS_PATH"
		}
		p.refuse(d.From, d.What+": "+why, remedy)
	}
	if p.a.Image != nil && p.h.Image == nil {
		p.refuse(p.a.Image.From, "running in an image: only a virtual machine can", "choose the microvm backend (--backend microvm)")
	}
	p.secrets()
	for _, x := range p.a.Exports {
		if slices.Contains(strings.Split(x.Path, "/"), "..") {
			p.refuse(x.From, fmt.Sprintf("exporting %s: the path contains ..", x.Path), "name the file itself, absolute or below the working directory")
		}
	}
	if p.sandbox != nil {
		p.sandboxDemands()
	}
	p.cgroup()
	if n := p.a.Limits.OpenFiles; n > p.h.OpenMax {
		p.refuse("spec.run.limits.openFiles", fmt.Sprintf("%d is more than this host allows cellos, which is %d", n, p.h.OpenMax),
			"ask for less, or raise the hard limit (ulimit -Hn)")
	}
}

// host refuses a machine that lacks what every cell needs. Nothing is left out instead: a missing layer is a refusal. The one exception is
// Landlock, which repeats what the mounts enforce, for whoever asks for cells of what the host has.
func (p *planner) host() {
	h := p.h
	if h.Arch != "amd64" && h.Arch != "arm64" {
		p.refuse("", "the processor is "+h.Arch+"; cells need amd64 or arm64", "")
	}
	if !h.Kernel.AtLeast(5, 14) {
		p.refuse("", fmt.Sprintf("the kernel is %s; cells need Linux 5.14 (mount_setattr, process limits per user namespace)", h.Kernel), "run a newer kernel")
	}
	if h.OpenMax < 128 {
		p.refuse("", fmt.Sprintf("the limit of open files is %d; building a cell needs 128", h.OpenMax), "raise the hard limit (ulimit -Hn)")
	}
	if h.UserNS != "" {
		p.refuse("", "user namespaces cannot be made here: "+h.UserNS, userNSRemedy(h.UserNS))
	}
	switch lacks := h.Landlock < 1 && p.sandbox == nil; {
	case lacks && p.a.Portable:
		p.p.Missing = append(p.p.Missing, LayerLandlock)
	case lacks:
		p.refuse("", "the kernel has no Landlock, or it is off", "boot with landlock in the lsm= list (Linux 5.13 or newer, CONFIG_SECURITY_LANDLOCK)")
	}
	if !h.Seccomp {
		p.refuse("", "the kernel has no seccomp filters", "run a kernel with CONFIG_SECCOMP_FILTER")
	}
	if p.a.Work.Mode == authority.Overlay && !h.Kernel.AtLeast(6, 6) {
		p.refuse(p.a.Work.From, fmt.Sprintf("a copy-on-write working directory needs Linux 6.6 (user extended attributes on tmpfs); the kernel is %s", h.Kernel),
			"choose another mode: --workdir DIR:read, DIR:write or DIR:empty")
	}
	if h.Root() && !h.Kernel.AtLeast(5, 19) {
		p.refuse("", fmt.Sprintf("cells that root starts need Linux 5.19 (id-mapped mounts below overlayfs); the kernel is %s", h.Kernel), "start cellos as an ordinary user")
	}
}

// userNSRemedy finds the remedy for what package host saw.
func userNSRemedy(why string) string {
	for _, x := range []struct{ word, remedy string }{
		{"max_user_namespaces", "sysctl -w user.max_user_namespaces=15000"},
		{"unprivileged_userns_clone", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"apparmor", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for cellos with the rule userns"},
		{"container", "start the container with user namespaces allowed (its seccomp profile refuses them)"},
	} {
		if strings.Contains(why, x.word) {
			return x.remedy
		}
	}
	return ""
}
