package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
)

// A Root is the file tree of an image, which a virtual machine has in place of the host's system.
type Root struct {
	Ref           string           // as messages show it, with its digest
	Image         string           // digest of the file system
	Entries       map[string]Entry // what is at its top, and what lies at RootPaths; what is not there is missing
	Passwd, Group string           // its lists of accounts
}

// A Text is a file that a guest writes into its /etc.
type Text struct{ Name, Text string }

// A Place is an empty file or folder of a guest, on which the cell mounts something.
type Place struct {
	At     string
	Folder bool
}

// RootPaths are the places in an image that a plan wants to know of besides its top: what is shown somewhere lies in the image then.
func RootPaths(a *authority.Authority) []string {
	var list []string
	add := func(p string) {
		for ; p != "/" && p != "."; p = path.Dir(p) {
			list = append(list, p)
		}
	}
	add(a.Work.Path)
	for _, g := range a.Files {
		add(g.At)
		add(g.Host)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// notOfImage are names at the top of an image that a cell has of its own, or that mean nothing without the machine.
var notOfImage = []string{"/boot", "/dev", "/proc", "/run", "/sys", "/tmp", "/lost+found"}

// etcOfCell are the names in an image's /etc that a guest writes: imageTexts.
var etcOfCell = []string{"passwd", "group", "hostname", "hosts", "resolv.conf"}

// OfImage reports whether a cell with an image sees the image at a path, if it has something there and no grant hides it.
func OfImage(name string) bool {
	top, rest, _ := strings.Cut(name[1:], "/")
	return !slices.Contains(notOfImage, "/"+top) && !(top == "etc" && slices.Contains(etcOfCell, rest))
}

// system lists what is shown to every cell whole: the system's folders, and all others at the top of an image.
func (p *planner) system() []string {
	if p.h.Image == nil {
		return systemDirs
	}
	list := []string{"/etc"} // which the guest makes if it is missing
	for d, e := range p.h.Image.Entries {
		if path.Dir(d) == "/" && d != "/etc" && (e.Kind == Directory || e.Kind == Symlink) && !slices.Contains(notOfImage, d) {
			list = append(list, d)
		}
	}
	slices.Sort(list)
	return list
}

// ownEtc reports whether the cell gets an /etc that the plan makes: neither the document's nor an image's.
func (p *planner) ownEtc() bool { return !p.replaced("/etc") && p.h.Image == nil }

// inImage makes the host of the guest's plan one whose system is the image.
func (p *planner) inImage(m *Machine) {
	r := p.h.Image
	p.h.Etc, m.Image, m.Ref = nil, r.Image, r.Ref
	entries := maps.Clone(p.h.Entries)
	for _, d := range systemDirs {
		delete(entries, d)
	}
	if k := r.Entries["/etc"].Kind; k != Directory && k != Missing {
		p.refuse(p.a.Image.From, "the image's /etc is no folder", "")
	}
	for _, d := range p.system() {
		e := r.Entries[d]
		if d == "/etc" {
			e = Entry{Kind: Directory, Mode: 0o755}
		}
		e.Real = d
		entries[d] = e
	}
	p.h.Entries = entries
	shown := append(slices.Clone(p.a.Files), authority.Grant{Host: p.a.Work.Path, At: p.a.Work.Path, From: p.a.Work.From})
	for _, g := range shown {
		if at, ok := p.blocked(path.Dir(g.At)); ok {
			p.refuse(g.From, fmt.Sprintf("%s would lie behind %s, which is no folder in the image", g.At, at), "show it somewhere else")
		}
		if g.Host == g.At {
			continue // the guest makes the place, or puts it over the image's
		}
		if at, ok := p.blocked(path.Dir(g.Host)); ok { // where the guest has it first
			p.refuse(g.From, fmt.Sprintf("%s would lie behind %s, which is no folder in the image", g.Host, at), moved(g))
		}
		if _, there := r.Entries[g.Host]; there && path.Dir(g.Host) != "/" {
			p.refuse(g.From, fmt.Sprintf("%s is in the image as well, which would be hidden", g.Host), "show the host's at its own place, or move it")
		}
		if slices.ContainsFunc(shown, func(o authority.Grant) bool { return o.At != g.At && authority.Below(g.At, o.At) }) {
			continue // it lies in something else that is granted
		}
		e, there := r.Entries[g.At]
		if !there {
			e = p.h.Entries[g.Host]
			if OfImage(g.At) && path.Dir(g.At) != "/" { // what lies at the top, or in a folder of the cell's own, it makes itself
				m.Places = append(m.Places, Place{g.At, e.Kind == Directory})
			}
		}
		if e.Kind != Symlink {
			e.Real = g.At
		}
		p.h.Entries[g.At] = e
	}
}

// moved is how a grant could come from another place of the host.
func moved(g authority.Grant) string {
	if Ours(g) {
		return "choose another folder for temporary files with TMPDIR"
	}
	return "move it"
}

// blocked returns the first part of a path that is something else than a folder in the image.
func (p *planner) blocked(dir string) (string, bool) {
	var up []string
	for ; dir != "/"; dir = path.Dir(dir) {
		up = append(up, dir)
	}
	for _, d := range slices.Backward(up) {
		if e, there := p.h.Image.Entries[d]; there && e.Kind != Directory && e.Kind != Missing {
			return d, true
		}
	}
	return "", false
}

// imageTexts are the files that the guest writes into the image's /etc: the cell's account beside the image's, and the names of the cell.
func (p *planner) imageTexts() (list []Text) {
	r := p.h.Image
	for _, t := range p.etcTexts() {
		text := t.text
		switch t.name {
		case "passwd":
			text = withAccount(r.Passwd, t.text, fmt.Sprintf(":%d:", p.p.IDs.UID))
		case "group":
			text = withAccount(r.Group, t.text, fmt.Sprintf(":%d:", p.p.IDs.GID))
		case "nsswitch.conf":
			continue // the image's own, or its library's idea of none
		}
		list = append(list, Text{t.name, text})
	}
	return list
}

// withAccount is a list of accounts with that of the cell, unless it has one of the same number; without a list it is ours.
func withAccount(list, ours, number string) string {
	if strings.TrimSpace(list) == "" {
		return ours
	}
	for line := range strings.Lines(list) {
		if f := strings.SplitN(line, ":", 4); len(f) > 3 && ":"+f[2]+":" == number {
			return list
		}
	}
	if !strings.HasSuffix(list, "\n") {
		list += "\n"
	}
	for line := range strings.Lines(ours) {
		if strings.HasPrefix(line, "cell:") {
			list += line
		}
	}
	return list
}
