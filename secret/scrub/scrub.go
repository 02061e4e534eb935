// Package scrub takes secret values out of text by what they are, and not by where they stand: as they are and in the encodings in which
// they get into logs by accident.
//
//	var known scrub.Set
//	err := known.Add(value)           // before anybody gets the value
//	text = known.Text(text)           // of an event
//	w := known.Writer(os.Stdout)      // of an output, written piece by piece
//	defer w.Close()
//
// The encodings: base64 in both alphabets at each of its three alignments and hexadecimal in both cases, also broken into lines;
// percent-encoding; the escapes of JSON. Whatever belongs to a value that was found is replaced, so that of two that overlap no end is
// left. Values of fewer than four bytes are not looked for: they occur everywhere.
package scrub

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"cellos.io/cellos/secret"
)

const (
	// least is the number of bytes from which on a value is looked for.
	least = 4
	// MaxStates bounds what finds values in an output, in states of 24 bytes. There is one for each byte of each spelling: for each byte of a token
	// of letters and digits 10 to 15, of a key in PEM 28, of random bytes 74.
	MaxStates = 1 << 20
	// maxKept and maxValues bound what is remembered, in bytes and in number: a command may ask for leased secrets again and again, and get others
	// each time.
	maxKept   = 16 << 20
	maxValues = 4096
)

// A Set is the values that are known. The zero value is empty. Its methods may be called concurrently.
type Set struct {
	// Streamed makes Add refuse a value that no Writer could find. It is set before the first use.
	Streamed bool

	mu       sync.Mutex
	short    []secret.Value // what the finder knows
	long     []secret.Value // what it would be too large for
	states   int            // of the finder, at most
	kept     int            // of both
	known    map[[sha256.Size]byte]bool
	current  atomic.Pointer[finder]
	replaced atomic.Int64
	wiped    bool
}

// errWiped is returned by writers after Wipe.
var errWiped = errors.New("the secrets to take out of it are forgotten")

// Add makes a value known; it copies it. What it returns is a reason not to give the value to anybody.
func (s *Set) Add(v secret.Value) error {
	n := v.Len()
	if n < least {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum [sha256.Size]byte
	v.Use(func(b []byte) error { sum = sha256.Sum256(b); return nil })
	if s.known[sum] {
		return nil
	}
	states := statesOf(v)
	fits := s.states+states <= MaxStates
	switch {
	case s.Streamed && !fits:
		return errors.New("the secrets are too long together to be kept out of the output (docs/secrets.md)")
	case s.kept+n > maxKept || len(s.short)+len(s.long) == maxValues:
		return fmt.Errorf("more than %d different secrets, or %d bytes of them: they could not be kept out of the evidence", maxValues, maxKept)
	}
	if s.known == nil {
		s.known = map[[sha256.Size]byte]bool{}
	}
	s.known[sum] = true
	own := secret.Take(v.AppendTo(make([]byte, 0, n)))
	s.kept += n
	if fits {
		s.short = append(s.short, own)
		s.states += states
		s.current.Store(nil)
	} else {
		s.long = append(s.long, own)
	}
	return nil
}

// statesOf is how many states a value has at most in a finder.
func statesOf(v secret.Value) (n int) {
	if v.Len() > MaxStates/10 {
		return MaxStates + 1 // it has ten for each byte, or more
	}
	v.Use(func(b []byte) error {
		plain, coded := spellings(b)
		for _, s := range append(plain, coded...) {
			n += len(s)
		}
		return nil
	})
	return n
}

// finder returns what finds the short values; nil after Wipe.
func (s *Set) finder() *finder {
	if f := s.current.Load(); f != nil {
		return f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.current.Load(); f != nil || s.wiped {
		return f
	}
	f := newFinder(s.short)
	s.current.Store(f)
	return f
}

// Text returns text with secret.Hidden in place of every value.
func (s *Set) Text(text string) string {
	s.mu.Lock()
	long := s.long
	s.mu.Unlock()
	for _, v := range long {
		if len(text) < v.Len() {
			continue
		}
		v.Use(func(b []byte) error {
			plain, coded := spellings(b)
			for _, x := range append(plain, coded...) {
				text = strings.ReplaceAll(text, string(x), secret.Hidden)
			}
			return nil
		})
	}
	scan := scanner{f: s.finder()}
	if scan.f == nil {
		return text
	}
	scan.read([]byte(text))
	if len(scan.found) == 0 {
		return text
	}
	var b strings.Builder
	scan.emit(func(piece []byte) { b.Write(piece) }, []byte(text), scan.next)
	return b.String()
}

// Replaced is how many pieces of the outputs were replaced.
func (s *Set) Replaced() int64 { return s.replaced.Load() }

// Wipe forgets the values: what is written after it is not passed on, but an error.
func (s *Set) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range [][]secret.Value{s.short, s.long} {
		for _, v := range list {
			v.Wipe()
		}
	}
	s.short, s.long, s.states, s.kept, s.known = nil, nil, 0, 0, nil
	s.current.Store(nil)
	s.wiped = true
}

// Format writes secret.Hidden, whatever the verb.
func (s *Set) Format(f fmt.State, _ rune) { io.WriteString(f, secret.Hidden) }
