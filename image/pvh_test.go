package image

import (
	"encoding/binary"
	"os"
	"testing"
)

// A note is found wherever it stands, and no length leads out of the notes.
func TestHasNote(t *testing.T) {
	note := func(name string, kind uint32, desc string) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(name)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
		b = binary.LittleEndian.AppendUint32(b, kind)
		for _, s := range []string{name, desc} {
			b = append(b, s...)
			b = append(b, make([]byte, -len(s)&3)...)
		}
		return b
	}
	xen := note("Xen\x00", 18, "\x00\x00\x00\x01")
	for name, x := range map[string]struct {
		b    []byte
		want bool
	}{
		"alone":            {xen, true},
		"behind others":    {append(note("GNU\x00", 3, "12345"), xen...), true},
		"of another type":  {note("Xen\x00", 1, "x"), false},
		"of another name":  {note("GNU\x00", 18, "x"), false},
		"none":             {nil, false},
		"cut":              {xen[:14], false},
		"an endless name":  {append(binary.LittleEndian.AppendUint32(nil, 1<<31-1), make([]byte, 20)...), false},
		"an endless value": {append([]byte{4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, make([]byte, 20)...), false},
	} {
		if got := hasNote(x.b, binary.LittleEndian, "Xen\x00", 18); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	// A program of this machine is no kernel.
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if PVH(exe) == nil {
		t.Error("this test could be booted")
	}
}
