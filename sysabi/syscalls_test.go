package sysabi

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

// rows reads testdata/syscalls.tsv: the columns name, amd64, arm64, riscv64, 386, x32.
func rows(t *testing.T) [][]string {
	f, err := os.Open("testdata/syscalls.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); !strings.HasPrefix(line, "#") {
			all = append(all, strings.Split(line, "\t"))
		}
	}
	if len(all) != 387 {
		t.Fatalf("the table has %d names, want 387", len(all))
	}
	return all
}

func TestArchAgreesWithTable(t *testing.T) {
	for c, name := range []string{"amd64", "arm64", "riscv64"} {
		a, ok := ArchByName(name)
		if !ok {
			t.Fatalf("no architecture %s", name)
		}
		n := 0
		for _, r := range rows(t) {
			nr, ok := a.Number(r[0])
			if got := strconv.Itoa(nr); ok != (r[c+1] != "-") || ok && got != r[c+1] {
				t.Errorf("%s: %s is %s %v, want %s", name, r[0], got, ok, r[c+1])
			}
			if !ok {
				continue
			}
			n++
			if back, ok := a.Name(nr); !ok || back != r[0] {
				t.Errorf("%s: number %d is %q, want %s", name, nr, back, r[0])
			}
			if !KnownCall(r[0]) {
				t.Errorf("%s is not known", r[0])
			}
		}
		if n != a.Len() {
			t.Errorf("%s has %d calls, the table has %d", name, a.Len(), n)
		}
		for _, no := range []string{"", "a", "zzz", "reads", "READ"} {
			if nr, ok := a.Number(no); ok {
				t.Errorf("%s: %q is %d", name, no, nr)
			}
		}
		for _, no := range []int{-1, 1023, 65536, X32_SYSCALL_BIT, X32_SYSCALL_BIT + 1} {
			if s, ok := a.Name(no); ok {
				t.Errorf("%s: %d is %q", name, no, s)
			}
		}
	}
}

func TestTablesAreSortedBothWays(t *testing.T) {
	for _, a := range Arches() {
		for i := 1; i < a.Len(); i++ {
			if p, _ := a.At(i - 1); p >= a.calls.byName[i].name {
				t.Errorf("%v: %s before %s", a, p, a.calls.byName[i].name)
			}
			if p, q := a.calls.byNumber[i-1], a.calls.byNumber[i]; a.calls.byName[p].number >= a.calls.byName[q].number {
				t.Errorf("%v: number %d before %d", a, a.calls.byName[p].number, a.calls.byName[q].number)
			}
		}
	}
}

func TestArchNames(t *testing.T) {
	for _, c := range []struct {
		name, want string
		audit      uint32
	}{
		{"amd64", "amd64", 0xc000003e}, {"x86_64", "amd64", 0xc000003e},
		{"arm64", "arm64", 0xc00000b7}, {"aarch64", "arm64", 0xc00000b7},
		{"riscv64", "riscv64", 0xc00000f3},
	} {
		a, ok := ArchByName(c.name)
		if !ok || a.String() != c.want || a.Audit() != c.audit {
			t.Errorf("%s is %v, want %s", c.name, a, c.want)
		}
		if b, ok := ArchByAudit(c.audit); !ok || b != a {
			t.Errorf("%#x is %v", c.audit, b)
		}
	}
	for _, no := range []string{"", "386", "AMD64", "mips"} {
		if a, ok := ArchByName(no); ok {
			t.Errorf("%q is %v", no, a)
		}
	}
}

func TestX32Numbers(t *testing.T) {
	amd64, _ := ArchByName("amd64")
	arm64, _ := ArchByName("arm64")
	for name, want := range map[string]int{"ptrace": 521, "kexec_load": 528, "bpf": 321, "read": 0} {
		if nr, ok := amd64.X32Number(name); !ok || nr != want|X32_SYSCALL_BIT {
			t.Errorf("%s is %#x", name, nr)
		}
	}
	if nr, ok := arm64.X32Number("read"); ok {
		t.Errorf("arm64 has an x32 number: %#x", nr)
	}
}

func TestNumbersAllocateNothing(t *testing.T) {
	a, _ := ArchByName("amd64")
	if n := testing.AllocsPerRun(100, func() { a.Number("openat"); a.Name(257) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
