// Package lines reads files of lines with a limit on the length of a line, forwards one at a time in constant memory, or
// the last line alone without reading what is before it.
//
//	r := lines.NewReader(f, 1<<20)
//	for line, err := r.Next(); err != io.EOF; line, err = r.Next() { … }
//
// A line ends with a line feed. What follows the last one is no line but a torn one: its writer died, or has not
// finished. The package does not look into lines.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

var (
	// ErrTooLong says that a line is longer than the limit. It was skipped; reading goes on behind it.
	ErrTooLong = errors.New("line above the limit")
	// ErrTorn says that the input ends without a line feed. The partial line comes with it.
	ErrTorn = errors.New("the input ends in the middle of a line")
)

// Reader returns line after line.
type Reader struct {
	r     *bufio.Reader
	limit int
	n     int
	long  []byte // the line, when it is longer than the buffer of r
}

// NewReader returns a reader for lines of at most limit bytes, line feed not counted.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// Number returns the number of the line that Next returned last, from 1.
func (r *Reader) Number() int { return r.n }

// Next returns the next line without its line feed. It is valid until the next call. At the end the error is io.EOF; after
// ErrTooLong the next line can be read; any other error comes again.
func (r *Reader) Next() ([]byte, error) {
	r.n++
	line, err := r.r.ReadSlice('\n')
	if err == nil && len(line)-1 <= r.limit {
		return line[:len(line)-1], nil
	}
	r.long = append(r.long[:0], line...)
	tooLong := false
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.r.ReadSlice('\n')
		if len(r.long)+len(line) > r.limit+1 {
			tooLong = true // and forget it: the rest is only skipped
		} else {
			r.long = append(r.long, line...)
		}
	}
	switch {
	case err != nil && err != io.EOF:
		return nil, err
	case tooLong || err == nil && len(r.long)-1 > r.limit || len(r.long) > r.limit+1:
		return nil, ErrTooLong
	case err == nil:
		return r.long[:len(r.long)-1], nil
	case len(r.long) > 0:
		return r.long, ErrTorn
	}
	r.n--
	return nil, io.EOF
}

// Last returns the last whole line of the size bytes of r, without its line feed, the offset at which it begins, and how
// many bytes of a torn line follow it. It reads from the end. Without any whole line it returns io.EOF (and torn).
func Last(r io.ReaderAt, size int64, limit int) (line []byte, offset, torn int64, err error) {
	const block = 16 << 10
	var tail []byte // the bytes of r from at to its end
	at := size
	for {
		end := bytes.LastIndexByte(tail, '\n')
		if end >= 0 {
			if start := bytes.LastIndexByte(tail[:end], '\n') + 1; start > 0 || at == 0 {
				line, offset, torn = tail[start:end], at+int64(start), int64(len(tail)-end-1)
				if len(line) > limit {
					return nil, offset, torn, ErrTooLong
				}
				return line, offset, torn, nil
			}
		}
		if at == 0 {
			return nil, 0, size, io.EOF
		}
		if len(tail) > 2*limit+block { // a torn line and a whole one of legal length are in there
			return nil, 0, 0, ErrTooLong
		}
		n := min(block, at)
		more := make([]byte, int(n)+len(tail))
		if _, err := r.ReadAt(more[:n], at-n); err != nil {
			return nil, 0, 0, err
		}
		copy(more[n:], tail)
		tail, at = more, at-n
	}
}
