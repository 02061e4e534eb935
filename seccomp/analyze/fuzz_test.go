package analyze

import (
	"testing"

	"cellos.io/cellos/seccomp"
)

// FuzzAnalyze: what the analysis says about an input is what the program returns for it.
func FuzzAnalyze(f *testing.F) {
	a := arch(f, "amd64")
	for _, name := range []string{"baseline", "hardened", "strict"} {
		f.Add(compiled(f, profile(f, name), a).Bytes(), uint32(41), uint64(2), uint64(1))
	}
	for _, p := range hostile() {
		f.Add(p[:64].Bytes(), uint32(1), uint64(1<<33), uint64(7))
	}
	f.Fuzz(func(t *testing.T, raw []byte, nr uint32, x, y uint64) {
		p, err := seccomp.ParseProgram(raw)
		if err != nil || p.Check() != nil {
			return
		}
		an, err := Program(p, a)
		if err != nil {
			t.Fatal(err)
		}
		in := seccomp.Data{NR: nr, Arch: a.Audit(), IP: x ^ y, Args: [6]uint64{x, y, x + y, ^x, x << 7, y >> 3}}
		o, err := p.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := an.Verdict(in); ok && got != o.Action {
			t.Errorf("%+v: %v, the program returns %v\n%s", in, got, o.Action, p.Disassemble(a))
		}
		e, l := an.Explain(), an.Lint()
		if e.String() == "" || !an.Decided() && len(l) == 0 {
			t.Error("nothing is said")
		}
	})
}
