package table

import (
	"bytes"
	"testing"

	"cellos.io/cellos/sysabi"
)

// What arrives links to the same bytes as what was sent: it does the same.
func TestWire(t *testing.T) {
	sent := Table{
		{Name: "placing <" + ExecPipe + ">", Layer: "fds", Call: "dup3", Args: []Arg{Handed(ExecPipe), FD(5), Flags(1<<19, "O_CLOEXEC")}, Want: Exactly(5)},
		{Name: "a path that is not UTF-8", Call: "mkdirat", Args: []Arg{FD(ATFDCWD), Path("/a\xff\xfe"), Num(7)}, Tolerate: []sysabi.Errno{sysabi.EEXIST}},
		{Name: "filter", Call: "seccomp", Args: []Arg{Num(1), Num(0), Filter(make([]byte, 16), "{2}")}},
		{Name: "exec", Call: "execve", Args: []Arg{Path("/x"), Strings([]string{"", "\xff", "b"}), Null()}},
	}
	b, err := sent.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var got Table
	if err := got.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	arch, _ := sysabi.ArchByName("amd64")
	link := func(x Table) []byte {
		mem := make([]byte, x.Size())
		if err := x.Link(mem, 4096, arch, func(string) (int, bool) { return 70, true }); err != nil {
			t.Fatal(err)
		}
		return mem
	}
	if !bytes.Equal(link(sent), link(got)) {
		t.Error("the table does something else after it travelled")
	}
	for i, s := range got {
		if s.Name != sent[i].Name || s.Layer != sent[i].Layer {
			t.Errorf("step %d arrives as %q in %q", i, s.Name, s.Layer)
		}
	}
}

// Whatever comes in place of a table is read or refused, and what is read travels again.
func FuzzWire(f *testing.F) {
	b, err := Table{{Name: "n", Layer: "l", Call: "execve", Args: []Arg{Path("/x"), Strings([]string{"a"}), Null()}, Tolerate: []sysabi.Errno{sysabi.EPERM}, Want: Exactly(3)}}.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")) // more steps than bytes
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var x, y Table
		if x.UnmarshalBinary(b) != nil {
			return
		}
		again, err := x.MarshalBinary()
		if err == nil {
			err = y.UnmarshalBinary(again)
		}
		if err != nil || !bytes.Equal(x.appendWire(nil), y.appendWire(nil)) {
			t.Errorf("%q is another table when it travels again: %v", b, err)
		}
	})
}
