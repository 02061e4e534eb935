package analyze

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"cellos.io/cellos/seccomp"
)

// hostile returns programs of 4,096 instructions that are meant to be hard.
func hostile() map[string]seccomp.Program {
	r := rand.New(rand.NewPCG(7, 8))
	make := func(f func(i int) seccomp.Instruction) seccomp.Program {
		p := seccomp.Program{}
		for i := range seccomp.MaxInstructions - 1 {
			p = append(p, f(i))
		}
		p = append(p, seccomp.Instruction{Code: 0x06, K: uint32(seccomp.Allow)})
		for i := range p {
			left := len(p) - i - 1
			if p[i].Code&0x07 == 5 && int(p[i].JT) >= left {
				p[i].JT = 0
			}
			if p[i].Code&0x07 == 5 && int(p[i].JF) >= left {
				p[i].JF = 0
			}
		}
		return p
	}
	load := func() seccomp.Instruction { return seccomp.Instruction{Code: 0x20, K: uint32(r.IntN(16) * 4)} }
	test := func(code uint16, far int) seccomp.Instruction {
		return seccomp.Instruction{Code: code, K: r.Uint32(), JT: uint8(r.IntN(far)), JF: uint8(r.IntN(far))}
	}
	alternate := func(f ...func() seccomp.Instruction) func(i int) seccomp.Instruction {
		return func(i int) seccomp.Instruction { return f[i%len(f)]() }
	}
	codes := []uint16{0x20, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x44, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0xa4, 0xac, 0x84, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x07, 0x87}
	return map[string]seccomp.Program{
		"one number after the other": make(func(i int) seccomp.Instruction {
			if i == 0 {
				return seccomp.Instruction{Code: 0x20}
			}
			return seccomp.Instruction{Code: 0x15, K: uint32(7 * i), JT: uint8(i % 200)}
		}),
		"2^1000 paths": make(alternate(load, func() seccomp.Instruction { return test(0x15, 2) })),
		"far jumps":    make(alternate(load, func() seccomp.Instruction { return test(0x15, 255) })),
		"masks":        make(alternate(load, func() seccomp.Instruction { return test(0x45, 255) })),
		"orders":       make(alternate(load, func() seccomp.Instruction { return test(0x35, 3) })),
		"masks of number": make(func(i int) seccomp.Instruction {
			if i == 0 {
				return seccomp.Instruction{Code: 0x20}
			}
			return test(0x45, 40)
		}),
		"products": make(alternate(load, func() seccomp.Instruction { return seccomp.Instruction{Code: 0x24, K: r.Uint32()} }, func() seccomp.Instruction { return test(0x35, 3) })),
		"products of arguments": make(alternate(load, func() seccomp.Instruction { return seccomp.Instruction{Code: 0x07} }, load,
			func() seccomp.Instruction { return seccomp.Instruction{Code: 0x2c} }, func() seccomp.Instruction { return test(0x35, 3) })),
		"sums": make(alternate(load, func() seccomp.Instruction { return seccomp.Instruction{Code: 0x0c} },
			func() seccomp.Instruction { return seccomp.Instruction{Code: 0x07} }, func() seccomp.Instruction { return test(0x15, 2) })),
		"everything": make(func(int) seccomp.Instruction {
			i := test(codes[r.IntN(len(codes))], 9)
			i.K = uint32(r.IntN(16) * 4)
			if i.Code == 0x64 || i.Code == 0x74 {
				i.K %= 32
			}
			return i
		}),
		"returns": make(func(i int) seccomp.Instruction {
			switch {
			case i == 0:
				return seccomp.Instruction{Code: 0x20}
			case i%2 == 1:
				return seccomp.Instruction{Code: 0x25, K: uint32(i) << 18, JF: 1}
			}
			return seccomp.Instruction{Code: 0x06, K: uint32(i)<<16 | uint32(i)}
		}),
	}
}

// TestHostilePrograms: any program of 4,096 instructions is explained, linted and compared in 1 s and 256 MiB. The test allows
// 4 s, for machines that do other things, and the race detector 30.
func TestHostilePrograms(t *testing.T) {
	a := arch(t, "amd64")
	limit := 4 * time.Second
	if raceEnabled {
		limit = 30 * time.Second
	}
	other := hostile()["everything"]
	for name, p := range hostile() {
		if raceEnabled && name != "everything" && name != "orders" {
			continue // the detector makes these ten times as slow and finds nothing in one goroutine
		}
		if err := p.Check(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for what, f := range map[string]func(){
			"explain": func() {
				x, _ := Program(p, a)
				e := x.Explain()
				for range 50 { // what is said must be right
					in := seccomp.Data{NR: rand.Uint32() % 500, Arch: a.Audit(), Args: [6]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64()}}
					o, err := p.Run(in)
					if got, ok := x.Verdict(in); err != nil || ok && got != o.Action {
						t.Errorf("%s: %+v: %v, the program returns %v %v", name, in, got, o.Action, err)
					}
				}
				_ = e.String()
			},
			"lint":  func() { x, _ := Program(p, a); x.Lint() },
			"costs": func() { x, _ := Program(p, a); x.Costs() },
			"compare": func() {
				if _, err := Compare(p, other, a); err != nil {
					t.Error(err)
				}
			},
		} {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := spent()
			f()
			took := spent() - start
			runtime.ReadMemStats(&after)
			if took > limit {
				t.Errorf("%s: %s takes %v", name, what, took)
			}
			// Everything allocated, freed or not, is more than what was ever in use.
			if m := after.TotalAlloc - before.TotalAlloc; m > 1<<30 || after.HeapAlloc > 256<<20 {
				t.Errorf("%s: %s allocates %d MiB, %d MiB in use", name, what, m>>20, after.HeapAlloc>>20)
			}
			t.Logf("%-28s %-8s %8v %4d MiB allocated", name, what, took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>20)
		}
	}
}
