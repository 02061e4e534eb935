package seccomp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

// everyProfile lists each profile with each set of additions.
func everyProfile() []string {
	var all []string
	for _, p := range Profiles() {
		all = append(all, p, p+"+net-none", p+"+debug", p+"+net-none+debug")
	}
	return all
}

func forEachProfile(t *testing.T, f func(t *testing.T, name string, p *Policy, a *sysabi.Arch, prog Program)) {
	for _, name := range everyProfile() {
		for _, a := range sysabi.Arches() {
			p, err := Profile(name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "baseline" && a.String() == "riscv64" {
				continue
			}
			prog, err := Compile(p, a)
			if err != nil {
				t.Fatalf("%s for %v: %v", name, a, err)
			}
			t.Run(name+"/"+a.String(), func(t *testing.T) { f(t, name, p, a, prog) })
		}
	}
}

func TestBaselineIsTheReference(t *testing.T) {
	p, err := Profile("baseline")
	if err != nil {
		t.Fatal(err)
	}
	for arch, want := range map[string]string{
		"amd64": "d9c68f84af64f75e455fc288ef2e8ccaea669c874337967e727d2ff6361438b4",
		"arm64": "1e9838130a2b8f8dd18521f3bc3052bf4f1fc436b3e308905069860991bcff2f",
	} {
		a, _ := sysabi.ArchByName(arch)
		prog, err := Compile(p, a)
		if err != nil {
			t.Fatal(err)
		}
		if b := prog.Bytes(); len(b) != 312 {
			t.Errorf("%s: %d bytes, want 312", arch, len(b))
		} else if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: sha256 %x, want %s", arch, sum, want)
		}
	}
	riscv64, _ := sysabi.ArchByName("riscv64")
	if _, err := Compile(p, riscv64); err == nil || err.Error() != "bundled baseline seccomp profile currently supports x86_64 and aarch64 only" {
		t.Errorf("riscv64: %v", err)
	}
}

// interesting returns values around everything that a rule for the argument compares with, also with high bits set.
func interesting(r Rule, arg int) []uint64 {
	values := []uint64{0, 1, 0xffffffff, ^uint64(0)}
	for _, c := range r.Cases {
		for _, d := range c.All {
			if d.Arg != arg {
				continue
			}
			values = append(values, d.mask(), ^d.mask())
			for _, s := range d.In {
				values = append(values, s.Lo-1, s.Lo, s.Lo+1, s.Hi-1, s.Hi, s.Hi+1)
			}
			for bit := range 64 {
				if d.Mask>>bit&1 != 0 {
					values = append(values, 1<<bit)
				}
			}
		}
	}
	for _, v := range values {
		values = append(values, v|1<<32, v|1<<63, v&0xffffffff, v|0xffffffff<<32)
	}
	seen := map[uint64]bool{}
	out := values[:0]
	for _, v := range values {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// agree compares the program with the policy's own evaluator on every number and every interesting argument.
func agree(t *testing.T, p *Policy, a *sysabi.Arch, prog Program) {
	t.Helper()
	if err := prog.Check(); err != nil {
		t.Fatal(err)
	}
	bad := 0
	same := func(d Data) {
		got, err := prog.Run(d)
		if err != nil {
			t.Fatal(err)
		}
		if want := p.Verdict(a, d); got.Action != want && bad < 10 {
			bad++
			t.Errorf("nr %d arch %#x args %#x: %v, want %v", d.NR, d.Arch, d.Args, got.Action, want)
		}
	}
	archs := append(a.Foreign(), a.Audit(), 0, a.Audit()^1, 0xffffffff)
	for nr := uint32(0); nr < 1100; nr++ {
		for _, arch := range archs {
			for _, n := range []uint32{nr, nr | 0x40000000, nr | 0x80000000, ^nr} {
				same(Data{NR: n, Arch: arch})
			}
		}
		name, ok := a.Name(int(nr))
		if !ok {
			continue
		}
		r, ok := p.Rule(name)
		if !ok || len(r.Cases) == 0 {
			continue
		}
		used := []int{}
		for arg := range 6 {
			if len(interesting(r, arg)) > len(interesting(Rule{}, arg)) {
				used = append(used, arg)
			}
		}
		var fill func(d Data, used []int)
		fill = func(d Data, used []int) {
			if len(used) == 0 {
				same(d)
				return
			}
			for _, v := range interesting(r, used[0]) {
				d.Args[used[0]] = v
				fill(d, used[1:])
			}
		}
		for _, junk := range []uint64{0, ^uint64(0)} {
			d := Data{NR: nr, Arch: a.Audit(), IP: 0x7f0012345678}
			for i := range d.Args {
				d.Args[i] = junk
			}
			fill(d, used)
		}
	}
}

func TestProgramEqualsPolicy(t *testing.T) {
	forEachProfile(t, func(t *testing.T, _ string, p *Policy, a *sysabi.Arch, prog Program) {
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		agree(t, p, a, prog)
	})
}

func TestGolden(t *testing.T) {
	forEachProfile(t, func(t *testing.T, name string, _ *Policy, a *sysabi.Arch, prog Program) {
		if strings.Contains(name, "+") && a.String() != "amd64" {
			return // the additions change little; one architecture shows it
		}
		path := filepath.Join("testdata/golden", name+"."+a.String()+".txt")
		got := []byte(prog.Disassemble(a))
		if *update {
			if err := os.MkdirAll("testdata/golden", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("the program changed; review %s with go test -run Golden -update", path)
		}
	})
}

func TestSameBytesEveryTime(t *testing.T) {
	forEachProfile(t, func(t *testing.T, name string, p *Policy, a *sysabi.Arch, prog Program) {
		q, err := Profile(name)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Compile(q, a)
		if err != nil || !bytes.Equal(prog.Bytes(), again.Bytes()) {
			t.Errorf("two compilations differ (%v)", err)
		}
		b, err := ProfileBytes(name, a)
		if err != nil || !bytes.Equal(b, prog.Bytes()) {
			t.Errorf("ProfileBytes differs from the compiler (%v): run go generate", err)
		}
		if s, ok := Embedded(name, a); ok != (name == "hardened" || name == "hardened+net-none") || ok && s != string(b) {
			t.Errorf("embedded: %v", ok)
		}
		back, err := ParseProgram(b)
		if err != nil || !bytes.Equal(back.Bytes(), b) {
			t.Errorf("reading it back: %v", err)
		}
	})
}

func TestExecOnce(t *testing.T) {
	const path, argv, envp = 0x7f12_3456_7000, 0x7e00_0000_1008, 0x0000_0001_2345_6789
	base, err := Profile("strict")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range sysabi.Arches() {
		p := base.WithExecOnce(path, argv, envp)
		prog, err := Compile(p, a)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, p, a, prog)
		plain, err := Compile(base, a)
		if err != nil {
			t.Fatal(err)
		}
		if more := len(prog) - len(plain); more > 24 { // 12 for three 64-bit compares, the rest to single out two numbers
			t.Errorf("%v: the gate costs %d instructions", a, more)
		}
		nr, _ := a.Number("execve")
		at, _ := a.Number("execveat")
		for _, c := range []struct {
			nr   int
			args [6]uint64
			want Action
		}{
			{nr, [6]uint64{path, argv, envp}, Allow},
			{nr, [6]uint64{path + 1, argv, envp}, Errno(sysabi.EPERM)},
			{nr, [6]uint64{path, argv ^ 1<<40, envp}, Errno(sysabi.EPERM)},
			{nr, [6]uint64{path, argv, envp & 0xffffffff}, Errno(sysabi.EPERM)},
			{at, [6]uint64{path, argv, envp}, Errno(sysabi.EPERM)},
		} {
			o, err := prog.Run(Data{NR: uint32(c.nr), Arch: a.Audit(), Args: c.args})
			if err != nil || o.Action != c.want {
				t.Errorf("%v: %d %#x: %v %v, want %v", a, c.nr, c.args, o.Action, err, c.want)
			}
		}
	}
	if r, _ := base.Rule("execve"); r.Else != Allow || len(r.Cases) != 0 {
		t.Error("WithExecOnce changed the policy it was called on")
	}
}

func TestUnknownProfiles(t *testing.T) {
	for _, name := range []string{"", "off", "Hardened", "hardened+", "+debug", "hardened+net", "hardened+debug+debug", "strict++debug", "hardened debug"} {
		if p, err := Profile(name); err == nil {
			t.Errorf("%q is %+v", name, p.Name)
		} else if want := fmt.Sprintf("unknown seccomp profile %q", name); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFormats(t *testing.T) {
	prog := Program{{opLoad, 0, 0, offNR}, {opJEQ, 1, 0, 39}, {opRet, 0, 0, uint32(Allow)}, {opRet, 0, 0, uint32(Errno(1))}}
	a, _ := sysabi.ArchByName("amd64")
	for format, want := range map[string]string{
		"hex": "2000000000000000" + "1500010027000000" + "060000000000ff7f" + "0600000001000500\n",
		"c":   "\t{ 0x0015, 1, 0, 0x00000027 },   /* 1  jeq #39, 1, 0              = nr == getpid ? 3 : 2 */\n",
		"go":  "\t{0x0006, 0, 0, 0x00050001},     // 3  ret #0x00050001            = errno EPERM\n",
		"disasm": "   1  jeq #39, 1, 0              ; nr == getpid ? 3 : 2\n" +
			"   2  ret #0x7fff0000            ; allow\n",
		"raw": string(prog.Bytes()),
	} {
		if b, err := prog.Format(format, a); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s (%v):\n%s", format, err, b)
		}
	}
	if _, err := prog.Format("yaml", a); err == nil {
		t.Error("yaml is a format")
	}
}
