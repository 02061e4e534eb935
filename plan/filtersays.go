package plan

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/seccomp"
)

// filtersInForce is the promise of the layer.
func (p *planner) filtersInForce() string {
	var names []string
	for _, f := range p.p.Filters {
		names = append(names, oneLine(f.Name))
	}
	if len(names) == 1 {
		return "1 filter in force: " + names[0]
	}
	return fmt.Sprintf("%d filters in force: %s", len(names), and(names))
}

// saysFilters adds what the late filters take away.
func (p *planner) saysFilters() {
	for _, f := range p.p.Filters {
		switch {
		case !f.Late:
		case f.By == "profile" && strings.HasPrefix(f.Name, "strict"):
			p.cannot("start another process or program, open a socket, or change owners and modes of files (profile "+f.Name+")", LayerSeccomp)
		case slices.Contains(seccomp.Profiles(), f.Name):
			p.cannot("make a system call that the profile "+f.Name+" refuses (asked for by "+f.By+")", LayerSeccomp)
		default:
			p.cannot("make a system call that "+f.Name+" refuses (asked for by "+f.By+"): cellos seccomp explain "+f.Name, LayerSeccomp)
		}
		if f.Once() && f.By != "profile" {
			p.cannot("execute another program ("+f.Name+")", LayerSeccomp)
		}
	}
}
