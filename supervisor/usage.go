package supervisor

import (
	"cmp"
	"slices"
	"strconv"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/plan"
)

// A Meter adds what it counted to what was granted. It is asked once, when the command has ended and the cell is still there.
type Meter interface {
	Meter(u *evidence.Usage)
}

// watchOpens has the cell count what is opened below each grant, if it can. Each takes the kernel some milliseconds at the end, so that what
// is the supervisor's own is none of them.
func (l *life) watchOpens() {
	w, ok := l.cell.(interface{ WatchOpens(at []string) })
	if !ok {
		return
	}
	var at []string
	for _, g := range l.Authority.Files {
		if !plan.Ours(g) {
			at = append(at, g.At)
		}
	}
	w.WatchOpens(at)
}

// usage sets what was granted against what was used.
func (l *life) usage() evidence.Usage {
	var u evidence.Usage
	a, limits := l.Authority, l.Plan.Limits
	work := evidence.FileUse{Path: a.Work.Path, At: a.Work.Path, Access: []string{"read"}, Mode: string(a.Work.Mode)}
	if a.Work.Mode != authority.Read {
		work.Access = append(work.Access, "write")
	}
	if l.changed != nil {
		work.Changed = number(l.changed.Total)
	}
	if a.Work.Path != "" {
		u.Files = append(u.Files, work)
	}
	for _, g := range a.Files {
		if plan.Ours(g) {
			continue
		}
		f := evidence.FileUse{Path: g.Host, At: g.At}
		for _, x := range []struct {
			right authority.Access
			name  string
		}{{authority.CanRead, "read"}, {authority.CanWrite, "write"}, {authority.CanExec, "exec"}} {
			if g.Access.Has(x.right) {
				f.Access = append(f.Access, x.name)
			}
		}
		u.Files = append(u.Files, f)
	}
	for _, r := range a.Network {
		u.Name(r.Host + ":" + strconv.Itoa(int(r.Port)))
	}
	for _, s := range a.Secrets {
		u.Secret(s)
	}
	limit := func(name, unit string, n uint64) *evidence.LimitUse {
		if n == 0 {
			return &evidence.LimitUse{} // there is none
		}
		x := u.Limit(name)
		x.Unit, x.Limit = unit, int64(n)
		return x
	}
	wall := limit("wallTime", "nanoseconds", uint64(limits.Wall))
	if l.ran {
		wall.Peak = number(l.outcome.Duration)
	}
	wall.Reached = l.why.reason() == byTime
	group := l.outcome.Group
	if group == nil {
		group = &cell.Usage{} // nothing counted these
	}
	x := limit("memory", "bytes", limits.Memory)
	x.Peak, x.Reached = seen(group.MemoryPeak), group.OOMKills > 0
	limit("processes", "processes", limits.Processes).Peak = seen(group.Processes)
	limit("cpu", "thousandths of a processor", thousandths(limits.CPU)).Reached = group.Throttled > 0
	limit("openFiles", "descriptors", limits.OpenFiles)
	limit("fileSize", "bytes", limits.FileSize)
	limit("scratch", "bytes", limits.Scratch)
	limit("output", "bytes", limits.Output).Reached = l.why.reason() == byOutput
	groupUse(&u, l.outcome.Group)
	meters := l.Meters
	if m, ok := l.cell.(Meter); ok {
		meters = append(slices.Clone(meters), m)
	}
	for _, m := range meters {
		m.Meter(&u)
	}
	u.NotObserved = append(u.NotObserved, unobserved(u)...)
	return u
}

// seen is a count of the kernel's, for which zero means that it does not tell.
func seen(n uint64) *int64 {
	if n == 0 {
		return nil
	}
	return number(int64(n))
}

func thousandths(c authority.CPU) uint64 {
	if c.Period <= 0 {
		return 0
	}
	return uint64(c.Quota * 1000 / c.Period)
}

func number[T ~int | ~int64](n T) *int64 { v := int64(n); return &v }

// unobserved names the kinds of use that nothing counted.
func unobserved(u evidence.Usage) (list []string) {
	missing := func(what string, yes bool) {
		if yes {
			list = append(list, what)
		}
	}
	missing("files opened", slices.ContainsFunc(u.Files, func(f evidence.FileUse) bool { return f.Opened == nil }))
	missing("connections to names", slices.ContainsFunc(u.Names, func(n evidence.NameUse) bool { return n.Connections == nil }))
	missing("secrets taken", slices.ContainsFunc(u.Secrets, func(s evidence.SecretUse) bool { return s.Taken == nil }))
	for _, x := range u.Limits {
		missing("high-water mark of "+x.Name, x.Peak == nil)
	}
	slices.SortFunc(list, cmp.Compare[string])
	return list
}
