package plan

import (
	"fmt"
	"slices"

	"cellos.io/cellos/authority"
)

// private keeps the supervisor's own files out of the cell: the records of runs, which a command could forge or remove, and the keys
// that sign them. A grant that would let the command write around them, or that is one of them, is refused; where they only lie in
// what it may read, an empty folder covers them. A single file, a key or a token, is refused there.
func (p *planner) private() {
	for _, own := range p.h.Private {
		for _, t := range p.trees {
			if t.host == "" || t.covers {
				continue
			}
			writes := t.access.Has(authority.CanWrite) && !(t.work && p.overlaid())
			switch inside := authority.Below(own, t.host); {
			case authority.Below(t.host, own):
				p.refuse(t.from, fmt.Sprintf("%s is where cellos keeps the records of runs or their keys", t.host), "grant another folder, or move them with CELLOS_STATE and XDG_CONFIG_HOME")
			case inside && writes:
				p.refuse(t.from, fmt.Sprintf("%s contains %s, where cellos keeps the records of runs or their keys", t.host, own),
					"grant a folder below it, or move them with CELLOS_STATE and XDG_CONFIG_HOME")
			case inside && p.h.Entries[own].Kind != Directory:
				if !p.hidden(t, t.at+own[len(t.host):]) {
					p.refuse(t.from, fmt.Sprintf("%s contains %s, which is cellos' to use and not the command's to read", t.host, own), "keep the file elsewhere, or grant a folder below it")
				}
			case inside:
				at := t.at + own[len(t.host):]
				if p.hidden(t, at) {
					continue
				}
				p.trees = append(p.trees, tree{at: at, kind: Directory, access: authority.CanRead, covers: true, slot: -1})
			}
		}
	}
}

// hidden reports whether another tree is shown over a place of tree t, so that what lies there in t is not seen.
func (p *planner) hidden(t tree, at string) bool {
	return slices.ContainsFunc(p.trees, func(u tree) bool {
		return u.at != t.at && authority.Below(u.at, t.at) && authority.Below(at, u.at)
	})
}

// covered reports whether something of the supervisor's is covered.
func (p *planner) covered() bool {
	for _, t := range p.trees {
		if t.covers {
			return true
		}
	}
	return false
}
