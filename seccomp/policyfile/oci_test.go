package policyfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/analyze"
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

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lines writes an OCI policy for testdata/libseccomp.c.
func lines(t *testing.T, text []byte) string {
	var f oci
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	r := ociReader{}
	var b strings.Builder
	fmt.Fprintf(&b, "default %x\n", uint32(r.action("", f.DefaultAction, f.DefaultErrnoRet)))
	ops := map[string]int{"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}
	for _, c := range f.Syscalls {
		for _, n := range c.Names {
			fmt.Fprintf(&b, "%s %x", n, uint32(r.action("", c.Action, c.ErrnoRet)))
			for _, a := range c.Args {
				fmt.Fprintf(&b, " %d %d %x %x", a.Index, ops[strings.TrimPrefix(a.Op, "SCMP_CMP_")], a.Value, a.ValueTwo)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

const plainPolicy = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
	{"names": ["ptrace", "mount"], "action": "SCMP_ACT_ERRNO"},
	{"names": ["personality"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 0, "value": 262144, "valueTwo": 262144, "op": "SCMP_CMP_MASKED_EQ"}]},
	{"names": ["mmap"], "action": "SCMP_ACT_ERRNO", "errnoRet": 12, "args": [{"index": 1, "value": 4294967296, "op": "SCMP_CMP_GE"}, {"index": 2, "value": 7, "op": "SCMP_CMP_EQ"}]},
	{"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 25, "args": [{"index": 1, "value": 21522, "op": "SCMP_CMP_EQ"}]},
	{"names": ["socket"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_GT"}, {"index": 1, "value": 4, "op": "SCMP_CMP_LE"}]}]}`

// TestLibseccompAgrees: what we compile of a policy is the same function as what libseccomp makes of it, proven by the analysis for
// every input, on the numbers that libseccomp 2.5.4 knows.
func TestLibseccompAgrees(t *testing.T) {
	amd64 := arch(t, "amd64")
	docker := read(t, "testdata/docker-default.json")
	var tool string
	if gcc, err := exec.LookPath("gcc"); err == nil {
		tool = filepath.Join(t.TempDir(), "libseccomp")
		if out, err := exec.Command(gcc, "-o", tool, "testdata/libseccomp.c", "-lseccomp").CombinedOutput(); err != nil {
			t.Logf("the library is not tried, only its stored output: %.200s", out)
			tool = ""
		}
	}
	for _, c := range []struct {
		name   string
		policy []byte
		tree   bool
	}{{"docker", docker, false}, {"docker-tree", docker, true}, {"plain", []byte(plainPolicy), false}} {
		stored := filepath.Join("testdata", c.name+".bpf")
		programs := map[string][]byte{}
		if tool != "" {
			cmd := exec.Command(tool)
			if c.tree {
				cmd.Args = append(cmd.Args, "tree")
			}
			cmd.Stdin = strings.NewReader(lines(t, c.policy))
			var errors bytes.Buffer
			cmd.Stderr = &errors
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v: %s", c.name, err, errors.String())
			}
			programs["made now"] = out
			if os.Getenv("UPDATE_BPF") != "" {
				if err := os.WriteFile(stored, out, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		programs["stored"] = read(t, stored)
		p, _, err := ParseOCI(c.policy, OCIOptions{Whole: true})
		if err != nil {
			t.Fatal(err)
		}
		p.X32 = seccomp.KillProcess
		ours, err := seccomp.Compile(p, amd64)
		if err != nil {
			t.Fatal(err)
		}
		for what, raw := range programs {
			theirs, err := seccomp.ParseProgram(raw)
			if err != nil {
				t.Fatal(err)
			}
			cmp, err := analyze.Compare(ours, theirs, amd64)
			if err != nil {
				t.Fatal(err)
			}
			if !cmp.Decided {
				t.Errorf("%s, %s: not decided", c.name, what)
			}
			for _, d := range cmp.Differences {
				nr, named := amd64.Number(d.Call)
				switch {
				case named && (nr >= 450 || nr == 335 || nr == 336): // newer than the library
					continue
				case d.Call == "4294967295" && d.Second == p.Default.String(): // it exempts -1 from its x32 check
					continue
				}
				t.Errorf("%s, %s: %+v", c.name, what, d)
			}
			t.Logf("%s, %s: %d instructions, ours %d", c.name, what, len(theirs), len(ours))
		}
	}
}

func TestDockerProfile(t *testing.T) {
	p, notes, err := ParseOCI(read(t, "testdata/docker-default.json"), OCIOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(notes, "\n"); !strings.Contains(got, "SCMP_ARCH_X86: its calls stay refused") || len(notes) != 2 {
		t.Errorf("notes: %q", notes)
	}
	for _, a := range sysabi.Arches() {
		prog, err := seccomp.Compile(p, a)
		if err != nil {
			t.Fatal(err)
		}
		x, err := analyze.Program(prog, a)
		if err != nil {
			t.Fatal(err)
		}
		if !x.Decided() {
			t.Errorf("%v: not decided", a)
		}
		for i := range a.Len() {
			name, nr := a.At(i)
			for _, v := range []uint64{0, 1, 2, 8, 38, 39, 40, 41, 38 | 1<<32, 40 | 1<<63, 0x20008, 0x7e020000, 1 << 28, 17, ^uint64(0)} {
				d := seccomp.Data{NR: uint32(nr), Arch: a.Audit(), Args: [6]uint64{v}}
				want := p.Verdict(a, d)
				o, err := prog.Run(d)
				if err != nil {
					t.Fatal(err)
				}
				if got, ok := x.Verdict(d); !ok || got != want || o.Action != want {
					t.Errorf("%v: %s(%#x): program %v, analysis %v, policy %v", a, name, v, o.Action, got, want)
				}
			}
		}
	}
	// By the kernel's width, high bits do not get AF_ALG through.
	amd64 := arch(t, "amd64")
	nr, _ := amd64.Number("socket")
	if a := p.Verdict(amd64, seccomp.Data{NR: uint32(nr), Arch: amd64.Audit(), Args: [6]uint64{38 | 1<<32}}); a.Permits() {
		t.Error("AF_ALG with a high bit passes")
	}
}

func TestOCIErrors(t *testing.T) {
	for _, c := range []struct{ policy, want string }{
		{``, "EOF"},
		{`{"defaultAction": "ALLOW"}`, `defaultAction: "ALLOW" is no action`},
		{`{"defaultAction": "SCMP_ACT_ALLOW"} {}`, "something after it"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "archMap": []}`, "archMap"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000}`, "error number 5000 is above 4095"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG"}]}`, "syscalls[0]: names no system call"},
		{entry(`{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}`), "syscalls[0].args[0]: there is no argument 6"},
		{entry(`{"index": 0, "value": 1, "op": "EQ"}`), `"EQ" is no operator`},
		{entry(`{"index": 0, "value": 0, "op": "SCMP_CMP_LT"}`), "no value is less than 0"},
		{entry(`{"index": 0, "value": 4294967295, "op": "SCMP_CMP_GT"}`), "no value of 32 bits is greater"},
		{entry(`{"index": 0, "value": 4294967296, "op": "SCMP_CMP_EQ"}`), "does not fit the 32 bits"},
		{entry(`{"index": 0, "value": 0, "op": "SCMP_CMP_MASKED_EQ"}`), "the mask is 0"},
		{entry(`{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}`), "can never match"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG"}, {"names": ["read"], "action": "SCMP_ACT_TRAP"}]}`,
			"syscalls[1]: contradicts an earlier entry: read gets log there and trap here"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
			{"names": ["socket"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_LE"}]}]}`, "for the same arguments"},
	} {
		_, _, err := ParseOCI([]byte(c.policy), OCIOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n%v, want %q", c.policy, err, c.want)
		}
	}
}

func entry(arg string) string {
	return `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [` + arg + `]}]}`
}

func TestOCIRoundTrip(t *testing.T) {
	p, _, err := ParseOCI([]byte(plainPolicy), OCIOptions{Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := ParseOCI(read(t, "testdata/docker-default.json"), OCIOptions{})
	if err != nil {
		t.Fatal(err)
	}
	amd64 := arch(t, "amd64")
	for _, p := range []*seccomp.Policy{p, q} {
		text, err := OCI(p, amd64)
		if err != nil && p == q && strings.Contains(err.Error(), "no word for the range") {
			continue // socket's families above 40 are a range of 32 bits
		}
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := ParseOCI(text, OCIOptions{Whole: true})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		same(t, amd64, p, back)
	}
	hardened, err := seccomp.Profile("hardened")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OCI(hardened, amd64); err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("hardened in OCI: %v", err)
	}
}

// same proves that two policies compile to the same function.
func same(t *testing.T, a *sysabi.Arch, p, q *seccomp.Policy) {
	t.Helper()
	x, err := seccomp.Compile(p, a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := seccomp.Compile(q, a)
	if err != nil {
		t.Fatal(err)
	}
	c, err := analyze.Compare(x, y, a)
	if err != nil || !c.Equal {
		t.Errorf("%v\n%v", err, c)
	}
}
