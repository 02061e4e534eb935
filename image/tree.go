package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A Want says which tree becomes an image.
type Want struct {
	Path    string // a folder or a regular file
	Owner   Owner
	Names   []string // of what is shown, at the top of the folder; nil: everything
	Exclude []string // absolute paths that are left out
	// System trusts a tree whose own entries and whose package databases have not changed to be the same all the way down. It is for the
	// machine's own folders, which nobody changes piecemeal, and which are too large to look at each file before each run.
	System []string
}

// Tree returns the image of a tree, converted now if there is none or the tree has changed.
func (s *Store) Tree(ctx context.Context, w Want) (*Image, error) {
	src, err := w.source()
	if err != nil {
		return nil, err
	}
	defer src.root.Close()
	defer src.letGo()
	key := w.key()
	print, total, err := src.fingerprint(w)
	if err != nil {
		return nil, err
	}
	var k known
	if s.read("tree-"+key+".json", &k) == nil && k.Print == print {
		if img, err := s.Image(k.Digest); err == nil {
			img.File = k.File
			return img, nil
		}
	}
	if total > MaxSize {
		return nil, &TooLarge{Path: w.Path, Size: total}
	}
	img, err := s.add(ctx, ".erofs", func(f *os.File) error {
		w := &sparse{f: f}
		if err := src.convert(stopped{ctx, w}); err != nil {
			return err
		}
		return w.finish()
	})
	if err != nil {
		return nil, err
	}
	img.Made, img.File = true, src.single
	again, _, err := src.fingerprint(w)
	if err == nil && again != print {
		err = &Changed{w.Path}
	}
	if err == nil {
		err = s.write("tree-"+key+".json", known{Tree: w.Path, Print: print, Digest: img.Digest, File: src.single, Checked: time.Now()})
	}
	if err != nil {
		img.Close()
		return nil, err
	}
	return img, nil
}

// stopped ends the writing when the context ends.
type stopped struct {
	ctx context.Context
	io.WriteSeeker
}

func (s stopped) Write(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.WriteSeeker.Write(b)
}

func (w Want) source() (*source, error) {
	s := &source{owner: w.Owner, name: w.Path, only: w.Names, exclude: map[string]bool{}, maxPaths: MaxPaths, maxNames: MaxNames}
	fi, err := os.Lstat(w.Path)
	if err != nil {
		return nil, err
	}
	dir := w.Path
	if !fi.IsDir() {
		if !fi.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no folder and no regular file", w.Path)
		}
		dir, s.single = filepath.Dir(w.Path), filepath.Base(w.Path)
		s.name = dir
	}
	for _, x := range w.Exclude {
		if rel, err := filepath.Rel(dir, x); err == nil && filepath.IsLocal(rel) {
			s.exclude[rel] = true
		}
	}
	s.root, err = os.OpenRoot(dir)
	return s, err
}

func (w Want) key() string {
	var inside []string // what is left out elsewhere makes no difference
	for _, x := range w.Exclude {
		if rel, err := filepath.Rel(w.Path, x); err == nil && filepath.IsLocal(rel) {
			inside = append(inside, rel)
		}
	}
	slices.Sort(inside)
	h := sha256.New()
	fmt.Fprintf(h, "2 %q %v %q %q", w.Path, w.Owner, w.Names, inside)
	return hex.EncodeToString(h.Sum(nil))
}

// fingerprint is a digest of everything that lstat(2) tells of the tree, and the size of its files together.
func (s *source) fingerprint(w Want) (string, int64, error) {
	h := sha256.New()
	var total int64
	see := func(name string, fi fs.FileInfo) error {
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("no status")
		}
		if fi.Mode().IsRegular() {
			total += fi.Size()
		}
		_, err := fmt.Fprintf(h, "%q %d %d %d %d %d %d %d %d\n", name, st.Mode, st.Uid, st.Gid, st.Size, st.Ino, st.Dev, st.Mtim.Nano(), st.Ctim.Nano())
		return err
	}
	if w.System == nil {
		err := s.walk(see)
		return hex.EncodeToString(h.Sum(nil)), total, err
	}
	// Two levels, and what else stands for the rest.
	for _, pattern := range append([]string{w.Path}, w.System...) {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return "", 0, err
		}
		for _, p := range paths {
			fi, err := os.Lstat(p)
			if err != nil {
				continue // it is missing from the digest
			}
			if err := see(p, fi); err != nil {
				return "", 0, err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), 0, nil
}

// CellID is who a cell is in the guests of root, and of users whose group is root's.
const CellID = 1000

// OwnerFor is whose files become the cell's in the image of a tree: those of the caller, or, where root calls, those of the tree's owner.
func OwnerFor(path string, uid, gid uint32) (Owner, error) {
	o := Owner{UID: uid, GID: gid, CellUID: uid, CellGID: gid}
	if uid == 0 || gid == 0 {
		o.CellUID, o.CellGID = CellID, CellID
	}
	if uid != 0 {
		return o, nil
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return o, err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		o.UID, o.GID = st.Uid, st.Gid
	}
	return o, nil
}
