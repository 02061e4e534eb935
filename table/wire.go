package table

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"cellos.io/cellos/sysabi"
)

// A table travels to where another kernel executes it. There it is read under an emulated processor, where a start waits for it: three
// hundred steps as JSON objects took longer than their execution. So it is a list of numbers (varint) and of texts with their lengths:
//
//	table   count, steps
//	step    name, layer, call, count, arguments, count, tolerated errors, 0 or the exact result and 1
//	arg     kind, number, then by kind: a text; bytes; or a count and texts
//
// The texts of numbers, which only print, stay behind. In JSON the whole is a text in base64.

// MarshalJSON writes the table so that UnmarshalJSON makes one of it that does the same.
func (t Table) MarshalJSON() ([]byte, error) {
	b := t.appendWire(make([]byte, 0, 96*len(t)+8))
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(b))+2)
	return append(base64.StdEncoding.AppendEncode(append(out, '"'), b), '"'), nil
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

// UnmarshalJSON reads what MarshalJSON wrote. What it accepts need not be valid: see Validate.
func (t *Table) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = nil
		return nil
	}
	if len(b) < 2 || b[0] != '"' {
		return errors.New("a table that is no text")
	}
	raw, err := base64.StdEncoding.AppendDecode(nil, b[1:len(b)-1])
	if err != nil {
		return fmt.Errorf("a table: %w", err)
	}
	r := wireReader{b: raw}
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
	b   []byte
	err error
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

func (r *wireReader) step() Step {
	s := Step{Name: string(r.bytes()), Layer: string(r.bytes()), Call: string(r.bytes())}
	if n := r.count(); n > 0 {
		s.Args = make([]Arg, n)
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
		a.text = string(r.bytes())
	case kindStruct, kindFilter:
		a.b = r.bytes()
	case kindStrings:
		n := r.count()
		for range n {
			a.v = append(a.v, string(r.bytes()))
		}
	}
	return a
}
