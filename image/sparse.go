package image

import (
	"io"
	"os"
)

// A sparse writer leaves out blocks of zeros, so that holes cost no disk.
type sparse struct {
	f   *os.File
	at  int64
	end int64
}

const block = 4096

func (w *sparse) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		k := min(len(b), 64*block)
		part := b[:k]
		if zero(part) {
			w.at += int64(k)
		} else if _, err := w.f.WriteAt(part, w.at); err != nil {
			return n, err
		} else {
			w.at += int64(k)
		}
		w.end = max(w.end, w.at)
		b, n = b[k:], n+k
	}
	return n, nil
}

func (w *sparse) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.at
	case io.SeekEnd:
		offset += w.end
	}
	w.at = offset
	return offset, nil
}

func (w *sparse) finish() error { return w.f.Truncate((w.end + block - 1) &^ (block - 1)) }

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
