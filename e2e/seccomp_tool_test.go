package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// seccomp runs cellos seccomp.
func (b *bench) seccomp(args ...string) result {
	b.t.Helper()
	return b.cellos(append([]string{"seccomp"}, args...)...)
}

func list(t *testing.T, text string) (out []map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("not a list of JSON objects: %v\n%s", err, text)
	}
	return out
}

func TestSeccompList(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		// The digests of the existing supervisor's own programs.
		for arch, want := range map[string]string{
			"amd64": "d9c68f84af64f75e455fc288ef2e8ccaea669c874337967e727d2ff6361438b4",
			"arm64": "1e9838130a2b8f8dd18521f3bc3052bf4f1fc436b3e308905069860991bcff2f",
		} {
			names := map[string]string{}
			for _, r := range list(t, b.seccomp("list", "--json", "--arch", arch).ok(t)) {
				names[r["name"].(string)] = r["sha256"].(string)
			}
			if len(names) != 12 || names["baseline"] != want || names["hardened"] == names["strict"] {
				t.Errorf("%s: %v", arch, names)
			}
			raw := b.seccomp("compile", "--arch", arch, "baseline").ok(t)
			if sum := sha256.Sum256([]byte(raw)); hex.EncodeToString(sum[:]) != want || len(raw) != 312 {
				t.Errorf("%s: the program has %d bytes and the digest %x", arch, len(raw), sum)
			}
		}
		if out := b.seccomp("list", "--arch", "riscv64").ok(t); strings.Contains(out, "baseline") || !strings.Contains(out, "hardened+net-none ") {
			t.Errorf("riscv64: %s", out)
		}
		b.seccomp("compile", "baseline", "--arch", "riscv64").fails(t, 2, "bundled baseline seccomp profile currently supports x86_64 and aarch64 only")
	})
}

// TestSeccompForms: every form of a program and of a policy means the same.
func TestSeccompForms(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		raw := b.seccomp("compile", "hardened").ok(t)
		b.seccomp("compile", "--output", "h.bpf", "hardened").ok(t)
		if got, err := os.ReadFile(filepath.Join(b.dir, "h.bpf")); err != nil || string(got) != raw {
			t.Errorf("--output: %v, %d bytes", err, len(got))
		}
		if out := b.seccomp("compile", "--format", "hex", "h.bpf").ok(t); out != hex.EncodeToString([]byte(raw))+"\n" {
			t.Errorf("hex: %q", out)
		}
		if out := b.seccomp("compile", "hardened", "--format=disasm").ok(t); out != b.seccomp("disasm", "h.bpf").ok(t) || strings.Count(out, "\n") != len(raw)/8 {
			t.Error("the two listings differ")
		}
		for _, form := range []string{"yaml", "json"} {
			text := b.seccomp("show", "--format", form, "hardened").ok(t)
			b.write("h."+form, text, 0o644)
			if out := b.seccomp("diff", "h."+form, "h.bpf").ok(t); out != "The programs are equal.\n" {
				t.Errorf("%s: %s", form, out)
			}
		}
		b.seccomp("show", "--format", "oci", "hardened").fails(t, 2, "the format has no word for that")
		b.write("p.yaml", ownPolicy, 0o644)
		b.write("p.json", b.seccomp("show", "--format", "oci", "p.yaml").ok(t), 0o644)
		if out := b.seccomp("diff", "p.yaml", "p.json").ok(t); out != "The programs are equal.\n" {
			t.Errorf("OCI: %s", out)
		}
		b.seccomp("show", "h.bpf").fails(t, 2, "is a program, whose policy nobody knows")
		listing := parsed(t, b.seccomp("disasm", "--json", "h.bpf").ok(t))
		if got := listing["listing"].([]any); len(got) != len(raw)/8 || got[0].(map[string]any)["text"] != "ld [4]" {
			t.Errorf("the listing has %d instructions", len(got))
		}
		cmd := b.command("seccomp", "check", "-")
		cmd.Stdin = strings.NewReader(raw)
		b.run(cmd).ok(t)

		// What gcc makes of the C form is the program.
		if _, err := exec.LookPath("gcc"); err != nil {
			t.Skip("gcc is not installed")
		}
		c := "#include <linux/filter.h>\n#include <unistd.h>\n" + b.seccomp("compile", "--format", "c", "hardened").ok(t) +
			"int main(void) { return write(1, filter, sizeof filter) != sizeof filter; }\n"
		b.write("f.c", c, 0o644)
		exe := filepath.Join(t.TempDir(), "f")
		if out, err := exec.Command("gcc", "-Wall", "-Werror", "-o", exe, filepath.Join(b.dir, "f.c")).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := exec.Command(exe).Output(); err != nil || !bytes.Equal(out, []byte(raw)) {
			t.Errorf("the C form makes other bytes: %v, %d", err, len(out))
		}
	})
}

func TestSeccompCheck(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.seccomp("check", "hardened", "hardened+net-none").ok(t)
		b.write("zero.bpf", strings.Repeat("\x00", 8), 0o600)
		b.write("denies.bpf", string(denies(t, "mount")), 0o600)
		r := b.seccomp("check", "baseline")
		if r.code != 1 || !strings.Contains(r.out, "error: x32-open: ") && machine(t).HasX32() || !strings.Contains(r.out, "warning: denylist: ") {
			t.Errorf("baseline: %d\n%s", r.code, r.out)
		}
		r = b.seccomp("check", "--json", "zero.bpf", "denies.bpf", "hardened")
		reports := list(t, r.out)
		if r.code != 1 || len(reports) != 3 || reports[0]["valid"] != false || !strings.Contains(reports[0]["error"].(string), "instruction 0 (ld #0)") || reports[2]["valid"] != true {
			t.Fatalf("%d, %v", r.code, reports)
		}
		ids := fmt.Sprint(reports[1]["findings"])
		for _, id := range []string{"arch-unchecked", "denylist", "sibling-gap", "baseline-gap"} {
			if !strings.Contains(ids, id) {
				t.Errorf("no finding %s in %s", id, ids)
			}
		}
		b.seccomp("check", "missing").fails(t, 2, `"missing" is neither a profile nor a file`)
		b.seccomp("check", "/dev/zero").fails(t, 2, "it is a device, not a regular file")
		b.seccomp("check").fails(t, 2, "a filter is missing")
		b.write("bad.yaml", "default: allow\nrules:\n  - calls: [frobnicate]\n    action: maybe\n", 0o644)
		b.seccomp("check", "bad.yaml").fails(t, 2, `bad.yaml: rules[0].action: `, `bad.yaml: rules[0]: no system call is called "frobnicate"`)
		b.seccomp("check", "--arch", "vax", "hardened").fails(t, 2, "--arch vax: the architectures are ")
		// A filter for another machine.
		other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[machine(t).String()]
		b.seccomp("compile", "--arch", other, "--output", "other.bpf", "hardened").ok(t)
		if r := b.seccomp("check", "other.bpf"); r.code != 1 || !strings.Contains(r.out, "error: arch-foreign: ") {
			t.Errorf("%d, %s", r.code, r.out)
		}
		b.seccomp("check", "--arch", other, "other.bpf").ok(t)
	})
}

func TestSeccompReason(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"hardened", "socket", "1", "1", "0"}, "allow"},
			{[]string{"hardened", "socket", "40"}, "errno EAFNOSUPPORT"}, // AF_VSOCK
			{[]string{"hardened", "socket", "0x100000001"}, "allow"},     // the kernel reads 32 bits
			{[]string{"hardened", "ioctl", "0", "0x5412"}, "errno EPERM"},
			{[]string{"hardened", "ioctl", "-1", "0xf00005412"}, "errno EPERM"},
			{[]string{"hardened", "clone3"}, "errno ENOSYS"},
			{[]string{"hardened", "999"}, "errno ENOSYS"},
			{[]string{"strict", "mount"}, "kill_process"},
			{[]string{"strict", "clone", "0x10900"}, "allow"},
			{[]string{"baseline", "mount"}, "errno EPERM"},
		} {
			v := parsed(t, b.seccomp(append([]string{"simulate", "--json"}, c.args...)...).ok(t))
			path := v["executed"].([]any)
			if v["action"] != c.want || path[len(path)-1] != v["decidedBy"] {
				t.Errorf("%v: %v", c.args, v)
			}
			text := b.seccomp(append([]string{"simulate"}, c.args...)...).ok(t)
			if first, _, _ := strings.Cut(text, "\n"); !strings.HasSuffix(first, ": "+c.want) {
				t.Errorf("%v: %s", c.args, first)
			}
		}
		b.seccomp("simulate", "hardened").fails(t, 2, "the system call is missing")
		b.seccomp("simulate", "hardened", "opn").fails(t, 2, `no system call is called "opn"`)
		b.seccomp("simulate", "hardened", "read", "x").fails(t, 2, `argument 0, "x": not a number`)
		b.seccomp("simulate", "hardened", "read", "1", "2", "3", "4", "5", "6", "7").fails(t, 2, "at most 6 arguments")

		out := b.seccomp("explain", "hardened").ok(t)
		for _, want := range []string{"socket if arg0 ", "\nerrno ENOSYS\n", "ptrace"} {
			if !strings.Contains(out, want) {
				t.Errorf("the explanation does not say %q", want)
			}
		}
		costs := parsed(t, b.seccomp("explain", "--json", "--costs", "hardened").ok(t))["costs"].([]any)
		cached := map[string]bool{}
		for _, c := range costs {
			c := c.(map[string]any)
			cached[c["call"].(string)] = c["cached"].(bool)
		}
		if !cached["read"] || cached["socket"] || cached["ptrace"] || len(cached) < 300 {
			t.Errorf("read, socket, ptrace cached: %v, %v, %v", cached["read"], cached["socket"], cached["ptrace"])
		}

		r := b.seccomp("diff", "hardened", "strict")
		if r.code != 1 || !strings.HasPrefix(r.out, "The second is at least as strict as the first.\n") || !strings.Contains(r.out, "  socket ") {
			t.Errorf("%d, %s", r.code, r.out)
		}
		b.seccomp("diff", "strict", "strict+net-none").ok(t)
		d := parsed(t, b.seccomp("diff", "--json", "hardened+debug", "hardened").out)
		if d["secondAtLeastAsStrict"] != true || d["firstAtLeastAsStrict"] != false || len(d["differences"].([]any)) != 5 { // ptrace, process_vm_*, kcmp, personality
			t.Errorf("%v", d)
		}
		b.seccomp("diff", "hardened").fails(t, 2, "2 filters are needed")
		b.seccomp("diff", "hardened", "strict", "x").fails(t, 2, `unexpected argument "x"`)
		b.seccomp("frobnicate").fails(t, 2, `unknown word "frobnicate"`)
		b.seccomp().fails(t, 2, "what to do is missing")
		b.seccomp("explain", "hardened", "--bogus").fails(t, 2, "unknown flag --bogus")
		if out := b.cellos("help", "seccomp").ok(t); out != b.seccomp("--help").ok(t) || out != b.seccomp("diff", "-h").ok(t) || !strings.Contains(out, "cellos seccomp simulate") {
			t.Error("the helps differ")
		}
		if out := b.cellos("completion", "bash").ok(t); !strings.Contains(out, `words="list show compile check disasm explain simulate diff`) {
			t.Error("the completion does not know the words")
		}
	})
}
