package document

import (
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
)

func (c *checker) filesystem(p *input.Path) {
	fs := c.spec.Authority.Filesystem
	if fs == nil {
		return
	}
	shown := map[string]place{}
	c.grants(shown, p.Field("read"), fs.Read)
	c.grants(shown, p.Field("write"), fs.Write)
	c.grants(shown, p.Field("exec"), fs.Exec)
	for i, g := range fs.Write {
		at := p.Field("write").Item(i)
		if problem := format.OverBroadWrite(g.Path); problem != "" && !c.Lost(at) {
			c.Add(at, "%s", problem)
		}
	}
}

// place is what a cell sees at one of its paths.
type place struct {
	host string
	by   *input.Path
}

// grants reports the places of a cell that one list fills twice, or two lists with different things.
func (c *checker) grants(shown map[string]place, list *input.Path, grants []Grant) {
	own := names{}
	for i, g := range grants {
		p := list.Item(i)
		if c.Lost(p) {
			continue
		}
		if first, again := own[g.Target()]; again {
			c.Add(p, "%s is shown at %s already, by %s", format.Quote(g.Path), format.Quote(g.Target()), first)
			continue
		}
		own[g.Target()] = p
		if other, again := shown[g.Target()]; again && other.host != g.Path {
			c.Add(p, "%s cannot be shown at %s: %s shows %s there", format.Quote(g.Path), format.Quote(g.Target()), other.by, format.Quote(other.host))
			continue
		}
		shown[g.Target()] = place{g.Path, p}
	}
}
