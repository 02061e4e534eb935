package table

import (
	"strconv"

	"cellos.io/cellos/secret"
)

// ExecPipe is the name of a descriptor that package spawn always hands over: the write end of a pipe, close-on-exec,
// whose end-of-file tells the parent that execve happened or the process ended. A table that closes descriptors with
// close_range must move it below the closed range first, to a number of its choice:
//
//	dup3(<exec>, 5, O_CLOEXEC)
//	close_range(6, 4294967295, 0)
//
// [Table.Validate] requires that. A table without a closing close_range needs no step for it.
const ExecPipe = "exec"

// FirstHanded is the lowest number that a handed descriptor has in the child. Targets of dup3 steps are below it, so one
// pass of dup3 steps can neither overwrite a source nor meet old == new (EINVAL).
//
// 64: the plan places 0, 1, 2, the two descriptors of PID 1, the pipe, and a handful of mount and ruleset descriptors.
const FirstHanded = 64

// ATFDCWD is AT_FDCWD of include/uapi/linux/fcntl.h: the working directory in place of a descriptor.
const ATFDCWD = -100

type kind uint8

const (
	kindNum kind = iota
	kindFlags
	kindFD
	kindHanded
	kindPath
	kindStruct
	kindStrings
	kindFilter
	kindNull
)

// Arg is one argument of a system call: a number, or a pointer together with what it points to. The zero value is Num(0).
type Arg struct {
	kind kind
	n    uint64
	text string            // flags, struct, filter: as printed; path: the string; handed: the name
	b    []byte            // struct, filter
	v    []string          // strings
	with []secret.Variable // strings: further ones, not to be seen
}

// Num is a number that prints in decimal.
func Num(n uint64) Arg { return Arg{kind: kindNum, n: n} }

// Flags is the number n, printed as text.
func Flags(n uint64, text string) Arg { return Arg{kind: kindFlags, n: n, text: text} }

// FD is a descriptor number in the child. [ATFDCWD] prints as AT_FDCWD.
func FD(n int) Arg { return Arg{kind: kindFD, n: uint64(int64(n))} }

// Handed is a descriptor that the parent hands over by name. Its number is at least [FirstHanded] and known only when the
// table is linked; it prints as <name>.
func Handed(name string) Arg { return Arg{kind: kindHanded, text: name} }

// Path is a pointer to s as a NUL-terminated string. It prints quoted, as Go does.
func Path(s string) Arg { return Arg{kind: kindPath, text: s} }

// Struct is a pointer to a copy of b, aligned to 8 bytes and printed as text. The caller may not change b afterwards.
func Struct(b []byte, text string) Arg { return Arg{kind: kindStruct, b: b, text: text} }

// Strings is a pointer to a NULL-terminated array of pointers to NUL-terminated strings, such as argv. It prints as
// ["a", "b"]. The caller may not change v afterwards.
func Strings(v []string) Arg { return Arg{kind: kindStrings, v: v} }

// With returns a, which Strings made, with variables behind its strings. Their values are not printed, and are read when the table is
// linked: they must not be wiped before.
func (a Arg) With(vars []secret.Variable) Arg {
	a.with = vars
	return a
}

// Filter is a pointer to a struct sock_fprog over prog, which is a program of classic BPF in the kernel's form: 8 bytes an
// instruction (struct sock_filter, include/uapi/linux/filter.h), 1 to 4096 of them. It prints as text.
func Filter(prog []byte, text string) Arg { return Arg{kind: kindFilter, b: prog, text: text} }

// Null is the null pointer. It prints as NULL.
func Null() Arg { return Arg{kind: kindNull} }

// String returns the argument as [Table.String] prints it.
func (a Arg) String() string { return string(a.appendText(nil)) }

func (a Arg) appendText(b []byte) []byte {
	switch a.kind {
	case kindFD:
		if int64(a.n) == ATFDCWD {
			return append(b, "AT_FDCWD"...)
		}
		return strconv.AppendInt(b, int64(a.n), 10)
	case kindHanded:
		return append(append(append(b, '<'), a.text...), '>')
	case kindPath:
		return strconv.AppendQuote(b, a.text)
	case kindFlags, kindStruct, kindFilter:
		return append(b, a.text...)
	case kindStrings:
		b = append(b, '[')
		for i, s := range a.v {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = strconv.AppendQuote(b, s)
		}
		for i, v := range a.with {
			if i > 0 || len(a.v) > 0 {
				b = append(b, ", "...)
			}
			b = strconv.AppendQuote(b, v.Name+"="+secret.Hidden)
		}
		return append(b, ']')
	case kindNull:
		return append(b, "NULL"...)
	}
	return strconv.AppendUint(b, a.n, 10)
}

// number returns the value of an argument that is a number known before linking.
func (a Arg) number() (uint64, bool) {
	switch a.kind {
	case kindNum, kindFlags, kindFD, kindNull:
		return a.n, true
	}
	return 0, false
}
