package table

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/secret"
	"cellos.io/cellos/sysabi"
)

const testBase = 0x7f0000001000

// reader reads a linked table the way the kernel would.
type reader struct {
	t   *testing.T
	mem []byte
}

func (r reader) at(addr uint64) []byte {
	r.t.Helper()
	if addr < testBase || addr-testBase > uint64(len(r.mem)) || addr%8 != 0 {
		r.t.Fatalf("address %#x is not in the image", addr)
	}
	return r.mem[addr-testBase:]
}

func (r reader) text(addr uint64) string {
	r.t.Helper()
	if addr < testBase || addr-testBase > uint64(len(r.mem)) {
		r.t.Fatalf("address %#x is not in the image", addr)
	}
	b := r.mem[addr-testBase:]
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	r.t.Fatalf("string %q without an end", b)
	return ""
}

func (r reader) strings(addr uint64) []string {
	r.t.Helper()
	var v []string
	for p := r.at(addr); ; p = p[8:] {
		a := binary.LittleEndian.Uint64(p)
		if a == 0 {
			return v
		}
		v = append(v, r.text(a))
	}
}

func TestLink(t *testing.T) {
	steps := Table{
		{Name: "all numbers", Call: "mount", Args: []Arg{Num(1), Flags(2, "x"), FD(-100), Handed("a"), Null(), Num(math.MaxUint64)}, Tolerate: []sysabi.Errno{sysabi.EEXIST, sysabi.EROFS, 4095, 1}, Want: Exactly(7)},
		{Name: "all pointers", Call: "setsid", Args: []Arg{Path("/path"), Struct([]byte{1, 2, 3}, ""), Strings([]string{"x", "", "long string"}), Filter([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, ""), Strings(nil), Path("")}},
	}
	for arch, numbers := range map[string][2]uint64{"amd64": {165, 112}, "arm64": {40, 157}} {
		a, ok := sysabi.ArchByName(arch)
		if !ok {
			t.Fatal(arch)
		}
		mem := make([]byte, steps.Size())
		handed := func(name string) (int, bool) { return 66, name == "a" }
		if n := testing.AllocsPerRun(10, func() {
			if err := steps.Link(mem, testBase, a, handed); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
		word := func(i, off int) uint64 { return binary.LittleEndian.Uint64(mem[i*RecordSize+off:]) }
		args := func(i int) (v [6]uint64) {
			for j := range v {
				v[j] = word(i, OffsetArgs+8*j)
			}
			return v
		}
		if n := [2]uint64{word(0, OffsetNumber), word(1, OffsetNumber)}; n != numbers {
			t.Errorf("%s: numbers %v", arch, n)
		}
		if v := args(0); v != [6]uint64{1, 2, math.MaxUint64 - 99, 66, 0, math.MaxUint64} {
			t.Errorf("arguments %v", v)
		}
		if w, tol := word(0, OffsetWant), word(0, OffsetTolerate); w != 7 || tol != 17|30<<16|4095<<32|1<<48 {
			t.Errorf("want %d, tolerate %#x", w, tol)
		}
		if w, tol := word(1, OffsetWant), word(1, OffsetTolerate); w != math.MaxUint64 || tol != 0 {
			t.Errorf("want %d, tolerate %#x", w, tol)
		}
		r, v := reader{t, mem}, args(1)
		if s := r.text(v[0]); s != "/path" {
			t.Errorf("path %q", s)
		}
		if b := r.at(v[1])[:4]; !reflect.DeepEqual(b, []byte{1, 2, 3, 0}) {
			t.Errorf("struct %v", b)
		}
		if s := r.strings(v[2]); !reflect.DeepEqual(s, []string{"x", "", "long string"}) {
			t.Errorf("strings %q", s)
		}
		prog := r.at(v[3])
		if n := binary.LittleEndian.Uint16(prog); n != 2 {
			t.Errorf("%d instructions", n)
		}
		if b := r.at(binary.LittleEndian.Uint64(prog[8:]))[:16]; b[0] != 1 || b[15] != 16 {
			t.Errorf("filter %v", b)
		}
		if s := r.strings(v[4]); s != nil {
			t.Errorf("strings %q", s)
		}
		if s := r.text(v[5]); s != "" {
			t.Errorf("path %q", s)
		}
	}
}

// TestSecretStrings: variables behind the strings are linked as they are, and print as [secret].
func TestSecretStrings(t *testing.T) {
	v, gone := secret.FromString("hunter2"), secret.FromString("wiped")
	arg := Strings([]string{"A=1"}).With([]secret.Variable{{Name: "B", Value: v}, {Name: "C", Value: gone}, {Name: "D", Value: secret.Value{}}})
	steps := Table{{Name: "x", Call: "setsid", Args: []Arg{arg}}}
	mem := make([]byte, steps.Size())
	gone.Wipe() // between the two: no more than its place is written
	a, _ := sysabi.ArchByName("amd64")
	if err := steps.Link(mem, testBase, a, nil); err != nil {
		t.Fatal(err)
	}
	at := func(addr uint64) string {
		s := mem[addr-testBase:]
		return string(s[:bytes.IndexByte(s, 0)])
	}
	list := binary.LittleEndian.Uint64(mem[OffsetArgs:]) - testBase
	var got []string
	for i := list; ; i += 8 {
		p := binary.LittleEndian.Uint64(mem[i:])
		if p == 0 {
			break
		}
		got = append(got, at(p))
	}
	if want := []string{"A=1", "B=hunter2", "C=", "D="}; !slices.Equal(got, want) {
		t.Errorf("linked %q, want %q", got, want)
	}
	if s := steps.String(); strings.Contains(s, "hunter2") || !strings.Contains(s, `["A=1", "B=[secret]", "C=[secret]", "D=[secret]"]`) {
		t.Errorf("printed %s", s)
	}
}

func TestLinkRefuses(t *testing.T) {
	arm, _ := sysabi.ArchByName("arm64")
	none := func(string) (int, bool) { return 0, false }
	for _, c := range []struct {
		steps Table
		size  int
		want  string
	}{
		{Table{step("arch_prctl")}, 1000, `step 1 (step): this architecture has no system call "arch_prctl"`},
		{Table{step("setsid"), step("chdir", Handed("b"))}, 1000, `step 2 (step): no descriptor "b" was handed over`},
		{Table{step("chdir", Path("12345678"))}, RecordSize + 8, "linking a table of 88 bytes into 80"},
	} {
		if err := c.steps.Link(make([]byte, c.size), testBase, arm, none); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
