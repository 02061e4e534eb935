package admission

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"cellos.io/cellos/document"
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/variable"
)

// Prefixes are the folders and files that the program of a cell must be in.
type Prefixes struct {
	list    []string // absolute, clean
	real    []string // the same with links followed
	resolve func(string) string
}

// NewPrefixes takes the prefixes as the operator wrote them. resolve follows the symbolic links of an absolute path, as far as it
// leads somewhere.
func NewPrefixes(list []string, resolve func(string) string) (*Prefixes, error) {
	p := &Prefixes{resolve: resolve}
	for _, s := range list {
		clean := strings.TrimRight(strings.ReplaceAll(s, `\`, "/"), "/")
		if clean == "" {
			clean = "/"
		}
		if !path.IsAbs(clean) || clean != path.Clean(clean) {
			return nil, fmt.Errorf("%s is not an absolute path without empty, . and .. parts", format.Quote(s))
		}
		p.list = append(p.list, clean)
		p.real = append(p.real, resolve(clean))
	}
	if len(p.list) == 0 {
		return nil, fmt.Errorf("is set, and names no prefix")
	}
	return p, nil
}

// problem says why a program is not allowed; "" if it is.
func (p *Prefixes) problem(argv0 string, fs *document.Filesystem) string {
	name := format.Quote(argv0)
	switch {
	case !path.IsAbs(argv0):
		return fmt.Sprintf("%s is not an absolute path, which %s demands", name, variable.Argv0Prefixes)
	case argv0 != path.Clean(argv0):
		return fmt.Sprintf("%s has empty, . or .. parts, which %s does not allow", name, variable.Argv0Prefixes)
	}
	in := func(p string, list []string) bool {
		return slices.ContainsFunc(list, func(prefix string) bool { return below(p, prefix) })
	}
	real := p.resolve(hostPath(argv0, fs))
	// As written and as it is: neither a link into a prefix nor one out of it gets by.
	if in(argv0, p.list) && in(real, p.real) {
		return ""
	}
	where := ""
	if in(argv0, p.list) {
		where = ", being " + format.Quote(real) + ","
	}
	return fmt.Sprintf("%s%s is not under any allowed prefix of %s: %s", name, where, variable.Argv0Prefixes, strings.Join(p.list, ", "))
}

// hostPath is where the host has what the cell sees at a path: a grant may show something else there.
func hostPath(at string, fs *document.Filesystem) string {
	if fs == nil {
		return at
	}
	best, host := "", at
	for _, list := range [][]document.Grant{fs.Read, fs.Write, fs.Exec} {
		for _, g := range list {
			if t := g.Target(); below(at, t) && len(t) >= len(best) {
				best, host = t, path.Join(g.Path, strings.TrimPrefix(at, t))
			}
		}
	}
	return host
}

// below reports whether p is dir or in it.
func below(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}
