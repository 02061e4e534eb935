package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// maxTrees bounds the trees that root hands over: they take descriptors below table.FirstHanded.
const maxTrees = 48

// descriptors puts what the supervisor hands over at fixed numbers and closes everything else, whoever left it open. From
// here on the next descriptor is always the lowest free one.
func (p *planner) descriptors() {
	b := &p.b
	b.in(LayerFDs)
	names := []string{Stdin, Stdout, Stderr, Control, table.ExecPipe, Init}
	if p.p.IDs.ByParent {
		names = append(names, Maps)
	}
	kept := p.sandboxFiles()
	if p.sandbox != nil {
		p.sandbox.Boot.Keep, p.sandbox.Boot.Kept = len(names), len(kept)
	}
	names = append(names, kept...)
	p.placed = names
	for i, name := range names {
		if name != table.ExecPipe {
			p.p.Handed = append(p.p.Handed, Handed{Name: name})
		}
		if i <= 3 || slices.Contains(kept, name) {
			b.place(name, i, 0, "0")
		} else {
			b.place(name, i, sysabi.O_CLOEXEC, "O_CLOEXEC")
		}
	}
	n := len(names)
	for i := range p.trees {
		t := &p.trees[i]
		if t.slot < 0 {
			continue
		}
		if n == len(names)+maxTrees {
			p.refuse(t.from, fmt.Sprintf("more than %d granted paths", maxTrees), "grant folders that contain them")
			return
		}
		e := p.h.Entries[t.host]
		h := Handed{Name: oneLine("tree " + t.at), Tree: &Tree{Path: t.host, Attr: t.attr(), UID: e.UID, GID: e.GID}}
		if t.work && p.overlaid() {
			h.Tree.Attr |= ReadOnly
		}
		p.p.Handed = append(p.p.Handed, h)
		b.place(h.Name, n, sysabi.O_CLOEXEC, "O_CLOEXEC")
		t.slot = n
		n++
	}
	b.do("closing every other descriptor", "close_range", table.Num(uint64(n)), table.Flags(0xffffffff, "~0"), noFlags)
}

// fd is the number at which a well-known descriptor is placed.
func (p *planner) fd(name string) int {
	if i := slices.Index(p.placed, name); i >= 0 {
		return i
	}
	panic("plan: no descriptor " + name)
}

// session leaves the caller's session, and with it its terminal and its keyring.
func (p *planner) session() {
	b := &p.b
	b.in(LayerSession)
	b.do("starting a session", "setsid")
	// ENOSYS: a kernel without keyrings has none to share.
	b.do("starting a session keyring", "keyctl", table.Flags(sysabi.KEYCTL_JOIN_SESSION_KEYRING, "KEYCTL_JOIN_SESSION_KEYRING"), table.Null()).Tolerate = []sysabi.Errno{sysabi.ENOSYS}
}

// start executes PID 1 with the arguments and the environment of the command, which it passes on.
func (p *planner) start() {
	b, c := &p.b, p.a.Command
	b.in("")
	env := make([]string, len(c.Env))
	for i, v := range c.Env {
		env[i] = v.Name + "=" + v.Value
	}
	argv := c.Argv
	if len(argv) == 0 {
		argv = []string{"cell"} // a document without run: the cell is built and measured, and never released
	}
	p.p.Boot.Candidates = candidates(argv[0], c.Lookup)
	p.p.Boot.Terminal = c.Terminal
	if p.sandbox != nil {
		p.sandbox.Argv, p.sandbox.Env = c.Argv, env
		argv, env = p.runscArguments(), nil
		p.sandbox.Boot.Candidates = []string{fmt.Sprintf("/proc/self/fd/%d", p.fd(RunscFile))}
		p.sandbox.Boot.Terminal = c.Terminal
	}
	b.do("starting PID 1", "execveat", table.FD(p.fd(Init)), table.Path(""), table.Strings(argv), table.Strings(env), table.Flags(sysabi.AT_EMPTY_PATH, "AT_EMPTY_PATH"))
	p.p.Table = b.steps
}

// candidates lists the paths that execvp(3) would try: the name itself if it has a slash, else the name in each folder of PATH,
// where an empty one is the working directory.
func candidates(name string, lookup func(string) (string, bool)) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var s []string
	dirs, _ := lookup("PATH")
	for dir := range strings.SplitSeq(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		if c := path.Join(dir, name); strings.Contains(c, "/") {
			s = append(s, c)
		} else {
			s = append(s, "./"+c)
		}
	}
	return s
}
