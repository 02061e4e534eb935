// Package export carries artifacts out of cells: it decides nothing about which, and knows nothing of cells. A sink puts one file to one
// place.
//
//	src, err := export.Read(f)                     // the size is fixed here
//	err = local.Sink{Dir: "/srv/out"}.Put(ctx, "cell-1", "report.txt", src)
//	fmt.Println(src.Size(), src.SHA256())          // of what arrived
//
// A file is streamed: the memory that this takes does not depend on its size. A file that grows or shrinks meanwhile is an error, and so
// nothing is kept that nobody meant.
package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
)

// A Sink puts files somewhere. On error, what it began is not there, as far as that is in its power.
type Sink interface {
	Put(ctx context.Context, cell, name string, src *Source) error
}

// Errors of a source.
var (
	ErrGrew   = errors.New("the file grew while it was read")
	ErrShrank = errors.New("the file became shorter while it was read")
	ErrOnce   = errors.New("the file cannot be read again")
)

// A Source is a file that is read to its end, once or again from the beginning, with its digest.
type Source struct {
	f    fs.File
	size int64
	left int64
	hash hash.Hash
	read bool // something was read since the beginning
	bad  error
}

// Read makes a source of a file. The file stays the caller's.
func Read(f fs.File) (*Source, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &Source{f: f, size: info.Size(), left: info.Size(), hash: sha256.New()}
	return s, nil
}

// Size is the number of bytes that are read.
func (s *Source) Size() int64 { return s.size }

// SHA256 is the digest of what was read so far, 64 lower-case hexadecimal digits.
func (s *Source) SHA256() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// Rewind begins again. It fails where the file cannot seek and something was read.
func (s *Source) Rewind() error {
	if !s.read {
		return nil
	}
	seeker, ok := s.f.(io.Seeker)
	if !ok {
		return ErrOnce
	}
	if _, err := seeker.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.left, s.read, s.bad = s.size, false, nil
	s.hash.Reset()
	return nil
}

// Read reads on. The last bytes come only when the file has no more than its size: whoever counts bytes gets too few of a file that grew.
func (s *Source) Read(p []byte) (int, error) {
	if s.bad != nil {
		return 0, s.bad
	}
	if s.left == 0 && s.read || len(p) == 0 {
		return 0, io.EOF
	}
	s.read = true
	n, err := 0, error(nil)
	if s.left > 0 {
		n, err = s.f.Read(p[:min(int64(len(p)), s.left)])
		s.left -= int64(n)
	}
	switch {
	case err == io.EOF && s.left > 0, n == 0 && err == nil && s.left > 0:
		s.bad = ErrShrank
	case err != nil && err != io.EOF:
		s.bad = err
	case s.left == 0:
		var one [1]byte
		if m, err := s.f.Read(one[:]); m > 0 {
			s.bad = ErrGrew
		} else if err != nil && err != io.EOF {
			s.bad = err
		}
	}
	if s.bad != nil {
		return 0, s.bad
	}
	s.hash.Write(p[:n])
	if s.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Done reports whether the source was read to its end.
func (s *Source) Done() bool { return s.read && s.left == 0 && s.bad == nil }

// Err is what is wrong with the source itself, nil if nothing is: an error that no other try mends.
func (s *Source) Err() error { return s.bad }
