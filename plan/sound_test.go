package plan

import (
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
)

func privileges(t *testing.T, c *child, p *Plan, h Host) {
	want := []string{"pivot_root", "PR_SET_SECUREBITS", "PR_CAP_AMBIENT", "capset", "PR_SET_NO_NEW_PRIVS", "landlock_restrict_self", "seccomp", "execveat"}
	if p.IDs.ByParent {
		want = append([]string{"setgroups", "setresgid", "setresuid"}, want...)
	}
	filters := 0
	for _, s := range c.order {
		if s == "seccomp" {
			filters++
		}
	}
	if order := slices.Compact(slices.Clone(c.order)); !slices.Equal(order, want) || filters != p.EarlyFilters() {
		t.Errorf("rights go in the order %v, want %v with %d filters", c.order, want, p.EarlyFilters())
	}
	for n := range int(h.LastCap) + 1 {
		if !c.caps[n] {
			t.Errorf("capability %d stays in the bounding set", n)
		}
	}
	if s := p.Table[len(p.Table)-2]; s.Call != "seccomp" {
		t.Errorf("the step before the start is %s", s)
	}
	if !c.pivoted || !c.frozen {
		t.Error("the root is not the cell's, or can be written")
	}
}

// rights are what Landlock must allow for a grant, written out by hand from landlock(7).
func rights(access authority.Access, k Kind, abi int) string {
	has := func(a authority.Access) bool { return access.Has(a) }
	folder := k == Directory
	var s []string
	for _, x := range []struct {
		name string
		is   bool
	}{
		{"EXECUTE", has(authority.CanExec)}, {"WRITE_FILE", has(authority.CanWrite)}, {"READ_FILE", true}, {"READ_DIR", folder},
		{"REMOVE_DIR", folder && has(authority.CanWrite)}, {"REMOVE_FILE", folder && has(authority.CanWrite)}, {"MAKE_DIR", folder && has(authority.CanWrite)},
		{"MAKE_REG", folder && has(authority.CanWrite)}, {"MAKE_SOCK", folder && has(authority.CanWrite)}, {"MAKE_FIFO", folder && has(authority.CanWrite)},
		{"MAKE_SYM", folder && has(authority.CanWrite)}, {"REFER", folder && has(authority.CanWrite) && abi >= 2}, {"TRUNCATE", has(authority.CanWrite) && abi >= 3},
	} {
		if x.is {
			s = append(s, x.name)
		}
	}
	return strings.Join(s, "|")
}

func shownAsGranted(t *testing.T, c *child, p *Plan, a *authority.Authority, h Host) {
	mounts := map[string]Mount{}
	for _, m := range p.Mounts {
		if mounts[m.At].At != "" {
			t.Errorf("%s is mounted twice", m.At)
		}
		mounts[m.At] = m
	}
	if m := mounts["/"]; m.Attr != ReadOnly|NoSUID|NoDev || m.Type != "tmpfs" {
		t.Errorf("the root is %+v", m)
	}
	check := func(at, fstype string, access authority.Access, k Kind) {
		attr := NoSUID | NoDev
		if !access.Has(authority.CanWrite) {
			attr |= ReadOnly
		}
		if !access.Has(authority.CanExec) {
			attr |= NoExec
		}
		if m := mounts[at]; m != (Mount{at, fstype, attr}) {
			t.Errorf("%s (%v) is mounted %+v", at, access, m)
		}
		if k := c.root[at[1:]]; k != "host" && k != "own" {
			t.Errorf("nothing was mounted at %s: %q", at, k)
		}
		if want := rights(access, k, h.Landlock); c.rules[at] != want {
			t.Errorf("the Landlock rule of %s (%v) is\n%s, want\n%s", at, access, c.rules[at], want)
		}
	}
	for _, g := range a.Files {
		if g.At == g.Host && slices.Contains(systemDirs, g.At) {
			g.Access |= authority.CanRead | authority.CanExec
		}
		check(g.At, "", g.Access, h.Entries[g.Host].Kind)
	}
	work, fstype := authority.CanRead|authority.CanExec|authority.CanWrite, map[authority.Mode]string{authority.Overlay: "overlay", authority.Empty: "tmpfs"}[a.Work.Mode]
	if a.Work.Mode == authority.Read {
		work &^= authority.CanWrite
	}
	check(a.Work.Path, fstype, work, Directory)
	for _, own := range h.Private {
		neverShown(t, c, p, own)
	}
	for at := range c.rules {
		if _, ok := mounts[at]; !ok && at != "/etc" && at != "/dev" {
			t.Errorf("a Landlock rule for %s, where nothing is mounted", at)
		}
	}
	if _, ok := c.rules[canary]; ok {
		t.Error("a Landlock rule for the file that Landlock must refuse")
	}
}

// neverShown checks that a folder of the supervisor's own is nowhere in the cell: each tree that contains it has a cover over it.
func neverShown(t *testing.T, c *child, p *Plan, own string) {
	for _, m := range p.Mounts {
		host, ok := c.shows[m.At]
		if !ok || !authority.Below(own, host) {
			if ok && authority.Below(host, own) {
				t.Errorf("%s, which is the supervisor's own, is shown at %s", host, m.At)
			}
			continue
		}
		at := m.At + own[len(host):]
		if c.root[at[1:]] != "own" && c.shows[at] == "" {
			t.Errorf("%s, which is the supervisor's own, is shown at %s", own, at)
		}
	}
}
