package table

import (
	"encoding/binary"
	"fmt"

	"cellos.io/cellos/secret"
)

// A linked table is an array of records, one a step, followed by what their pointers point to:
//
//	offset  size  field
//	     0     8  number of the system call
//	     8    48  six arguments
//	    56     8  the only accepted result, or all ones for any
//	    64     8  four tolerated errors of 16 bits, the first in the lowest; zero ends the list
//
// All fields are little-endian, as both architectures are. Pointers are addresses: base plus the offset in the image.
const (
	RecordSize       = 72
	OffsetNumber     = 0
	OffsetArgs       = 8
	OffsetWant       = 56
	OffsetTolerate   = 64
	maxArgs          = 6
	maxTolerate      = 4
	wantAny          = ^uint64(0)
	sockFilterSize   = 8  // struct sock_filter
	sockFprogSize    = 16 // struct sock_fprog on 64-bit: u16 len, padding, pointer
	maxFilterProgram = 4096 * sockFilterSize
)

// Numbers tells the number of a system call. A *sysabi.Arch is one.
type Numbers interface {
	Number(name string) (n int, ok bool)
}

// Size returns the length in bytes of the linked table. It is a multiple of 8.
func (t Table) Size() int {
	size := len(t) * RecordSize
	for _, s := range t {
		for _, a := range s.Args {
			size += a.size()
		}
	}
	return size
}

func (a Arg) size() int {
	switch a.kind {
	case kindPath:
		return align8(len(a.text) + 1)
	case kindStruct:
		return align8(len(a.b))
	case kindFilter:
		return sockFprogSize + align8(len(a.b))
	case kindStrings:
		n := 0
		for _, s := range a.v {
			n += len(s) + 1
		}
		for _, v := range a.with {
			n += len(v.Name) + 1 + v.Value.Len() + 1
		}
		return 8*(len(a.v)+len(a.with)+1) + align8(n)
	}
	return 0
}

func align8(n int) int { return (n + 7) &^ 7 }

// Link writes the table to dst, which has at least Size zeroed bytes and will be at the address base, a multiple of 8, in
// the child. handed returns the number in the child of a handed descriptor.
//
// It allocates nothing unless it fails. It fails for a system call that the architecture does not have, and for a
// descriptor that handed does not know. The table must have passed Validate.
func (t Table) Link(dst []byte, base uint64, numbers Numbers, handed func(name string) (fd int, ok bool)) error {
	if size := t.Size(); len(dst) < size {
		return fmt.Errorf("linking a table of %d bytes into %d", size, len(dst))
	}
	l := linker{dst: dst, base: base, off: len(t) * RecordSize}
	for i := range t {
		s := &t[i]
		n, ok := numbers.Number(s.Call)
		if !ok {
			return fmt.Errorf("step %d (%s): this architecture has no system call %q", i+1, s.Name, s.Call)
		}
		r := dst[i*RecordSize:][:RecordSize]
		binary.LittleEndian.PutUint64(r[OffsetNumber:], uint64(n))
		for j, a := range s.Args {
			v := a.n
			switch a.kind {
			case kindHanded:
				fd, ok := handed(a.text)
				if !ok {
					return fmt.Errorf("step %d (%s): no descriptor %q was handed over", i+1, s.Name, a.text)
				}
				v = uint64(fd)
			case kindPath:
				v = l.text(a.text)
			case kindStruct:
				v = l.bytes(a.b)
			case kindStrings:
				v = l.array(a.v, a.with)
			case kindFilter:
				v = l.filter(a.b)
			}
			binary.LittleEndian.PutUint64(r[OffsetArgs+8*j:], v)
		}
		want := wantAny
		if s.Want.set {
			want = uint64(s.Want.n)
		}
		binary.LittleEndian.PutUint64(r[OffsetWant:], want)
		for j, e := range s.Tolerate {
			binary.LittleEndian.PutUint16(r[OffsetTolerate+2*j:], uint16(e))
		}
	}
	return nil
}

// linker appends the data of pointer arguments behind the records. Every piece begins at a multiple of 8.
type linker struct {
	dst  []byte
	base uint64
	off  int
}

func (l *linker) take(n int) (addr uint64, dst []byte) {
	addr, dst = l.base+uint64(l.off), l.dst[l.off:][:n]
	l.off += align8(n)
	return addr, dst
}

func (l *linker) text(s string) uint64 {
	addr, dst := l.take(len(s) + 1)
	copy(dst, s)
	dst[len(s)] = 0
	return addr
}

func (l *linker) bytes(b []byte) uint64 {
	addr, dst := l.take(len(b))
	copy(dst, b)
	return addr
}

func (l *linker) array(v []string, with []secret.Variable) uint64 {
	count := len(v) + len(with)
	addr, pointers := l.take(8 * (count + 1))
	n := 0
	for _, s := range v {
		n += len(s) + 1
	}
	for _, x := range with {
		n += len(x.Name) + 1 + x.Value.Len() + 1
	}
	at, text := l.take(n)
	n = 0
	for i, s := range v {
		binary.LittleEndian.PutUint64(pointers[8*i:], at+uint64(n))
		n += copy(text[n:], s)
		text[n] = 0
		n++
	}
	for i, x := range with {
		binary.LittleEndian.PutUint64(pointers[8*(len(v)+i):], at+uint64(n))
		n += variable(text[n:], x)
	}
	binary.LittleEndian.PutUint64(pointers[8*count:], 0)
	return addr
}

// variable writes NAME=value and a NUL, and returns their length. A value that was wiped meanwhile is empty.
func variable(dst []byte, x secret.Variable) int {
	n := copy(dst, x.Name)
	n += copy(dst[n:], "=")
	n += len(x.Value.AppendTo(dst[n:n:len(dst)])) // the room is there: nothing is allocated
	dst[n] = 0
	return n + 1
}

func (l *linker) filter(b []byte) uint64 {
	addr, head := l.take(sockFprogSize)
	binary.LittleEndian.PutUint64(head, uint64(len(b)/sockFilterSize))
	binary.LittleEndian.PutUint64(head[8:], l.bytes(b))
	return addr
}
