package seccomp

import (
	"math/rand/v2"
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
)

// TestWatch: the joined program hands over exactly what one of its parts refuses, and allows the rest; what the kernel could answer by
// itself it still can.
func TestWatch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, a := range sysabi.Arches() {
		var parts []Program
		names := []string{"hardened", "strict+debug", "hardened+net-none"}
		for _, name := range names {
			p, err := Profile(name)
			if err != nil {
				t.Fatal(err)
			}
			prog, err := Compile(p, a)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, prog)
		}
		// One that uses X and memory, refuses odd numbers above 1000, and needs A and X to be zero at its start.
		parts = append(parts, Program{{Code: opTXA}, {Code: opJEQ, JF: 7}, {Code: opLoad}, {Code: 0x07}, {Code: opTXA}, {Code: opJGT, JF: 2, K: 1000},
			{Code: opJSET, JF: 1, K: 1}, {Code: opRet, K: uint32(Errno(7))}, {Code: opRet, K: uint32(Allow)}, {Code: opRet, K: uint32(Errno(8))}})
		watch, err := Watch(parts...)
		if err != nil {
			t.Fatal(err)
		}
		deferred := make([]Program, len(parts))
		for i, p := range parts {
			if deferred[i], err = p.Deferred(); err != nil {
				t.Fatal(err)
			}
		}
		for range 200000 {
			d := Data{Arch: a.Audit(), NR: r.Uint32N(1100)}
			switch r.IntN(20) {
			case 0:
				d.Arch++
			case 1:
				d.NR = r.Uint32()
			}
			for i := range d.Args {
				if d.Args[i] = uint64(r.IntN(48)); r.IntN(4) == 0 {
					d.Args[i] = r.Uint64()
				}
			}
			verdict, by, err := Strictest(d, parts...)
			if err != nil {
				t.Fatal(err)
			}
			want := Notify
			if verdict == Allow {
				want = Allow
			} else if o, _ := parts[by].Run(d); o.Action != verdict {
				t.Fatalf("%+v: %v is not the verdict of part %d", d, verdict, by)
			}
			if got, err := watch.Run(d); err != nil || got.Action != want {
				t.Fatalf("%v: %+v: watching gives %v, %v; the parts %v", a, d, got.Action, err, verdict)
			}
			// Below a watching filter the deferred ones do not matter, and without one they still refuse.
			got, _, err := Strictest(d, append(deferred[:len(deferred):len(deferred)], watch)...)
			if err != nil || got != want && got != KillProcess || got == KillProcess && verdict != KillProcess {
				t.Fatalf("%v: %+v: the stack gives %v", a, d, got)
			}
			if alone, _, _ := Strictest(d, deferred...); (alone == Allow) != (verdict == Allow) {
				t.Fatalf("%v: %+v: without the watching filter %v", a, d, alone)
			}
		}
		two, err := Watch(parts[0], parts[2])
		if err != nil {
			t.Fatal(err)
		}
		for nr := range uint32(numbers) {
			if both := parts[0].ConstantAllow(nr, a.Audit()) && parts[2].ConstantAllow(nr, a.Audit()); both != two.ConstantAllow(nr, a.Audit()) {
				t.Errorf("%v: number %d is cached: %v", a, nr, !both)
			}
		}
	}
}

func TestWatchRefuses(t *testing.T) {
	for text, p := range map[string]Program{
		"the verdict is computed":             {{Code: opLoad}, {Code: opRetA}},
		"only allow, errno and kill_process":  {{Code: opRet, K: uint32(Log)}},
		"a division by zero":                  {{Code: 0x3c}, {Code: opRet, K: uint32(Allow)}},
		"the last instruction must be a ret":  {{Code: opLoad}},
		"a program of 4098 instructions; the": nil,
	} {
		list := []Program{p}
		if p == nil {
			long := make(Program, 2049)
			for i := range long {
				long[i] = Instruction{Code: opRet, K: uint32(Allow)}
			}
			list = []Program{long, append(Program{{Code: opLoad}}, long[1:]...)}
		} else if _, err := p.Deferred(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("Deferred: %v", err)
		}
		if _, err := Watch(list...); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("Watch: %v, not %q", err, text)
		}
	}
	if _, _, err := Strictest(Data{}); err == nil {
		t.Error("no program has a verdict")
	}
}

func TestArguments(t *testing.T) {
	p, err := Profile("hardened")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"socket": 3, "ioctl": 1, "read": 0, "nothing": 0} {
		if got := p.Arguments(name); len(got) != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
