package learn

import (
	"math/rand/v2"
	"strings"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/analyze"
	"cellos.io/cellos/sysabi"
)

func recorder(t *testing.T, a *sysabi.Arch) *Recorder {
	t.Helper()
	r, err := New(a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func extended(t *testing.T, rules []seccomp.Rule) *seccomp.Policy {
	t.Helper()
	p, err := seccomp.Profile("strict")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range rules {
		p = p.WithRule(x)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRules(t *testing.T) {
	a, _ := sysabi.ArchByName("amd64")
	r := recorder(t, a)
	see := func(name string, verdict seccomp.Action, args ...uint64) {
		nr, ok := a.Number(name)
		if !ok {
			t.Fatal(name)
		}
		d := seccomp.Data{NR: uint32(nr), Arch: a.Audit()}
		copy(d.Args[:], args)
		r.Add(7, d, verdict)
	}
	see("execve", seccomp.Allow, 1, 2, 3) // the start, twice
	see("execve", seccomp.Allow, 4, 2, 3)
	see("read", seccomp.Allow, 3)
	see("socket", seccomp.Allow, 2, 0x80001, 6)
	see("socket", seccomp.Allow, 2, 1, 6)
	see("socket", seccomp.Errno(sysabi.EAFNOSUPPORT), 40, 1, 0)
	see("clone", seccomp.Allow, 0x1200011)
	see("clone", seccomp.Allow, 0x10900)
	see("ioctl", seccomp.Allow, 1, 0x5401)
	see("ioctl", seccomp.Allow, 1, 0x5404)
	see("kill", seccomp.Allow, 5, 9)
	see("mount", seccomp.Errno(sysabi.EPERM))
	see("clone3", seccomp.Errno(sysabi.ENOSYS))
	see("prlimit64", seccomp.Allow, 99)
	r.Add(7, seccomp.Data{NR: 5000, Arch: a.Audit()}, seccomp.Errno(sysabi.ENOSYS))

	p := extended(t, r.Rules())
	if err := r.Check(p); err != nil {
		t.Error(err)
	}
	if !p.ExecOnce {
		t.Error("the start of the command counts as an execve")
	}
	verdict := func(name string, args ...uint64) seccomp.Action {
		nr, _ := a.Number(name)
		d := seccomp.Data{NR: uint32(nr), Arch: a.Audit()}
		copy(d.Args[:], args)
		return p.Verdict(a, d)
	}
	for _, c := range []struct {
		name string
		want seccomp.Action
		args []uint64
	}{
		{"socket", seccomp.Allow, []uint64{2, 1, 6}},
		{"socket", seccomp.Errno(sysabi.EPERM), []uint64{2, 2, 17}},
		{"socket", seccomp.Errno(sysabi.EPERM), []uint64{1, 1, 0}},
		{"clone", seccomp.Allow, []uint64{0x11}},
		{"clone", seccomp.Allow, []uint64{0x10900}},
		{"clone", seccomp.Errno(sysabi.EPERM), []uint64{0x10000000}},
		{"ioctl", seccomp.Allow, []uint64{1, 0x5404}},
		{"ioctl", seccomp.Allow, []uint64{1, 0x5413}},
		{"ioctl", seccomp.Errno(sysabi.ENOTTY), []uint64{1, 0x5405}},
		{"kill", seccomp.Allow, nil},
		{"mount", seccomp.Errno(sysabi.EPERM), nil}, // strict alone would end the process
		{"umount2", seccomp.KillProcess, nil},
		{"prlimit64", seccomp.Allow, []uint64{100}},
		{"connect", seccomp.Errno(sysabi.EPERM), nil},
	} {
		if got := verdict(c.name, c.args...); got != c.want {
			t.Errorf("%s%v: %v, want %v", c.name, c.args, got, c.want)
		}
	}
	uses := map[string]Use{}
	for _, u := range r.Uses() {
		uses[u.Call] = u
	}
	if u := uses["socket"]; u.Count != 3 || u.Verdict != Refused || len(u.Classes) != 2 || u.Classes[0] != (Class{"arg0 = 0x2, arg1 & 0xf = 0x1, arg2 = 0x6", 2, Added}) {
		t.Errorf("%+v", u)
	}
	if _, ok := uses["execve"]; ok || uses["read"].Verdict != Allowed || len(uses["read"].Classes) != 0 {
		t.Errorf("%+v", uses)
	}
	see("execve", seccomp.Allow, 9, 2, 3)
	if p := extended(t, r.Rules()); p.ExecOnce || r.Check(p) != nil {
		t.Error("a second execve is not allowed")
	}
}

// TestNeverWiderThanHardened: whatever hardened let pass, the rules on top of strict allow it, and nothing that hardened refuses.
func TestNeverWiderThanHardened(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	hardened, err := seccomp.Profile("hardened")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range sysabi.Arches() {
		wall, err := seccomp.Compile(hardened, a)
		if err != nil {
			t.Fatal(err)
		}
		rounds := 20
		if testing.Short() {
			rounds = 4
		}
		for n := range rounds {
			r := recorder(t, a)
			for i := range uint64(maxClasses + 5) { // more classes than are kept
				nr, _ := a.Number([]string{"ioctl", "clone", "prctl", "socket"}[n%4])
				d := seccomp.Data{NR: uint32(nr), Arch: a.Audit(), Args: [6]uint64{i<<16 | i, 0x5400 + i, 0}}
				r.Add(1, d, hardened.Verdict(a, d))
			}
			for range 3000 {
				_, nr := a.At(rnd.IntN(a.Len()))
				d := seccomp.Data{NR: uint32(nr), Arch: a.Audit()}
				for i := range d.Args {
					d.Args[i] = []uint64{uint64(rnd.IntN(20)), 0x5400 + uint64(rnd.IntN(64)), 0x10900, 0x1200011, rnd.Uint64(), 0x8000, 0xffffffff}[rnd.IntN(7)]
				}
				r.Add(1, d, hardened.Verdict(a, d))
			}
			p := extended(t, r.Rules())
			if err := r.Check(p); err != nil {
				t.Error(err)
			}
			prog, err := seccomp.Compile(p, a)
			if err != nil {
				t.Fatal(err)
			}
			c, err := analyze.Compare(prog, wall, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range c.Differences {
				if d.Looser == "first" || d.Looser == "both" {
					if !strings.Contains(d.First, "errno") { // the error number of a refusal may differ
						t.Errorf("%v: %+v", a, d)
					}
				}
			}
		}
	}
}
