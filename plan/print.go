package plan

import (
	"fmt"
	"strings"

	"cellos.io/cellos/authority"
)

// Text prints the plan for people: what the command can and cannot do, what will be measured, and the steps.
func (p *Plan) Text() []byte {
	b := append([]byte(p.Words()), "\nsystem call filters, in the order in which they are loaded; of their answers the strictest counts\n"...)
	for _, f := range p.Filters {
		b = fmt.Appendf(b, "  %s\n", f)
	}
	switch p.Watch {
	case authority.WatchRefused:
		b = append(b, "  watch: what these refuse is handed to the supervisor, which gives their answer and counts it\n"...)
	case authority.WatchEvery:
		b = append(b, "  watch: every call is handed to the supervisor, which gives the answer of these and counts it\n"...)
	}
	if p.Sandbox != nil {
		b = p.Sandbox.text(b, p.Boot.Probes)
	}
	b = append(b, "\nsteps:\n"...)
	for _, h := range p.Handed {
		if h.Tree != nil {
			b = fmt.Appendf(b, "     <%s> is %s, %s, owner %d:%d shown as the cell's user\n", h.Name, oneLine(h.Tree.Path), h.Tree.Attr.Options(), h.Tree.UID, h.Tree.GID)
		}
	}
	if p.Cgroup != nil {
		for _, path := range p.Cgroup.Paths() {
			b = fmt.Appendf(b, "     making the control group %s\n", oneLine(path))
		}
	}
	b = fmt.Appendf(b, "     clone3 with new namespaces %s\n", p.Namespaces)
	return p.Table.Append(b)
}

// Words prints the part of Text before the steps.
func (p *Plan) Words() string {
	var b strings.Builder
	for _, can := range []bool{true, false} {
		b.WriteString(map[bool]string{true: "the command can\n", false: "\nit cannot\n"}[can])
		for _, s := range p.Says {
			if s.Can == can {
				fmt.Fprintf(&b, "  %s  [%s]\n", s.Text, strings.Join(s.Layers, ", "))
			}
		}
	}
	if len(p.Missing) > 0 {
		fmt.Fprintf(&b, "\nmissing on this host, and gone without: %s\n", strings.Join(p.Missing, ", "))
	}
	b.WriteString("\nmeasured before it starts\n")
	for _, x := range p.Promises {
		n := 0
		for _, q := range p.Boot.Probes {
			if q.Layer == x.Layer {
				n++
			}
		}
		from := "from outside"
		if n > 0 {
			from = fmt.Sprintf("%d probes inside", n)
		}
		if n == 1 {
			from = "1 probe inside"
		}
		fmt.Fprintf(&b, "  %s: %s  [%s]\n", x.Layer, x.What, from)
	}
	return b.String()
}

// A Report is a plan as programs read it: the JSON form of cellos explain --json.
type Report struct {
	Backend    string           `json:"backend"`
	Arch       string           `json:"arch"`
	Namespaces []string         `json:"namespaces"`
	User       ReportUser       `json:"user"`
	Can        []ReportSentence `json:"can"`
	Cannot     []ReportSentence `json:"cannot"`
	Measured   []ReportPromise  `json:"measured"`
	Missing    []string         `json:"missing,omitempty"`
	Probes     []ReportProbe    `json:"probes"`
	Mounts     []ReportMount    `json:"mounts"`
	Seccomp    string           `json:"seccompProfile"`
	Filters    []ReportFilter   `json:"seccompFilters"`
	Watched    bool             `json:"seccompWatched"`
	Steps      []ReportStep     `json:"steps"`
	Sandbox    *ReportSandbox   `json:"sandbox,omitempty"`
}

// The parts of a Report.
type (
	ReportUser struct {
		UID     uint32 `json:"uid"`
		GID     uint32 `json:"gid"`
		HostUID uint32 `json:"hostUid"`
		HostGID uint32 `json:"hostGid"`
	}
	ReportSentence struct {
		Text   string   `json:"text"`
		Layers []string `json:"layers"`
	}
	ReportPromise struct {
		Layer string `json:"layer"`
		What  string `json:"what"`
	}
	ReportProbe struct {
		Layer    string `json:"layer"`
		Name     string `json:"name"`
		Call     string `json:"call"`
		Expected string `json:"expected"`
	}
	ReportFilter struct {
		Name         string `json:"name"`
		By           string `json:"by"`
		Instructions int    `json:"instructions"`
		SHA256       string `json:"sha256"`
		Late         bool   `json:"loadedJustBeforeTheCommand"`
		Once         bool   `json:"executesOnce"`
	}
	ReportMount struct {
		At      string `json:"at"`
		Type    string `json:"type,omitempty"`
		Options string `json:"options"`
	}
	ReportStep struct {
		Name  string   `json:"name"`
		Layer string   `json:"layer,omitempty"`
		Call  string   `json:"call"`
		Args  []string `json:"args"`
	}
)

// Report returns the plan for programs.
func (p *Plan) Report() Report {
	r := Report{
		Backend: p.Backend, Arch: p.Arch, Namespaces: p.Namespaces.Names(), Seccomp: p.Profile,
		User: ReportUser{p.IDs.UID, p.IDs.GID, p.IDs.HostUID, p.IDs.HostGID}, Missing: p.Missing,
	}
	if s := p.Sandbox; s != nil {
		r.Sandbox = &ReportSandbox{s.Runsc.Path, s.Runsc.Version, s.Runsc.SHA256, s.Runsc.Platform, s.Spec}
	}
	for _, s := range p.Says {
		x := ReportSentence{s.Text, s.Layers}
		if s.Can {
			r.Can = append(r.Can, x)
		} else {
			r.Cannot = append(r.Cannot, x)
		}
	}
	for _, x := range p.Promises {
		r.Measured = append(r.Measured, ReportPromise(x))
	}
	for _, x := range p.Boot.Probes {
		r.Probes = append(r.Probes, ReportProbe{x.Layer, x.Name, x.Call, x.Expects()})
	}
	for _, m := range p.Mounts {
		r.Mounts = append(r.Mounts, ReportMount{m.At, m.Type, m.Attr.Options()})
	}
	r.Watched = p.Watch != authority.WatchNone
	for _, f := range p.Filters {
		r.Filters = append(r.Filters, ReportFilter{f.Name, f.By, f.Instructions(), f.Digest(), f.Late, f.Once()})
	}
	for _, s := range p.Table {
		x := ReportStep{Name: s.Name, Layer: s.Layer, Call: s.Call}
		for _, a := range s.Args {
			x.Args = append(x.Args, a.String())
		}
		r.Steps = append(r.Steps, x)
	}
	return r
}
