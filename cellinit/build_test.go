package cellinit

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSourceMakesTheseBytes builds the program with the compilers that made the embedded one.
func TestSourceMakesTheseBytes(t *testing.T) {
	recorded, err := os.ReadFile("src/compilers")
	if err != nil {
		t.Fatal(err)
	}
	versions := strings.Split(strings.TrimSpace(string(recorded)), "\n")
	if len(versions) != 2 {
		t.Fatalf("src/compilers has %d lines instead of one for each architecture", len(versions))
	}
	for _, v := range versions {
		name, _, _ := strings.Cut(v, " ")
		out, err := exec.Command(name, "--version").Output()
		if first, _, _ := strings.Cut(string(out), "\n"); err != nil || first != v {
			t.Skipf("the compiler %s is not installed", v)
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("./build.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		want, err := os.ReadFile(filepath.Join(dir, "init_"+arch+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Binary(arch); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the embedded program is not what the source makes; run build.sh (%v)", arch, err)
		}
	}
}

// TestProgramIsPlain looks at the embedded files: static, no memory both writable and executable, no data, small.
func TestProgramIsPlain(t *testing.T) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for arch, machine := range machines {
		b, err := Binary(arch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != machine || f.Type != elf.ET_EXEC || len(b) > 6144 {
			t.Errorf("%s: %v %v of %d bytes", arch, f.Machine, f.Type, len(b))
		}
		stack := false
		for _, p := range f.Progs {
			switch {
			case p.Type == elf.PT_GNU_STACK:
				stack = p.Flags&elf.PF_X == 0
			case p.Type != elf.PT_LOAD:
				t.Errorf("%s: a segment %v", arch, p.Type)
			case p.Flags&elf.PF_W != 0 && (p.Flags&elf.PF_X != 0 || p.Filesz != 0):
				t.Errorf("%s: a writable segment with %v and %d bytes of the file", arch, p.Flags, p.Filesz)
			}
		}
		if !stack {
			t.Errorf("%s: the stack is executable", arch)
		}
	}
	if _, err := Binary("riscv64"); err == nil || err.Error() != `there is no first process of a cell for "riscv64"; only for amd64 and arm64` {
		t.Errorf("got %v", err)
	}
}
