package plan

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/table"
)

// anything is an authority, and a machine to enforce it: mostly ones that fit.
func anything(seed uint64) (*authority.Authority, Host) {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	one := func(n int) bool { return r.IntN(n) == 0 }
	places := slices.DeleteFunc(slices.Sorted(maps.Keys(debian)), func(p string) bool { return strings.HasPrefix(p, "/proc") || strings.HasPrefix(p, "/dev") })
	h := machine()
	f := debian
	if one(2) {
		h = rootful()
	}
	if one(3) {
		h.Arch = "arm64"
		f = split()
	}
	h.Kernel = Version{6, 6 + r.IntN(8)}
	h.Landlock = 1 + r.IntN(7)
	if h.Root() && one(5) {
		h.CellID += uint32(r.IntN(1000))
	}
	if one(15) {
		h.Kernel = Version{5, r.IntN(20)}
	}
	if one(25) {
		h.Landlock, h.Seccomp = 0, one(2)
	}
	if one(25) {
		h.UserNS = "user.max_user_namespaces is 0"
	}
	h.LastCap = uint8(37 + r.IntN(5))
	if one(3) {
		h.Private = []string{pick("/data/in", "/home/me", "/src/out", "/opt/tool/lib", "/usr/local")}
	}
	a := &authority.Authority{
		ID: "it", Syscalls: pick("hardened", "hardened", "hardened+net-none", "baseline", "baseline+debug", "strict", "strict+net-none"), Clocks: one(4),
		Command: authority.Command{Argv: []string{pick("make", "/bin/sh", "./x", "a b")}, Env: []authority.Variable{{Name: "PATH", Value: "/usr/bin::x"}}, Hostname: pick("cell", "box")},
		Work:    authority.Work{Path: pick("/src", "/data", "/tmp/job", "/home/me", "/a b", "/\u00fc", "/tmp", "/usr/local", "/src/link", "/opt/tool"), Mode: authority.Mode(pick("overlay", "read", "write", "empty"))},
		Limits:  authority.Limits{Lifetime: 1e9, Wall: 1e9, Processes: uint64(1 + r.IntN(1<<22)), Scratch: 1 << (16 + r.IntN(20))},
	}
	a.Command.Terminal = one(4)
	if one(3) {
		a.Command.User = &authority.User{UID: uint32(r.IntN(65535)), GID: uint32(r.IntN(65535))}
	}
	if one(4) {
		a.Limits.OpenFiles, a.Limits.FileSize, a.Limits.Output = uint64(16+r.IntN(1<<20)), uint64(r.IntN(99)), uint64(r.IntN(99))
	}
	if one(20) {
		a.Limits.Memory, a.Secrets = 5, []string{"s"}
	}
	seen := map[string]bool{}
	for range r.IntN(7) {
		p := places[r.IntN(len(places))]
		g := authority.Grant{Host: p, At: p, From: fmt.Sprintf("spec.authority.filesystem.read[%d]", len(a.Files)),
			Access: authority.CanRead | authority.Access(r.IntN(4)<<1)}
		if one(2) {
			g.At = pick("/x", "/x/y", "/x/y/z", "/tmp/k", "/tmp/k/l", "/usr/local", "/usr/share/doc", "/etc/mine", "/etc/ssl", "/etc/hosts", "/etc", "/src/out", "/data/in", "/tmp",
				"/etc/ssl/certs", "/etc/alternatives/x", "/etc/localtime", "/usr", "/.landlock", "/opt", "/bin")
		}
		if !seen[g.At] {
			seen[g.At] = true
			a.Files = append(a.Files, g)
		}
	}
	slices.SortFunc(a.Files, func(a, b authority.Grant) int { return strings.Compare(a.At, b.At) })
	h = h.at(f, a)
	for _, own := range h.Private {
		e := f[own]
		e.Real = own
		h.Entries[own] = e
	}
	return a, h
}

func TestEveryPlanIsSound(t *testing.T) {
	refused := 0
	const n = 500
	for seed := range uint64(n) {
		if !sound(t, seed) {
			refused++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if refused > n*9/10 || refused == 0 {
		t.Errorf("%d of %d were refused: the cases are not worth much", refused, n)
	}
}

func FuzzFor(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { sound(t, seed) })
}

// sound checks one plan and reports whether there is one.
func sound(t *testing.T, seed uint64) bool {
	a, h := anything(seed)
	before, host := fmt.Sprintf("%+v", *a), fmt.Sprintf("%+v", h)
	p, err := For(a, h)
	q, again := For(a, h)
	if !reflect.DeepEqual(p, q) || fmt.Sprint(err) != fmt.Sprint(again) {
		t.Error("the same input gives two plans")
	}
	if before != fmt.Sprintf("%+v", *a) || host != fmt.Sprintf("%+v", h) {
		t.Error("For changed its input")
	}
	if err != nil {
		refusals(t, err)
		return false
	}
	if err := p.Table.Validate(table.Shared); err != nil {
		t.Errorf("the table: %v", err)
	}
	if a.Clocks == (p.Namespaces&AllNamespaces == p.Namespaces) {
		t.Errorf("namespaces %v", p.Namespaces)
	}
	c := execute(p)
	for _, b := range c.bad {
		t.Error(b)
	}
	descriptorsLeft(t, c, p)
	privileges(t, c, p, h)
	shownAsGranted(t, c, p, a, h)
	if p.IDs.HostUID == 0 || p.IDs.HostGID == 0 {
		t.Errorf("the command is the host's root: %+v", p.IDs)
	}
	return true
}

func refusals(t *testing.T, err error) {
	var r Refused
	if !errors.As(err, &r) || len(r) == 0 {
		t.Errorf("no refusal: %v", err)
	}
	seen := map[Refusal]bool{}
	for _, x := range r {
		text := x.Error()
		if strings.Contains(text, "bug") || strings.Contains(text, "%!") || strings.Contains(text, "\n") || strings.HasSuffix(text, ".") || strings.Contains(text, "  ") || x.Text == "" {
			t.Errorf("a refusal that does not read well: %q", text)
		}
		if seen[x] {
			t.Errorf("said twice: %q", text)
		}
		seen[x] = true
	}
}

func descriptorsLeft(t *testing.T, c *child, p *Plan) {
	want := []int{0, 1, 2, 3}
	for _, n := range []int{p.Held.Changes, p.Held.Terminal} {
		if n >= 0 {
			want = append(want, n)
		}
	}
	slices.Sort(want)
	if got := c.left(); !slices.Equal(got, want) {
		t.Errorf("PID 1 gets descriptors %v, want %v", got, want)
	}
	if p.Boot.Terminal && (p.Held.Terminal < 0 || c.fds[0].what != c.fds[2].what || strings.HasPrefix(c.fds[0].what, "<")) {
		t.Errorf("the terminal is not on 0 to 2: %v", c.fds)
	}
	if overlaid := p.Work.Mode == authority.Overlay || p.Work.Mode == authority.Empty; overlaid != (p.Held.Changes >= 0) {
		t.Errorf("the changes are held at %d in mode %s", p.Held.Changes, p.Work.Mode)
	}
}

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
