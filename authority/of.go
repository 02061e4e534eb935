package authority

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"cellos.io/cellos/document"
)

// A Place is where a document is read: what it leaves to its surroundings.
type Place struct {
	WorkingDirectory string // absolute; for documents that name none, and for relative ones
}

// Of returns what a document grants, with every default. The document must come from document.Parse. Errors name
// fields of the document; all of them are joined.
func Of(doc *document.Document, at Place) (*Authority, error) {
	s := &doc.Spec
	a := &Authority{
		ID:       s.ID,
		Syscalls: "hardened",
		Limits: Limits{
			Lifetime: time.Duration(s.Lifetime.TTLSeconds) * time.Second,
			Wall:     time.Duration(s.Lifetime.TTLSeconds) * time.Second,
			WallFrom: "spec.lifetime.ttlSeconds",
		},
		Secrets: slices.Clone(s.Authority.SecretRefs),
	}
	errs := []error{a.work(s, at), a.files(s.Authority.Filesystem)}
	a.command(s)
	a.secrets(s)
	a.limits(s.Run)
	a.network(&s.Authority)
	a.trust()
	a.names(&s.Authority)
	a.exports(s.Export, at)
	a.demands(s)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Authority) command(s *document.Spec) {
	env := map[string]string{"PATH": Path}
	a.Command.Hostname = "cell"
	if r := s.Run; r != nil {
		a.Command.Argv = slices.Clone(r.Argv)
		a.Command.Terminal = r.Terminal
		a.Clocks = r.TimeNamespace
		maps.Copy(env, r.Environment)
		if r.User != nil {
			a.Command.User = &User{UID: uint32(r.User.UID), GID: uint32(r.User.GID)}
		}
		if r.Seccomp != nil {
			a.Syscalls = cmp.Or(r.Seccomp.Profile, a.Syscalls)
			if r.Seccomp.ReportRefusals {
				a.Watch = WatchRefused
			}
		}
		if r.Hostname != nil {
			a.Command.Hostname = *r.Hostname
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		a.Command.Env = append(a.Command.Env, Variable{name, env[name]})
	}
}

func (a *Authority) secrets(s *document.Spec) {
	a.Delivery = document.DeliverEnv
	if s.Run != nil {
		a.Delivery = s.Run.SecretDelivery
		if s.Run.ScrubOutput {
			a.Scrub = "spec.run.scrubOutput"
		}
	}
	if i := s.Identity; i != nil {
		a.Identity = &Identity{Audience: i.Audience, SecretRef: i.SecretRef, TTL: a.Limits.Lifetime}
		if i.TTLSeconds != nil {
			a.Identity.TTL = time.Duration(*i.TTLSeconds) * time.Second
		}
	}
}

func (a *Authority) work(s *document.Spec, at Place) error {
	a.Work = Work{Path: at.WorkingDirectory, Mode: Overlay}
	if r := s.Run; r != nil && r.WorkingDirectory != nil {
		a.Work.From = "spec.run.workingDirectory"
		a.Work.Path = *r.WorkingDirectory
	}
	if f := s.Authority.Filesystem; f != nil && f.WorkingDirectory != nil {
		a.Work.Mode = Mode(*f.WorkingDirectory)
	}
	for seg := range strings.SplitSeq(a.Work.Path, "/") { // before Join, which resolves them without looking at links
		if seg == ".." {
			return fmt.Errorf("spec.run.workingDirectory: %q contains ..; name the folder itself", a.Work.Path)
		}
	}
	if !path.IsAbs(a.Work.Path) {
		a.Work.Path = path.Join(at.WorkingDirectory, a.Work.Path)
	}
	if !path.IsAbs(a.Work.Path) {
		return fmt.Errorf("spec.run.workingDirectory: %q is not absolute, and neither is the place it is relative to", a.Work.Path)
	}
	a.Work.Path = path.Clean(a.Work.Path)
	return nil
}

func (a *Authority) files(f *document.Filesystem) error {
	if f == nil {
		return nil
	}
	var all []Grant
	for _, list := range []struct {
		name   string
		grants []document.Grant
		access Access
	}{{"exec", f.Exec, CanRead | CanExec}, {"read", f.Read, CanRead}, {"write", f.Write, CanRead | CanWrite}} {
		for i, g := range list.grants {
			all = append(all, Grant{Host: g.Path, At: g.Target(), Access: list.access, From: fmt.Sprintf("spec.authority.filesystem.%s[%d]", list.name, i)})
		}
	}
	grants, conflicts := merge(all)
	a.Files = grants
	var errs []error
	for _, c := range conflicts {
		errs = append(errs, fmt.Errorf("%s: %s already shows %s, granted by %s", c[1].From, c[1].At, c[0].Host, c[0].From))
	}
	return errors.Join(errs...)
}

func (a *Authority) limits(r *document.Run) {
	l := &a.Limits
	l.Processes, l.Scratch = DefaultProcesses, DefaultScratch
	if r == nil {
		return
	}
	if r.TimeoutMs != nil {
		if t := time.Duration(*r.TimeoutMs) * time.Millisecond; t <= l.Wall {
			l.Wall, l.WallFrom = t, "spec.run.timeoutMs"
		}
	}
	d := r.Limits
	if d == nil {
		return
	}
	if l.Memory = value(d.MemoryMaxBytes); l.Memory != 0 {
		l.MemoryFrom = "spec.run.limits.memoryMaxBytes"
	}
	l.Grace = time.Duration(value(d.GracefulShutdownSeconds)) * time.Second
	l.Processes = cmp.Or(value(d.Processes), DefaultProcesses)
	l.Scratch = cmp.Or(value(d.ScratchBytes), DefaultScratch)
	l.OpenFiles, l.FileSize, l.Output = value(d.OpenFiles), value(d.FileSizeBytes), value(d.OutputBytes)
	if c := d.CPUMax; c != nil {
		l.CPUFrom = "spec.run.limits.cpuMax"
		l.CPU = CPU{Quota: time.Duration(c.QuotaMicros) * time.Microsecond, Period: 100 * time.Millisecond}
		if c.PeriodMicros != nil {
			l.CPU.Period = time.Duration(*c.PeriodMicros) * time.Microsecond
		}
	}
}

func value(n *int64) uint64 {
	if n == nil {
		return 0
	}
	return uint64(*n)
}

func (a *Authority) exports(e *document.Export, at Place) {
	if e == nil {
		return
	}
	for i, x := range e.Artifacts {
		art := Artifact{Name: x.Name, Path: x.Path, From: fmt.Sprintf("spec.export.artifacts[%d]", i)}
		if art.Source = x.Path; !path.IsAbs(x.Path) {
			art.Source = at.WorkingDirectory + "/" + x.Path
		}
		if x.Target != nil {
			art.Target = *x.Target
		}
		a.Exports = append(a.Exports, art)
	}
}

// demands lists the parts of a document that only some backends can honour. Correlation, placement, policy and telemetry
// grant nothing and demand nothing.
func (a *Authority) demands(s *document.Spec) {
	if e := s.Environment; e != nil {
		a.Image = &Image{Ref: e.ImageReference, From: "spec.environment"}
		if e.ImageDigest != nil {
			a.Image.Digest = *e.ImageDigest
		}
	}
	for _, d := range []struct {
		asked bool
		Demand
	}{
		{s.Ingress != nil && (s.Ingress.Git != nil || s.Ingress.OCIImage != nil), Demand{"spec.ingress", "fetching inputs"}},
		{s.Authority.AuthorityDerivation != nil, Demand{"spec.authority.authorityDerivation", "checking a derivation token"}},
	} {
		if d.asked {
			a.Demands = append(a.Demands, d.Demand)
		}
	}
}
