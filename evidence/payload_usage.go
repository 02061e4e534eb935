package evidence

// Usage sets what was granted against what was used of it, and tells what was asked for beyond it. A count that is nil was not
// observed, which is something else than zero; NotObserved says why in words.
type Usage struct {
	Files   []FileUse
	Names   []NameUse
	Secrets []SecretUse
	Limits  []LimitUse
	Denials []Denial

	NotObserved []string // "files opened: …", one for each kind that nothing counts
}

// FileUse is one grant of files.
type FileUse struct {
	Path    string   // on the host
	At      string   // in the cell
	Access  []string // "read", "write", "exec"
	Mode    string   // of the working directory: "overlay", …; empty: not the working directory
	Opened  *int64   // how often something at or below it was opened
	Changed *int64   // how many paths at or below it changed
}

// NameUse is one granted destination.
type NameUse struct {
	Name                    string // "host:port"
	Connections, Sent, Rcvd *int64 // connections that got through, and bytes from and to the cell
}

// SecretUse is one granted secret.
type SecretUse struct {
	Name  string
	Taken *int64 // how often it was fetched; of a placeholder, how many requests the value was put into

	Placeholder bool // the command had none but that; left out if not
}

// LimitUse is one limit and the high-water mark against it.
type LimitUse struct {
	Name    string // "memory", "processes", "wallTime", "output", …
	Unit    string // "bytes", "processes", "nanoseconds", …
	Limit   int64
	Peak    *int64
	Reached bool // the limit refused or ended something
}

// What a Denial refused.
const (
	DeniedSyscall = "syscall"
	DeniedName    = "name"
	DeniedSecret  = "secret"
	DeniedPath    = "path"
)

// Denial is something that the command asked for and was not granted.
type Denial struct {
	What  string // DeniedSyscall, …
	Name  string // the system call, "host:port", the secret, the path
	Count int64  // how often
	Grant string // what would allow it, as a flag or a member of a document; empty: nothing would

	Claimed bool // by the guest of a virtual machine: nobody else saw it
}

// Deny counts a denial.
func (p *Usage) Deny(what, name, grant string) {
	for i := range p.Denials {
		if d := &p.Denials[i]; d.What == what && d.Name == name {
			d.Count++
			return
		}
	}
	if len(p.Denials) < maxDenials {
		p.Denials = append(p.Denials, Denial{What: what, Name: name, Count: 1, Grant: grant})
	}
}

// maxDenials bounds the list, so that a command cannot make the event longer than a line may be.
const maxDenials = 1000

// Name returns the entry of a granted destination to count in, which it makes if need be. An entry is to be filled at once: the next one that
// is made may move it.
func (p *Usage) Name(name string) *NameUse {
	return entry(&p.Names, func(u *NameUse) bool { return u.Name == name }, NameUse{Name: name})
}

// Secret returns the entry of a granted secret.
func (p *Usage) Secret(name string) *SecretUse {
	return entry(&p.Secrets, func(u *SecretUse) bool { return u.Name == name }, SecretUse{Name: name})
}

// Limit returns the entry of a limit.
func (p *Usage) Limit(name string) *LimitUse {
	return entry(&p.Limits, func(u *LimitUse) bool { return u.Name == name }, LimitUse{Name: name})
}

func entry[T any](list *[]T, is func(*T) bool, fresh T) *T {
	for i := range *list {
		if is(&(*list)[i]) {
			return &(*list)[i]
		}
	}
	*list = append(*list, fresh)
	return &(*list)[len(*list)-1]
}

// Unused names the grants that were observed and not used: what the next run could do without.
func (p Usage) Unused() []string {
	var list []string
	none := func(what string, counts ...*int64) {
		for _, n := range counts {
			if n == nil || *n != 0 {
				return
			}
		}
		list = append(list, what)
	}
	for _, f := range p.Files {
		if f.Mode == "" {
			none("files "+f.At, f.Opened)
		}
	}
	for _, n := range p.Names {
		none("name "+n.Name, n.Connections)
	}
	for _, s := range p.Secrets {
		none("secret "+s.Name, s.Taken)
	}
	return list
}

func (Usage) Type() string { return TypeUsage }

func (p Usage) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	list(o, "denials", p.Denials, func(o *object, d Denial) {
		if d.Claimed {
			o.str("claimedBy", "guest")
		}
		o.num("count", d.Count)
		o.strOpt("grant", d.Grant)
		o.str("name", d.Name)
		o.str("what", d.What)
	})
	list(o, "files", p.Files, func(o *object, f FileUse) {
		o.strs("access", f.Access)
		o.str("at", f.At)
		o.numNull("changed", f.Changed)
		o.strOpt("mode", f.Mode)
		o.numNull("opened", f.Opened)
		o.str("path", f.Path)
	})
	list(o, "limits", p.Limits, func(o *object, l LimitUse) {
		o.num("limit", l.Limit)
		o.str("name", l.Name)
		o.numNull("peak", l.Peak)
		o.boolean("reached", l.Reached)
		o.str("unit", l.Unit)
	})
	list(o, "names", p.Names, func(o *object, n NameUse) {
		o.numNull("bytesReceived", n.Rcvd)
		o.numNull("bytesSent", n.Sent)
		o.numNull("connections", n.Connections)
		o.str("name", n.Name)
	})
	o.strs("notObserved", p.NotObserved)
	o.str("runId", r.RunID)
	list(o, "secrets", p.Secrets, func(o *object, s SecretUse) {
		o.str("name", s.Name)
		if s.Placeholder {
			o.boolean("placeholder", true)
		}
		o.numNull("taken", s.Taken)
	})
	o.str("specId", r.SpecID)
	o.strs("unused", p.Unused())
	return o.end()
}
