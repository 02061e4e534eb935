package oci

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"testing"

	erofs "github.com/erofs/go-erofs"
)

// A seeker is a file in memory.
type seeker struct {
	b  []byte
	at int64
}

func (s *seeker) Write(p []byte) (int, error) {
	if end := s.at + int64(len(p)); end > int64(len(s.b)) {
		s.b = append(s.b, make([]byte, end-int64(len(s.b)))...)
	}
	n := copy(s.b[s.at:], p)
	s.at += int64(n)
	return n, nil
}

func (s *seeker) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case 1:
		off += s.at
	case 2:
		off += int64(len(s.b))
	}
	s.at = off
	return off, nil
}

// FuzzLayers: two layers of any bytes make a tree that a converter can read to its end, whose files lie in the spool, or are refused.
func FuzzLayers(f *testing.F) {
	one := func(h ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range h {
			if w.WriteHeader(&h) == nil && h.Size > 0 {
				w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
			}
		}
		w.Close()
		return b.Bytes()
	}
	f.Add(one(tar.Header{Name: "a/b", Typeflag: tar.TypeReg, Size: 3}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "a"}), one(tar.Header{Name: "l/c", Typeflag: tar.TypeReg, Size: 1}))
	f.Add(one(tar.Header{Name: "a", Typeflag: tar.TypeDir}, tar.Header{Name: "a/h", Typeflag: tar.TypeReg, Size: 1}), one(tar.Header{Name: "a/.wh..wh..opq"}, tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "a/h"}))
	f.Add(one(tar.Header{Name: "../../x", Typeflag: tar.TypeFifo}), one(tar.Header{Name: ".wh.x"}, tar.Header{Name: "/", Typeflag: tar.TypeDir, Mode: 0o700}))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var spool bytes.Buffer
		tree := newTree(nil, &spool, 1<<20)
		for i, layer := range [][]byte{a, b} {
			if tree.apply(bytes.NewReader(layer), i) != nil {
				return
			}
		}
		tree.spool = bytes.NewReader(spool.Bytes())
		err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			if data, err := fs.ReadFile(tree, name); err != nil || int64(len(data)) != fi.Size() {
				t.Errorf("%q: %d bytes of %d, %v", name, len(data), fi.Size(), err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := erofs.Create(&seeker{}).CopyFrom(tree); err != nil {
			t.Logf("the converter refuses it: %v", err)
		}
	})
}
