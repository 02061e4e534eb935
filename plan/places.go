package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
)

// A tree is something shown in the cell: a path of the host, or a folder of the scratch space.
type tree struct {
	at     string
	host   string           // "" if it is not of the host
	kind   Kind             // Directory or Regular
	access authority.Access // what the command may do in it
	system bool             // a default, not a grant
	from   string           // where the document says so
	slot   int              // number of the handed tree in the child; -1: the child opens it itself
	work   bool             // the working directory
	covers bool             // an empty folder over something that the command must not have
}

// own reports whether the tree is ours to make folders in while the cell is built.
func (t tree) own() bool { return t.host == "" }

// systemDirs are shown to every cell, read-only, when the host has them: programs and their libraries.
var systemDirs = []string{"/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr"}

// reserved are places of the cell that no grant may cover: they are the cell's own.
var reserved = []string{"/dev", "/proc", "/sys", canary}

// SystemPaths are the paths of the host that every plan wants to know of. They are the system's own: For needs no Entry.Real of them.
func SystemPaths() []string {
	s := append(slices.Clone(systemDirs), devices...)
	for _, n := range procNames() {
		s = append(s, "/proc/"+n)
	}
	return s
}

// Paths returns the paths of the host that For wants to know of besides SystemPaths.
func Paths(a *authority.Authority) []string {
	var s []string
	if a.Work.Mode != authority.Empty {
		s = append(s, a.Work.Path)
	}
	for _, g := range a.Files {
		s = append(s, g.Host)
	}
	// Where one tree is mounted in another, the mount point must exist there.
	outer := slices.Clone(a.Files)
	if a.Work.Mode != authority.Empty {
		outer = append(outer, authority.Grant{Host: a.Work.Path, At: a.Work.Path})
	}
	for _, d := range systemDirs {
		outer = append(outer, authority.Grant{Host: d, At: d})
	}
	inner := []string{a.Work.Path}
	for _, g := range a.Files {
		inner = append(inner, g.At)
	}
	for _, at := range inner {
		for _, o := range outer {
			if at != o.At && authority.Below(at, o.At) {
				s = append(s, path.Join(o.Host, at[len(o.At):]))
			}
		}
	}
	if len(a.Network) > 0 || namesOnly(a) {
		s = append(s, devicePath)
	}
	s = append(s, a.Devices...)
	slices.Sort(s)
	return slices.Compact(s)
}

// places decides what is shown where, and refuses what cannot be shown.
func (p *planner) places() {
	work, has := p.a.Work, true
	for _, d := range append([]string{"/", "/boot", "/run"}, reserved...) {
		if work.Path == d || d != "/" && authority.Below(work.Path, d) {
			p.refuse(work.From, fmt.Sprintf("the working directory %s is not the cell's to have", work.Path),
				"change to a folder of your own, or choose one with --workdir DIR[:MODE]; --workdir /tmp:empty needs no files")
			has = false
			break
		}
	}
	for _, d := range p.system() {
		if e := p.h.Entries[d]; e.Kind == Directory && !p.replaced(d) {
			p.trees = append(p.trees, tree{at: d, host: d, kind: Directory, access: authority.CanRead | authority.CanExec, system: true, slot: -1})
		}
	}
	if !p.replaced("/tmp") {
		p.trees = append(p.trees, tree{at: "/tmp", kind: Directory, access: authority.CanRead | authority.CanWrite | authority.CanExec, system: true, slot: -1})
	}
	slot := -1
	if p.h.Root() {
		slot = 0 // numbered by descriptors
	}
	if has {
		p.place(tree{at: work.Path, host: work.Path, kind: Directory, work: true, from: work.From, slot: slot})
	}
	for _, g := range p.a.Files {
		if g.At == work.Path {
			p.refuse(g.From, fmt.Sprintf("%s is the working directory", g.At), "give its mode instead: --workdir DIR:read, DIR:write, DIR:overlay or DIR:empty")
			continue
		}
		p.place(tree{at: g.At, host: g.Host, access: g.Access, from: g.From, slot: slot})
	}
	p.private()
	slices.SortStableFunc(p.trees, func(a, b tree) int { return strings.Compare(a.at, b.at) })
	p.nesting()
}

// replaced reports whether the document puts something of its own at a place that has a default.
func (p *planner) replaced(at string) bool {
	return p.a.Work.Path == at || slices.ContainsFunc(p.a.Files, func(g authority.Grant) bool { return g.At == at })
}

func (p *planner) place(t tree) {
	if t.work {
		t.access = authority.CanRead | authority.CanExec
		if p.a.Work.Mode != authority.Read {
			t.access |= authority.CanWrite
		}
		if p.a.Work.Mode == authority.Empty {
			t.host, t.slot = "", -1
		}
	}
	for _, d := range p.system() {
		if e := p.h.Entries[d]; e.Kind == Symlink && authority.Below(t.at, d) {
			p.refuse(t.from, fmt.Sprintf("%s lies behind %s, which is a symbolic link to %s", t.at, d, e.Target), "")
			return
		}
	}
	for _, d := range reserved {
		if authority.Below(t.at, d) {
			p.refuse(t.from, fmt.Sprintf("%s is the cell's own", t.at), "show the files somewhere else: "+t.host+":DEST")
			return
		}
	}
	for _, d := range p.etcShown() {
		if t.at != d && authority.Below(t.at, d) && t.from != trustFrom {
			p.refuse(t.from, fmt.Sprintf("%s lies in %s, which is the host's and is shown already", t.at, d), "replace all of it with a folder of your own at "+d+", or show the files somewhere else")
			return
		}
	}
	if t.host != "" {
		e := p.h.Entries[t.host]
		switch {
		case e.Err != "":
			p.refuse(t.from, fmt.Sprintf("looking at %s: %s", t.host, e.Err), "")
			return
		case e.Kind == Missing:
			p.refuse(t.from, t.host+" does not exist", "")
			return
		case e.Real != t.host:
			p.refuse(t.from, fmt.Sprintf("%s leads through a symbolic link", t.host), realHint(t, e.Real))
			return
		case e.Kind != Directory && (e.Kind != Regular || t.work):
			p.refuse(t.from, t.host+" is no folder"+map[bool]string{false: " and no regular file"}[t.work], "")
			return
		}
		t.kind = e.Kind
	}
	if slices.Contains(p.system(), t.at) && t.host == t.at {
		t.access |= authority.CanRead | authority.CanExec // granting what every cell has takes nothing away
	}
	p.trees = append(p.trees, t)
}

func realHint(t tree, real string) string {
	switch {
	case real == "":
		return "the link leads nowhere"
	case t.work:
		return "name the real path: " + real
	case t.at == t.host:
		return fmt.Sprintf("name the real path: %s, or show it here: %s:%s", real, real, t.at)
	}
	return fmt.Sprintf("name the real path: %s:%s", real, t.at)
}

// nesting refuses a place inside another tree of the host that has no such file to mount on.
func (p *planner) nesting() {
	for i, t := range p.trees {
		o, ok := p.outer(i)
		if !ok || o.own() {
			continue
		}
		on := path.Join(o.host, t.at[len(o.at):])
		e := p.h.Entries[on]
		switch {
		case e.Kind == Missing:
			p.refuse(t.from, fmt.Sprintf("%s lies in %s, where nothing has that name to mount on", t.at, o.at), "make it there first, or show it somewhere else")
		case e.Real != on:
			p.refuse(t.from, fmt.Sprintf("%s lies in %s and leads through a symbolic link there", t.at, o.at), "")
		case (e.Kind == Directory) != (t.kind == Directory):
			p.refuse(t.from, fmt.Sprintf("%s lies in %s, where a file of another type has that name", t.at, o.at), "")
		}
	}
}

// outer returns the innermost tree that tree i lies in.
func (p *planner) outer(i int) (tree, bool) {
	for j := i - 1; j >= 0; j-- {
		if authority.Below(p.trees[i].at, p.trees[j].at) && p.trees[i].at != p.trees[j].at {
			return p.trees[j], true
		}
	}
	return tree{}, false
}

// attr is how a tree is mounted.
func (t tree) attr() Attr {
	attr := NoSUID | NoDev
	if !t.access.Has(authority.CanWrite) {
		attr |= ReadOnly
	}
	if !t.access.Has(authority.CanExec) {
		attr |= NoExec
	}
	return attr
}
