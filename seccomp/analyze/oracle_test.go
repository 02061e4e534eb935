package analyze

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

func arch(t testing.TB, name string) *sysabi.Arch {
	t.Helper()
	a, ok := sysabi.ArchByName(name)
	if !ok {
		t.Fatal(name)
	}
	return a
}

// domain is a reduced input: every combination of these words is evaluated.
func domain(a *sysabi.Arch) []seccomp.Data {
	var all []seccomp.Data
	for _, arch := range []uint32{a.Audit(), sysabi.AUDIT_ARCH_I386} {
		for _, nr := range []uint32{0, 1, 7, 0x40000001} {
			for _, a0 := range []uint64{0, 1, 2, 5, 8, 1 << 32, 1<<32 | 2, 0xffffffff} {
				for _, a1 := range []uint64{0, 3, 4, 1 << 33} {
					all = append(all, seccomp.Data{NR: nr, Arch: arch, Args: [6]uint64{a0, a1}})
				}
			}
		}
	}
	return all
}

// random makes a program that the kernel takes, over the words and the constants of domain. Only some have arithmetic.
func random(r *rand.Rand, arithmetic bool) seccomp.Program {
	words := []uint32{0, 4, 16, 20, 24, 28}
	small := func() uint32 {
		return []uint32{0, 1, 2, 3, 4, 5, 7, 8, 0xffffffff, 0x40000000, 0x40000001, 0xc000003e, 0x40000003}[r.IntN(13)]
	}
	actions := []seccomp.Action{seccomp.Allow, seccomp.Errno(1), seccomp.Errno(38), seccomp.KillProcess, seccomp.Log, seccomp.Trap, seccomp.KillThread}
	for {
		n := 2 + r.IntN(24)
		p := make(seccomp.Program, n)
		for pc := range p {
			left := n - pc - 1
			kinds := 5
			if arithmetic {
				kinds = 8
			}
			switch k := r.IntN(kinds); {
			case left == 0 || k == 4 && r.IntN(3) == 0:
				p[pc] = seccomp.Instruction{Code: 0x06, K: uint32(actions[r.IntN(len(actions))])}
				if arithmetic && r.IntN(6) == 0 {
					p[pc].Code = 0x16
				}
			case k == 0:
				p[pc] = seccomp.Instruction{Code: 0x20, K: words[r.IntN(len(words))]}
			case k == 1:
				p[pc] = seccomp.Instruction{Code: []uint16{0x54, 0x05, 0x05}[r.IntN(3)], K: small()}
				if p[pc].Code == 0x05 {
					p[pc].K = uint32(r.IntN(left))
				}
			case k < 5:
				code := []uint16{0x15, 0x25, 0x35, 0x45}[r.IntN(4)]
				if arithmetic && r.IntN(4) == 0 {
					code |= 0x08
				}
				p[pc] = seccomp.Instruction{Code: code, JT: uint8(r.IntN(left)), JF: uint8(r.IntN(left)), K: small()}
			default:
				code := []uint16{0x00, 0x01, 0x60, 0x61, 0x02, 0x03, 0x07, 0x87, 0x80, 0x81, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x34, 0x44, 0x4c, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0xa4, 0xac, 0x84, 0x3c, 0x2c}[r.IntN(28)]
				p[pc] = seccomp.Instruction{Code: code, K: small() & 31}
				if code&0x07 <= 3 && code != 0x00 && code != 0x01 {
					p[pc].K &= 3
				}
			}
		}
		if p.Check() == nil {
			return p
		}
	}
}

func count(t testing.TB, standard int) int {
	if n, err := strconv.Atoi(os.Getenv("CELLOS_SECCOMP_PROGRAMS")); err == nil {
		return n
	}
	if testing.Short() || raceEnabled {
		return standard / 10
	}
	return standard
}

// TestRandomProgramsAgainstEveryInput: the analysis, the comparison and the explanation are checked against running the programs on
// every input of the reduced domain.
func TestRandomProgramsAgainstEveryInput(t *testing.T) {
	a := arch(t, "amd64")
	inputs := domain(a)
	r := rand.New(rand.NewPCG(5, 6))
	n, left := count(t, 10000), 0
	var before seccomp.Program
	for i := range n {
		p := random(r, i%4 == 3)
		if r.IntN(3) == 0 && before != nil { // near relatives, so that some comparisons are close
			p = append(seccomp.Program(nil), before...)
			p[r.IntN(len(p))].K ^= 1
			if p.Check() != nil {
				p = before
			}
		}
		x, err := Program(p, a)
		if err != nil {
			t.Fatal(err)
		}
		if !x.Decided() {
			left++
		}
		var explained map[string]*Conditional
		var explanation *Explanation
		if i%10 == 0 && x.Decided() {
			explanation = x.Explain()
			explained = index(explanation)
		}
		for _, in := range inputs {
			want, err := p.Run(in)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := x.Verdict(in)
			if ok && got != want.Action || !ok && x.Decided() {
				t.Fatalf("%+v: %v %v, the program returns %v\n%s", in, got, ok, want.Action, p.Disassemble(a))
			}
			if explained != nil && in.Arch == a.Audit() {
				if s := says(explanation, explained, a, in); s != "" && s != want.Action.String() {
					t.Fatalf("%+v: explained as %s, the program returns %v\n%s\n%s", in, s, want.Action, explanation, p.Disassemble(a))
				}
			}
		}
		if before != nil && i%4 != 3 {
			checkComparison(t, before, p, a, inputs)
		}
		before = p
	}
	if left > n/50 {
		t.Errorf("%d of %d programs are not decided", left, n)
	}
	t.Logf("%d programs, %d of them not decided", n, left)
}

func checkComparison(t *testing.T, p, q seccomp.Program, a *sysabi.Arch, inputs []seccomp.Data) {
	t.Helper()
	c, err := Compare(p, q, a)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Decided {
		return
	}
	show := func() string { return p.Disassemble(a) + "\n" + q.Disassemble(a) + c.String() }
	if c.Equal != (len(c.Differences) == 0) {
		t.Fatalf("equal is %v with %d differences\n%s", c.Equal, len(c.Differences), show())
	}
	first, second := true, true // as the witnesses have it
	for _, d := range c.Differences {
		x, err := p.Run(d.Witness)
		if err != nil {
			t.Fatal(err)
		}
		y, err := q.Run(d.Witness)
		if err != nil {
			t.Fatal(err)
		}
		if x.Action == y.Action || x.Action.String() != d.First || y.Action.String() != d.Second {
			t.Fatalf("witness %+v is none: %v and %v\n%s", d, x.Action, y.Action, show())
		}
		first = first && d.Looser != "first" && d.Looser != "both"
		second = second && d.Looser != "second" && d.Looser != "both"
	}
	if first != c.FirstAtLeastAsStrict || second != c.SecondAtLeastAsStrict {
		t.Fatalf("the differences say %v and %v\n%s", first, second, show())
	}
	for _, in := range inputs {
		x, _ := p.Run(in)
		y, _ := q.Run(in)
		switch {
		case x.Action != y.Action && c.Equal,
			y.Action.Stricter(x.Action) && c.FirstAtLeastAsStrict,
			x.Action.Stricter(y.Action) && c.SecondAtLeastAsStrict:
			t.Fatalf("%+v: %v and %v\n%s", in, x.Action, y.Action, show())
		}
	}
}

// index makes the explanation searchable: action and call to its conditions.
func index(e *Explanation) map[string]*Conditional {
	m := map[string]*Conditional{}
	for _, g := range e.Actions {
		for _, c := range g.Calls {
			m[g.Action+"/"+c] = &Conditional{Any: []All{{}}}
		}
		for i := range g.Conditional {
			m[g.Action+"/"+g.Conditional[i].Call] = &g.Conditional[i]
		}
	}
	return m
}

// says evaluates the explanation for a call with a name, and returns the action, or "" if it is not written out for it. Two actions
// for one input come back together.
func says(e *Explanation, m map[string]*Conditional, a *sysabi.Arch, in seccomp.Data) string {
	name, ok := a.Name(int(in.NR))
	if !ok {
		return ""
	}
	var got []string
	partial := false
	for _, g := range e.Actions {
		c := m[g.Action+"/"+name]
		if c == nil {
			continue
		}
		partial = partial || c.More
		for _, all := range c.Any {
			holds := true
			for _, cond := range all {
				partial = partial || cond.Set.More
				v := in.IP
				if i := strings.TrimPrefix(cond.Input, "arg"); i != cond.Input {
					n, _ := strconv.Atoi(i)
					v = in.Args[n]
				}
				holds = holds && contains(cond.Set, v)
			}
			if holds {
				got = append(got, g.Action)
			}
		}
	}
	if partial && len(got) == 0 {
		return ""
	}
	if len(got) != 1 {
		return "all of [" + strings.Join(got, " ") + "]"
	}
	return got[0]
}

func contains(s Set, v uint64) bool {
	if s.Bits == 32 {
		v &= 0xffffffff
	}
	in := false
	for _, r := range s.Ranges {
		in = in || r.From <= v && v <= r.To
	}
	for _, c := range s.Cubes {
		in = in || v&c.Mask == c.Value
	}
	return in != s.Not
}
