package seccomp

import (
	"testing"

	"cellos.io/cellos/sysabi"
)

func BenchmarkCompile(b *testing.B) {
	a, _ := sysabi.ArchByName("amd64")
	for _, name := range []string{"baseline", "hardened", "hardened+net-none", "strict"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := Profile(name)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := Compile(p, a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProfileBytes(b *testing.B) {
	a, _ := sysabi.ArchByName("amd64")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ProfileBytes("hardened", a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	p := make(Program, MaxInstructions)
	for i := range p {
		p[i] = Instruction{Code: opJEQ, K: uint32(i)}
	}
	p[len(p)-1] = Instruction{Code: opRet, K: uint32(Allow)}
	for b.Loop() {
		if err := p.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	a, _ := sysabi.ArchByName("amd64")
	raw, err := ProfileBytes("hardened", a)
	if err != nil {
		b.Fatal(err)
	}
	p, err := ParseProgram(raw)
	if err != nil {
		b.Fatal(err)
	}
	nr, _ := a.Number("socket")
	d := Data{NR: uint32(nr), Arch: a.Audit(), Args: [6]uint64{2, 1, 6}}
	for b.Loop() {
		if o, err := p.Run(d); err != nil || o.Action != Allow {
			b.Fatal(o, err)
		}
	}
}

func TestEmbeddedProgramsCostNothing(t *testing.T) {
	a, _ := sysabi.ArchByName("amd64")
	if n := testing.AllocsPerRun(100, func() { Embedded("hardened", a) }); n != 0 {
		t.Errorf("Embedded allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ProfileBytes("hardened", a); err != nil {
			t.Error(err)
		}
	}); n > 1 {
		t.Errorf("ProfileBytes allocates %v times", n)
	}
}
