package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	erofs "github.com/erofs/go-erofs"
)

// A source is a tree as the converter reads it: an fs.FS that follows no link and opens a file only while it is read. Looking at a path is one
// system call, because the folders on the way to the last one stay open.
type source struct {
	root    *os.Root
	owner   Owner
	name    string          // for messages
	only    []string        // names at the top that are shown; nil: all
	exclude map[string]bool // paths that are left out, relative
	single  string          // the one file of the tree, if it is one

	attributes bool // Sys tells what the writer wants to know, extended attributes included; else what lstat(2) said
	paths      int64
	names      int64 // bytes
	maxPaths   int64
	maxNames   int64
	open       []*within
	top        within // the root
	buf        []byte
}

// within is an open folder of the tree.
type within struct {
	dir  string
	root *os.Root
	self *os.File // nil: nobody asked
}

func (w *within) close() {
	if w.self != nil {
		w.self.Close()
	}
	w.root.Close()
}

// maxOpen bounds the folders that stay open.
const maxOpen = 32

// in returns an open folder, which stays the source's.
func (s *source) in(dir string) (*within, error) {
	s.top.root = s.root
	from, rest := s.root, dir
	if dir == "." {
		return &s.top, nil
	}
	for n := len(s.open); n > 0; n-- {
		w := s.open[n-1]
		if w.dir == dir {
			return w, nil
		}
		if strings.HasPrefix(dir, w.dir+"/") {
			from, rest = w.root, dir[len(w.dir)+1:]
			break
		}
		w.close()
		s.open = s.open[:n-1]
	}
	r, err := from.OpenRoot(rest)
	if err != nil {
		return nil, err
	}
	if len(s.open) == maxOpen {
		s.open[maxOpen-1].close()
		s.open = s.open[:maxOpen-1]
	}
	w := &within{dir: dir, root: r}
	s.open = append(s.open, w)
	return w, nil
}

// letGo closes the folders below the root.
func (s *source) letGo() {
	for _, w := range s.open {
		w.close()
	}
	if s.top.self != nil {
		s.top.self.Close()
	}
	s.open, s.top.self = nil, nil
}

// begin starts to count: the tree is walked once more.
func (s *source) begin(attributes bool) { s.attributes, s.paths, s.names = attributes, 0, 0 }

// count notes what the writer will hold of a path.
func (s *source) count(paths, names int) error {
	s.paths, s.names = s.paths+int64(paths), s.names+int64(names)
	switch {
	case s.paths > s.maxPaths:
		return &TooLarge{Path: s.name, Paths: s.maxPaths}
	case s.names > s.maxNames:
		return &TooLarge{Path: s.name, Names: s.maxNames}
	}
	return nil
}

// walk visits every path of the tree in the order of names.
func (s *source) walk(do func(name string, fi fs.FileInfo) error) error {
	s.begin(false)
	return fs.WalkDir(s, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		return do(name, fi)
	})
}

// Open opens a folder at once, and a file when it is first read: the converter holds every file until it writes them all.
func (s *source) Open(name string) (fs.File, error) {
	fi, err := s.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return &lazy{s: s, name: name, size: fi.Size(), mtime: fi.ModTime().UnixNano()}, nil
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	return folder{f, s, name}, nil
}

// ReadDir lists what the image will have.
func (s *source) ReadDir(name string) ([]fs.DirEntry, error) {
	dir, err := s.in(name)
	var f *os.File
	if err == nil {
		f, err = dir.root.Open(".")
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil // nor could the cell's user list it
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []fs.DirEntry
	for {
		some, err := f.ReadDir(1024)
		for _, d := range some {
			n := d.Name()
			p := path.Join(name, n)
			if name == "." && (s.only != nil && !slices.Contains(s.only, n) || s.single != "" && n != s.single) || s.exclude[p] {
				continue
			}
			switch d.Type() {
			case 0, fs.ModeDir, fs.ModeSymlink, fs.ModeNamedPipe:
				if err := s.count(1, len(p)); err != nil {
					return nil, err
				}
				fi, err := d.Info() // was looked at when it was listed: a folder below an os.Root trusts no type in the list
				if errors.Is(err, fs.ErrNotExist) {
					return nil, &Changed{filepath.Join(s.name, p)}
				}
				if err != nil {
					return nil, err
				}
				list = append(list, &entry{s, name, n, d.Type(), fi})
			}
		}
		if len(some) == 0 {
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			break
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// An entry of a folder.
type entry struct {
	s         *source
	dir, name string
	typ       fs.FileMode
	seen      fs.FileInfo // nil when it was asked for: a large folder is not held to its end
}

func (e *entry) Name() string      { return e.name }
func (e *entry) IsDir() bool       { return e.typ.IsDir() }
func (e *entry) Type() fs.FileMode { return e.typ }

func (e *entry) Info() (fs.FileInfo, error) {
	p := path.Join(e.dir, e.name)
	fi := e.seen
	if e.seen = nil; fi == nil {
		return e.s.Lstat(p)
	}
	return e.s.inImage(p, fi)
}

// Lstat looks at a path, with the owner that it has in the image.
func (s *source) Lstat(name string) (fs.FileInfo, error) {
	dir, err := s.in(path.Dir(name))
	if err != nil {
		return nil, err
	}
	fi, err := dir.root.Lstat(path.Base(name))
	if err != nil {
		return nil, err
	}
	return s.inImage(name, fi)
}

// inImage is what the image tells of a path. What lstat(2) said is changed.
func (s *source) inImage(name string, fi fs.FileInfo) (_ fs.FileInfo, err error) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("looking at %s: no owner", name)
	}
	if st.Uid == s.owner.UID {
		st.Uid = s.owner.CellUID
	}
	if st.Gid == s.owner.GID {
		st.Gid = s.owner.CellGID
	}
	if !fi.IsDir() {
		st.Nlink = 1 // the format's writer makes a file of each name
	}
	i := info{FileInfo: fi, st: st, name: path.Base(name)}
	if s.attributes {
		i.image = &erofs.Stat{UID: st.Uid, GID: st.Gid, Mtime: uint64(st.Mtim.Sec), MtimeNs: uint32(st.Mtim.Nsec), Nlink: int(st.Nlink)}
		if fi.Mode().IsRegular() || fi.IsDir() {
			i.image.Xattrs, err = s.xattrs(path.Dir(name), path.Base(name))
		}
	}
	return i, err
}

// Stat is Lstat: no link is followed.
func (s *source) Stat(name string) (fs.FileInfo, error) { return s.Lstat(name) }

// ReadLink reads a symbolic link.
func (s *source) ReadLink(name string) (string, error) {
	dir, err := s.in(path.Dir(name))
	if err != nil {
		return "", err
	}
	target, err := dir.root.Readlink(path.Base(name))
	if err != nil {
		return "", err
	}
	return target, s.count(0, len(target))
}

type info struct {
	fs.FileInfo
	st    *syscall.Stat_t
	image *erofs.Stat // nil: nobody asked
	name  string
}

func (i info) Name() string { return i.name }

func (i info) Sys() any {
	if i.image != nil {
		return i.image
	}
	return i.st
}

type folder struct {
	*os.File
	s    *source
	name string
}

func (f folder) Stat() (fs.FileInfo, error)         { return f.s.Lstat(f.name) }
func (f folder) ReadDir(int) ([]fs.DirEntry, error) { return f.s.ReadDir(f.name) }
func (f folder) Readdir(int) ([]fs.FileInfo, error) { return nil, errors.ErrUnsupported }
