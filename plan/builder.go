package plan

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// A builder appends steps and keeps account of the child's descriptors.
//
// No step may use the result of an earlier one, so every descriptor number is known beforehand: once close_range has
// closed all but the placed descriptors, the kernel gives out the lowest free number (POSIX; fs/file.c:alloc_fd). Each
// step that opens something demands the predicted number as its result.
type builder struct {
	steps table.Table
	layer string
	open  [2]uint64 // descriptors 0…127 in use
}

// in sets the layer that the following steps build.
func (b *builder) in(layer string) { b.layer = layer }

// do appends a step whose result does not matter as long as it is no error.
func (b *builder) do(name, call string, args ...table.Arg) *table.Step {
	b.steps = append(b.steps, table.Step{Name: oneLine(name), Layer: b.layer, Call: call, Args: args})
	return &b.steps[len(b.steps)-1]
}

// opens appends a step that opens a descriptor, and returns its number.
func (b *builder) opens(name, call string, args ...table.Arg) int {
	n := b.lowest()
	b.take(n)
	b.do(name, call, args...).Want = table.Exactly(n)
	return n
}

// place puts a descriptor that the parent hands over at a number of the child's.
func (b *builder) place(handed string, n int, flags uint64, text string) {
	b.take(n)
	b.do("placing <"+handed+">", "dup3",
		table.Handed(handed), table.FD(n), table.Flags(flags, text)).Want = table.Exactly(n)
}

func (b *builder) close(n int) {
	b.open[n/64] &^= 1 << (n % 64)
	b.do("closing a descriptor", "close", table.FD(n))
}

func (b *builder) take(n int) { b.open[n/64] |= 1 << (n % 64) }

func (b *builder) lowest() int {
	for i, w := range b.open {
		if w != ^uint64(0) {
			return i*64 + bits.TrailingZeros64(^w)
		}
	}
	panic("plan: more than 128 descriptors") // plans hold at most a dozen at once beyond the handed ones, which For bounds
}

// writeFile appends open, write, close. The descriptor at is a directory, or AT_FDCWD.
func (b *builder) writeFile(name string, at int, path string, flags uint64, flagText string, mode uint64, text []byte) {
	f := b.opens(name, "openat", table.FD(at), table.Path(path), table.Flags(flags|sysabi.O_CLOEXEC, flagText+"|O_CLOEXEC"),
		table.Flags(mode, fmt.Sprintf("0%o", mode)))
	b.do(name, "write", table.FD(f), table.Struct(text, quoted(text)), table.Num(uint64(len(text)))).Want = table.Exactly(len(text))
	b.close(f)
}

// quoted shows the text of a small file in a plan.
func quoted(b []byte) string {
	if len(b) > 48 {
		return fmt.Sprintf("%q…", b[:48])
	}
	return fmt.Sprintf("%q", b)
}

// oneLine makes a text that holds a path fit to be printed: what would break the line, or act on a terminal, is escaped as in Go.
// Different texts stay different.
func oneLine(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || !strconv.IsPrint(r) }) {
		return s
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// words lays out a C structure of unsigned 64-bit members.
func words(w ...uint64) []byte {
	b := make([]byte, 0, 8*len(w))
	for _, v := range w {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func mode(m uint32) table.Arg { return table.Flags(uint64(m), fmt.Sprintf("0%o", m)) }
