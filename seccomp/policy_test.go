package seccomp

import (
	"math/rand/v2"
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
)

// randomPolicy makes a policy with a few calls under random conditions of every form.
func randomPolicy(r *rand.Rand) *Policy {
	actions := []Action{Allow, KillProcess, Errno(sysabi.EPERM), Errno(sysabi.ENOSYS), Log, Trap}
	action := func() Action { return actions[r.IntN(len(actions))] }
	value := func(w Width) uint64 {
		v := []uint64{uint64(r.IntN(6)), 1 << r.IntN(64), ^uint64(0) >> r.IntN(64), r.Uint64(), 1<<32 + uint64(r.IntN(3)) - 1}[r.IntN(5)]
		return v & w.max()
	}
	cond := func() Cond {
		w := []Width{Bits32, Bits64}[r.IntN(2)]
		arg := r.IntN(3)
		a, b := value(w), value(w)
		mask := value(w) | 1
		switch r.IntN(9) {
		case 0:
			return Is(arg, w, a)
		case 1:
			return Not(arg, w, a)
		case 2:
			return In(arg, w, a, b, value(w), value(w), value(w), value(w), value(w), value(w), value(w), value(w))
		case 3:
			return Masked(arg, w, mask, a&mask, b&mask)
		case 4:
			return AnyBit(arg, w, mask)
		case 5:
			return NoBit(arg, w, mask)
		case 6:
			return Between(arg, w, min(a, b), max(a, b))
		case 7:
			return BetweenSigned(arg, Bits64, -int64(a>>1), int64(b>>1))
		}
		return AtLeast(arg, w, a)
	}
	p := &Policy{Default: action(), X32: action(), Foreign: KillProcess}
	names := []string{"read", "write", "openat", "mmap", "ioctl", "socket", "clone", "prctl", "fcntl", "futex"}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for len(names) > 0 {
		n := 1 + r.IntN(min(2, len(names)))
		rule := Rule{Names: names[:n], Else: action()}
		names = names[n:]
		for range r.IntN(5) {
			c := Case{Then: action()}
			for range 1 + r.IntN(3) {
				c.All = append(c.All, cond())
			}
			rule.Cases = append(rule.Cases, c)
		}
		p.Rules = append(p.Rules, rule)
	}
	return p
}

// TestRandomPolicies: the compiler, the interpreter and the policy's own evaluator are three implementations that must agree.
func TestRandomPolicies(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	arches := sysabi.Arches()
	n := 1500
	if testing.Short() {
		n = 300
	}
	longest := 0
	for i := range n {
		p, a := randomPolicy(r), arches[i%len(arches)]
		prog, err := Compile(p, a)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, len(prog))
		if err := prog.Check(); err != nil {
			t.Fatal(err)
		}
		for _, rule := range p.Rules {
			nr, _ := a.Number(rule.Names[0])
			var values [3][]uint64
			for arg := range values {
				values[arg] = interesting(rule, arg)
			}
			for range 200 {
				d := Data{NR: uint32(nr), Arch: a.Audit(), IP: r.Uint64()}
				for arg := range values {
					d.Args[arg] = values[arg][r.IntN(len(values[arg]))]
				}
				o, err := prog.Run(d)
				if want := p.Verdict(a, d); err != nil || o.Action != want {
					t.Fatalf("%s(%#x): %v %v, want %v\n%+v\n%s", rule.Names[0], d.Args, o.Action, err, want, rule, prog.Disassemble(a))
				}
			}
		}
	}
	t.Logf("the longest of %d programs has %d instructions", n, longest)
}

// TestLongPrograms: jumps farther than 255 instructions, and the limit of 4096.
func TestLongPrograms(t *testing.T) {
	a, _ := sysabi.ArchByName("amd64")
	r := rand.New(rand.NewPCG(11, 12))
	policy := func(values, calls int) *Policy {
		p := &Policy{Default: Errno(sysabi.ENOSYS)}
		for i := range calls {
			name, _ := a.At(i * (a.Len() / calls))
			rule := Rule{Names: []string{name}, Else: Errno(sysabi.Errno(1 + i%100))}
			for range 3 {
				v := make([]uint64, values)
				for k := range v {
					v[k] = r.Uint64() >> r.IntN(60)
				}
				rule.Cases = append(rule.Cases, Case{All: []Cond{In(r.IntN(2), Bits64, v...)}, Then: Allow})
			}
			p.Rules = append(p.Rules, rule)
		}
		return p
	}
	p := policy(20, 12)
	prog, err := Compile(p, a)
	if err != nil {
		t.Fatal(err)
	}
	if len(prog) < 600 {
		t.Errorf("only %d instructions: nothing is far", len(prog))
	}
	agree(t, p, a, prog)
	if _, err := Compile(policy(700, 12), a); err == nil || !strings.Contains(err.Error(), "more than 4096 instructions") {
		t.Errorf("a policy for too many values: %v", err)
	}
	far := 0
	for _, i := range prog {
		if i.Code == opJump {
			far++
		}
	}
	if far == 0 {
		t.Error("no long jump was needed")
	}
}

func TestValidate(t *testing.T) {
	p := &Policy{Default: 0x12340000, Rules: []Rule{
		{Names: []string{"reed"}, Else: Allow},
		{Names: []string{"read"}, Else: Allow},
		{Names: []string{"read", "write", "write"}, Else: Log},
		{Else: Allow},
		{Names: []string{"socket"}, Else: Allow, Cases: []Case{
			{All: []Cond{Is(6, Bits32, 0)}, Then: Log},
			{All: []Cond{{Arg: 0, In: []Span{{1, 1}}}}, Then: Log},
			{All: []Cond{{Arg: 0, Width: Bits32, In: []Span{{5, 1}}}}, Then: Log},
			{All: []Cond{Is(0, Bits32, 1<<32)}, Then: Log},
			{All: []Cond{Masked(0, Bits32, 0xf, 0x10)}, Then: Log},
			{All: []Cond{Is(1, Bits32, 1)}, Then: Log},
			{All: []Cond{Is(1, Bits32, 1)}, Then: Allow},
			{Then: Log},
			{All: []Cond{{Arg: 0, Width: Bits32}}, Then: Log},
		}},
	}}
	err := p.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`the kernel knows no action 0x12340000`,
		`rules[0]: no system call is called "reed"`,
		`rules[2]: contradicts rules[1], which also decides on read`,
		`rules[2]: names "write" twice`,
		`rules[3]: names no system call`,
		`rules[4].cases[0].all[0]: there is no argument 6`,
		`rules[4].cases[1].all[0]: argument 0: the width is missing`,
		`rules[4].cases[2].all[0]: argument 0: the range from 0x5 to 0x1 is upside down`,
		`rules[4].cases[3].all[0]: argument 0: 0x100000000 does not fit 32 bits`,
		`rules[4].cases[4].all[0]: argument 0: 0x10 has bits outside the mask 0xf`,
		`rules[4].cases[6]: contradicts cases[5]: the same conditions, but allow and not log`,
		`rules[4].cases[7]: has no condition`,
		`rules[4].cases[8].all[0]: argument 0: no value can satisfy`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	a, _ := sysabi.ArchByName("amd64")
	if _, err := Compile(p, a); err == nil || !strings.Contains(err.Error(), "reed") {
		t.Errorf("compiling it: %v", err)
	}
}

func TestActions(t *testing.T) {
	for _, c := range []struct {
		a    Action
		text string
	}{
		{Allow, "allow"}, {Log, "log"}, {KillProcess, "kill_process"}, {KillThread, "kill_thread"}, {Trap, "trap"}, {Trap | 7, "trap 7"},
		{Notify, "notify"}, {Trace | 0x10, "trace 16"}, {Errno(1), "errno EPERM"}, {Errno(97), "errno EAFNOSUPPORT"}, {Errno(0), "errno 0"},
		{Errno(599), "errno 599"}, {Errno(4095), "errno 4095"},
	} {
		if c.a.String() != c.text {
			t.Errorf("%#x is %q, want %q", uint32(c.a), c.a.String(), c.text)
		}
		if a, err := ParseAction(c.text); err != nil || a != c.a {
			t.Errorf("%q is %#x, %v", c.text, uint32(a), err)
		}
	}
	for _, bad := range []string{"", "Allow", "errno", "errno EFOO", "errno 4096", "errno -1", "trap x", "kill", "errno  EPERM"} {
		if a, err := ParseAction(bad); err == nil {
			t.Errorf("%q is %v", bad, a)
		}
	}
	order := []Action{KillProcess, KillThread, Trap, Errno(1), Notify, Trace, Log, Allow}
	for i := range order {
		for j := range order {
			if order[i].Stricter(order[j]) != (i < j) {
				t.Errorf("%v stricter than %v: %v", order[i], order[j], i >= j)
			}
		}
	}
}

func TestCheckStack(t *testing.T) {
	one := Program{{Code: opRet, K: uint32(Allow)}}
	many := make([]Program, 3641)
	for i := range many {
		many[i] = one
	}
	if err := CheckStack(many...); err != nil {
		t.Error(err)
	}
	if err := CheckStack(append(many, one)...); err == nil || !strings.Contains(err.Error(), "32768") {
		t.Errorf("%v", err)
	}
}
