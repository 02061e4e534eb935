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
