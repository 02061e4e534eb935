package oci

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Bounds of an image, which somebody else made.
const (
	maxPaths = 4 << 20
	maxDepth = 256
	maxName  = 4096
	maxLinks = 40 // that are followed for one path, as the kernel does
)

// A tree is the file tree of layers that were applied one after the other. It is only in memory: no name of an image ever becomes one of
// the host's. The contents of files are in one spool file.
type tree struct {
	root  *node
	spool io.ReaderAt
	to    io.Writer // appends to the spool
	at    int64     // the spool's size
	max   int64
	paths int
}

type node struct {
	mode     fs.FileMode
	uid, gid int
	time     time.Time
	offset   int64 // in the spool
	size     int64
	target   string // of a symbolic link
	children map[string]*node
	layer    int // that made it
}

func newTree(spool io.ReaderAt, to io.Writer, max int64) *tree {
	return &tree{root: &node{mode: fs.ModeDir | 0o755, children: map[string]*node{}, layer: -1}, spool: spool, to: to, max: max}
}

// Names of the OCI image layer specification ("Whiteouts").
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// apply adds one layer, an uncompressed tar stream.
func (t *tree) apply(r io.Reader, layer int) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.entry(h, tr, layer); err != nil {
			return fmt.Errorf("%.200q: %w", h.Name, err)
		}
	}
}

func (t *tree) entry(h *tar.Header, data io.Reader, layer int) error {
	name := strings.Trim(path.Clean("/"+h.Name), "/")
	if len(name) > maxName || strings.Count(name, "/") > maxDepth || strings.ContainsRune(name, 0) {
		return errors.New("the name is too long")
	}
	if name == "" {
		t.root.describe(h)
		return nil
	}
	dir, err := t.folder(path.Dir(name), layer, new(int))
	if err != nil {
		return err
	}
	base := path.Base(name)
	if base == opaque {
		for n, c := range dir.children {
			if c.layer < layer {
				delete(dir.children, n)
			}
		}
		return nil
	}
	if gone, ok := strings.CutPrefix(base, whiteout); ok {
		if c := dir.children[gone]; c != nil && c.layer < layer {
			delete(dir.children, gone)
		}
		return nil
	}
	n := &node{layer: layer}
	n.describe(h)
	switch h.Typeflag {
	case tar.TypeReg:
		if h.Size < 0 || h.Size > t.max-t.at {
			return fmt.Errorf("the files of the image have more than %d bytes", t.max)
		}
		n.offset = t.at
		if n.size, err = io.Copy(t.to, data); err != nil {
			return err
		}
		t.at += n.size
	case tar.TypeDir:
		n.mode |= fs.ModeDir
		n.children = map[string]*node{}
		if old := dir.children[base]; old != nil && old.children != nil {
			n.children = old.children
		}
	case tar.TypeSymlink:
		if h.Linkname == "" || len(h.Linkname) > maxName {
			return errors.New("a link to nowhere")
		}
		n.mode, n.target, n.size = fs.ModeSymlink|0o777, h.Linkname, int64(len(h.Linkname))
	case tar.TypeLink:
		to, err := t.find(h.Linkname)
		if err != nil || to.children != nil {
			return fmt.Errorf("a hard link to %.200q, which is no file", h.Linkname)
		}
		same := *to
		same.layer = layer
		n = &same
	case tar.TypeFifo:
		n.mode |= fs.ModeNamedPipe
	default:
		return nil // devices: a cell has its own
	}
	if t.paths++; t.paths > maxPaths {
		return fmt.Errorf("the image has more than %d paths", maxPaths)
	}
	dir.children[base] = n
	return nil
}

func (n *node) describe(h *tar.Header) {
	n.mode = n.mode.Type() | h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)
	n.uid, n.gid, n.time = h.Uid, h.Gid, h.ModTime
}

// folder finds a folder, following links inside the tree as who unpacks on top of the layers below would, and makes what is missing.
// Links counts those that were followed, in all of them together.
func (t *tree) folder(name string, layer int, links *int) (*node, error) {
	at, dir := t.root, "/"
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if part == "" || part == "." {
			continue
		}
		c := at.children[part]
		switch {
		case c == nil:
			if t.paths++; t.paths > maxPaths {
				return nil, fmt.Errorf("the image has more than %d paths", maxPaths)
			}
			c = &node{mode: fs.ModeDir | 0o755, children: map[string]*node{}, layer: layer}
			at.children[part] = c
		case c.target != "":
			if *links++; *links > maxLinks {
				return nil, errors.New("too many links in its path")
			}
			to := c.target
			if !path.IsAbs(to) {
				to = path.Join(dir, to)
			}
			if len(to) > maxName {
				return nil, errors.New("the name is too long")
			}
			var err error
			if c, err = t.folder(path.Clean("/"+to), layer, links); err != nil {
				return nil, err
			}
			dir = path.Clean("/" + to)
			at = c
			continue
		case c.children == nil:
			return nil, fmt.Errorf("%.200q is no folder", path.Join(dir, part))
		}
		at, dir = c, path.Join(dir, part)
	}
	return at, nil
}

// find finds a path, following no link.
func (t *tree) find(name string) (*node, error) {
	at := t.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+name), "/"), "/") {
		if part == "" {
			continue
		}
		if at = at.children[part]; at == nil {
			return nil, fs.ErrNotExist
		}
	}
	return at, nil
}

// The rest makes a tree an fs.FS, as the converter reads it.

// Open opens a folder or a file.
func (t *tree) Open(name string) (fs.File, error) {
	n, err := t.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &opened{io.NewSectionReader(t.spool, n.offset, n.size), info{n, path.Base(name)}}, nil
}

// ReadDir lists a folder in the order of names.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	var list []fs.DirEntry
	for name, c := range n.children {
		list = append(list, fs.FileInfoToDirEntry(info{c, name}))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// Stat is Lstat: no link is followed.
func (t *tree) Stat(name string) (fs.FileInfo, error) { return t.Lstat(name) }

// Lstat looks at a path.
func (t *tree) Lstat(name string) (fs.FileInfo, error) {
	n, err := t.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info{n, path.Base(name)}, nil
}

// ReadLink returns the target of a link.
func (t *tree) ReadLink(name string) (string, error) {
	n, err := t.find(name)
	if err == nil && n.target == "" {
		err = fs.ErrInvalid
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return n.target, nil
}

type opened struct {
	*io.SectionReader
	info info
}

func (o *opened) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *opened) Close() error               { return nil }

type info struct {
	n    *node
	name string
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.n.size }
func (i info) Mode() fs.FileMode  { return i.n.mode }
func (i info) ModTime() time.Time { return i.n.time }
func (i info) IsDir() bool        { return i.n.mode.IsDir() }

// Sys has what the converter asks for besides.
func (i info) Sys() any {
	st := &syscall.Stat_t{Uid: uint32(i.n.uid), Gid: uint32(i.n.gid), Nlink: 1}
	st.Mtim = syscall.NsecToTimespec(max(0, i.n.time.UnixNano()))
	if i.IsDir() {
		st.Nlink = 2
		for _, c := range i.n.children {
			if c.children != nil {
				st.Nlink++
			}
		}
	}
	return st
}
