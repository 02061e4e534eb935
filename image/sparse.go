package image

import (
	"io"
	"os"
)

// A sparse writer leaves out blocks of zeros, so that holes cost no disk, and collects what comes in small pieces. What it was given is in the
// file after finish.
type sparse struct {
	f   *os.File
	at  int64
	end int64
	buf []byte // what precedes at and is not written
}

const block = 4096

// piece is how much is written, or left out, at once.
const piece = 64 * block

func (w *sparse) Write(b []byte) (int, error) {
	n := len(b)
	if w.buf == nil {
		w.buf = make([]byte, 0, piece)
	}
	for len(b) > 0 {
		k := min(len(b), piece-len(w.buf))
		if len(w.buf) == 0 && k == piece {
			if err := w.put(b[:k], w.at); err != nil {
				return 0, err
			}
		} else {
			w.buf = append(w.buf, b[:k]...)
		}
		b, w.at = b[k:], w.at+int64(k)
		w.end = max(w.end, w.at)
		if len(w.buf) == piece {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *sparse) flush() error {
	b := w.buf
	w.buf = w.buf[:0]
	return w.put(b, w.at-int64(len(b)))
}

func (w *sparse) put(b []byte, at int64) error {
	if zero(b) {
		return nil
	}
	_, err := w.f.WriteAt(b, at)
	return err
}

func (w *sparse) Seek(offset int64, whence int) (int64, error) {
	if err := w.flush(); err != nil {
		return 0, err
	}
	switch whence {
	case io.SeekCurrent:
		offset += w.at
	case io.SeekEnd:
		offset += w.end
	}
	w.at = offset
	return offset, nil
}

func (w *sparse) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.f.Truncate((w.end + block - 1) &^ (block - 1))
}

func zero(b []byte) bool {
	for len(b) >= 8 && b[0] == 0 {
		if b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7] != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
