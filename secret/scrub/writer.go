package scrub

import (
	"bytes"
	"io"
	"runtime"

	"cellos.io/cellos/secret"
)

// A span is a piece of a text, by its offsets from the beginning of it.
type span struct{ from, to int64 }

// A scanner looks for values in a text that it gets byte by byte.
type scanner struct {
	f     *finder
	next  int64  // offset of the next byte
	found []span // in order; none touches another
	open  bool   // the last byte that was emitted belongs to a value
	stars bool   // each byte of a value becomes a star, so that the text keeps its length
	count int64  // of values that were emitted

	plain int32 // state
	coded int32
	at    []int64 // offsets of the bytes that coded stands for, and of some before
}

func (s *scanner) reset() { s.plain, s.coded, s.at = 0, 0, s.at[:0] }

// read takes what follows.
func (s *scanner) read(text []byte) {
	for _, b := range text {
		if s.plain|s.coded == 0 && s.f.idle[b] {
			s.next++
			continue
		}
		s.step(b)
	}
	runtime.KeepAlive(s.f) // its states are wiped when it is gone
}

// step takes one byte.
func (s *scanner) step(b byte) {
	s.next++
	s.plain = s.f.plain.step(s.plain, b)
	if n := s.f.plain.nodes[s.plain].match; n > 0 {
		s.add(span{s.next - int64(n), s.next})
	}
	if b == '\n' || b == '\r' {
		return // coded values are broken into lines
	}
	s.coded = s.f.coded.step(s.coded, b)
	if s.coded == 0 {
		s.at = s.at[:0]
		return
	}
	s.at = append(s.at, s.next-1)
	x := s.f.coded.nodes[s.coded]
	if n := x.match; n > 0 {
		s.add(span{s.at[len(s.at)-int(n)], s.next})
	}
	if len(s.at) >= 2*int(x.wait)+64 {
		s.at = s.at[:copy(s.at, s.at[len(s.at)-int(x.wait):])]
	}
}

// add notes a value. Of what it touches it becomes a part.
func (s *scanner) add(x span) {
	for n := len(s.found); n > 0 && s.found[n-1].to >= x.from; n-- {
		x.from = min(x.from, s.found[n-1].from)
		s.found = s.found[:n-1]
	}
	s.found = append(s.found, x)
}

// decided returns the offset before which it is known what belongs to a value: what comes later could only complete values that begin there or
// behind it.
func (s *scanner) decided() int64 {
	from := s.next - int64(s.f.plain.nodes[s.plain].wait)
	// At the end of a line fewer than four characters are no reason to wait for the next one, which may never come.
	if wait := int(s.f.coded.nodes[s.coded].wait); wait > 0 && (wait >= least || s.at[len(s.at)-1] == s.next-1) {
		from = min(from, s.at[len(s.at)-wait])
	}
	return from
}

// emit hands on the text before an offset; text ends at s.next. What belongs to a value becomes secret.Hidden, once for each.
func (s *scanner) emit(to func([]byte), text []byte, before int64) {
	at := s.next - int64(len(text)) // offset of the text's first byte
	for at < before {
		if len(s.found) == 0 || s.found[0].from >= before {
			to(text[len(text)-int(s.next-at) : len(text)-int(s.next-before)])
			s.open = false
			return
		}
		x := s.found[0]
		if at < x.from {
			to(text[len(text)-int(s.next-at) : len(text)-int(s.next-x.from)])
			s.open = false
		}
		at = max(at, x.from)
		if !s.open {
			s.count++
			if !s.stars {
				to([]byte(secret.Hidden))
			}
			s.open = true
		}
		if s.stars {
			to(bytes.Repeat([]byte{'*'}, int(min(x.to, before)-at)))
		}
		at = min(x.to, before)
		if x.to <= before {
			s.found = s.found[1:]
		}
	}
}

// A Writer passes on what is written to it, without the values. It keeps back only what may be the beginning of a value, until it is clear.
// Its methods must not be called concurrently.
type Writer struct {
	set  *Set
	to   io.Writer
	scan scanner
	held []byte // ends at scan.next
	out  []byte
}

// Writer returns a writer that passes on to w, without the values that are known at each call of its Write.
func (s *Set) Writer(w io.Writer) *Writer { return &Writer{set: s, to: w} }

// Masker is Writer for a text whose length was promised: it puts a star in place of each byte of a value.
func (s *Set) Masker(w io.Writer) *Writer { return &Writer{set: s, to: w, scan: scanner{stars: true}} }

// Write takes p, and passes on what is clear.
func (w *Writer) Write(p []byte) (int, error) {
	f := w.set.finder()
	if f == nil {
		return 0, errWiped
	}
	if f != w.scan.f {
		w.scan.f = f
		w.scan.reset()
		w.scan.next -= int64(len(w.held))
		w.scan.read(w.held)
	}
	w.scan.read(p)
	w.held = append(w.held, p...)
	if err := w.pass(w.scan.decided()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close passes on the rest. The beginning of a value that is cut off there is replaced too, from its fourth byte on. It does not close what it
// writes to.
func (w *Writer) Close() error {
	s := &w.scan
	if s.f == nil {
		return nil // nothing was written
	}
	if n := s.f.plain.nodes[s.plain].wait; n >= least {
		s.add(span{s.next - int64(n), s.next})
	}
	if n := int(s.f.coded.nodes[s.coded].wait); n >= least {
		s.add(span{s.at[len(s.at)-n], s.at[len(s.at)-1] + 1})
	}
	err := w.pass(s.next)
	clear(w.held[:cap(w.held)])
	clear(w.out[:cap(w.out)])
	return err
}

// pass passes on what lies before an offset.
func (w *Writer) pass(before int64) error {
	before = max(before, w.scan.next-int64(len(w.held))) // what was passed on before it was clear cannot be taken back
	w.out = w.out[:0]
	w.scan.emit(func(b []byte) { w.out = append(w.out, b...) }, w.held, before)
	w.set.replaced.Add(w.scan.count)
	w.scan.count = 0
	w.held = w.held[:copy(w.held, w.held[len(w.held)-int(w.scan.next-before):])]
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.to.Write(w.out)
	return err
}
