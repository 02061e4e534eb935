package table

import (
	"bytes"
	"encoding/binary"
	"errors"

	"cellos.io/cellos/sysabi"
)

// A table travels to where another kernel executes it. There it is read under an emulated processor, where a start waits for it: three
// hundred steps as JSON objects took longer than their execution, and the same bytes as a text of a JSON object half as long. So it is a list
// of numbers (varint) and of texts with their lengths, on its own:
//
//	table   count, steps
//	step    name, layer, call, count, arguments, count, tolerated errors, 0 or the exact result and 1
//	arg     kind, number, then by kind: a text; bytes; or a count and texts
//
// The texts of numbers, which only print, stay behind.

// MarshalBinary writes the table so that UnmarshalBinary makes one of it that does the same. Its error is nil.
func (t Table) MarshalBinary() ([]byte, error) {
	return t.appendWire(make([]byte, 0, 96*len(t)+8)), nil
}

func (t Table) appendWire(b []byte) []byte {
	number := func(n uint64) { b = binary.AppendUvarint(b, n) }
	text := func(s string) { number(uint64(len(s))); b = append(b, s...) }
	number(uint64(len(t)))
	for _, s := range t {
		text(s.Name)
		text(s.Layer)
		text(s.Call)
		number(uint64(len(s.Args)))
		for _, a := range s.Args {
			b = append(b, byte(a.kind))
			number(a.n)
			switch a.kind {
			case kindPath, kindHanded:
				text(a.text)
			case kindStruct, kindFilter:
				text(string(a.b))
			case kindStrings:
				number(uint64(len(a.v)))
				for _, v := range a.v {
					text(v)
				}
			}
		}
		number(uint64(len(s.Tolerate)))
		for _, e := range s.Tolerate {
			number(uint64(e))
		}
		if !s.Want.set {
			number(0)
		} else {
			number(uint64(s.Want.n) + 1)
		}
	}
	return b
}

var errWire = errors.New("a table that ends in the middle")

// UnmarshalBinary reads what MarshalBinary wrote. What it accepts need not be valid: see Validate.
func (t *Table) UnmarshalBinary(b []byte) error {
	r := wireReader{b: bytes.Clone(b), s: string(b)}
	list := make(Table, r.count())
	for i := range list {
		list[i] = r.step()
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = errors.New("something follows the table")
	}
	if r.err != nil {
		return r.err
	}
	*t = list
	return nil
}

// A wireReader reads to the first error, from which on everything is zero.
type wireReader struct {
	b    []byte
	s    string // all of it: texts are parts of one
	args []Arg  // room for arguments
	err  error
}

func (r *wireReader) number() uint64 {
	n, k := binary.Uvarint(r.b)
	if k <= 0 {
		r.b, r.err = nil, errWire
		return 0
	}
	r.b = r.b[k:]
	return n
}

// count is a number of things of which each takes a byte at least.
func (r *wireReader) count() int {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.b, r.err = nil, errWire
		return 0
	}
	return int(n)
}

func (r *wireReader) bytes() []byte {
	n := r.count()
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *wireReader) text() string {
	n := r.count()
	at := len(r.s) - len(r.b)
	if r.err != nil {
		return ""
	}
	r.b = r.b[n:]
	return r.s[at : at+n]
}

func (r *wireReader) step() Step {
	s := Step{Name: r.text(), Layer: r.text(), Call: r.text()}
	if n := r.count(); n > 0 {
		if n > len(r.args) {
			r.args = make([]Arg, max(n, 128))
		}
		s.Args, r.args = r.args[:n:n], r.args[n:]
	}
	for i := range s.Args {
		s.Args[i] = r.arg()
	}
	if n := r.count(); n > 0 {
		s.Tolerate = make([]sysabi.Errno, n)
	}
	for i := range s.Tolerate {
		s.Tolerate[i] = sysabi.Errno(r.number())
	}
	if n := r.number(); n > 0 {
		s.Want = Exactly(int(n - 1))
	}
	return s
}

func (r *wireReader) arg() Arg {
	if len(r.b) == 0 || r.b[0] > byte(kindNull) {
		r.b, r.err = nil, errors.New("an argument of an unknown kind")
		return Arg{}
	}
	a := Arg{kind: kind(r.b[0])}
	r.b = r.b[1:]
	a.n = r.number()
	switch a.kind {
	case kindPath, kindHanded:
		a.text = r.text()
	case kindStruct, kindFilter:
		a.b = r.bytes()
	case kindStrings:
		n := r.count()
		for range n {
			a.v = append(a.v, r.text())
		}
	}
	return a
}
