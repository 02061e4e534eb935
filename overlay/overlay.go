// Package overlay reads what a cell changed: the upper layer of an overlay file system, or a plain folder that was empty
// at the start.
//
//	list, err := overlay.Changes(dir, "/src", overlay.Limits{})
//	for _, c := range list.Changes { fmt.Println(c.What, c.Path, c.SHA256) }
//
// It reads names, types and contents that the command chose, so nothing in them is trusted: no symbolic link is followed, and
// nothing is written anywhere. It does not apply the changes to the lower layer.
package overlay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// A Change is one path that differs from what the command was shown.
type Change struct {
	Path   string // relative to the working directory, with slashes; any bytes but NUL
	What   What
	Kind   Kind
	Mode   fs.FileMode // permission bits
	Size   int64       // bytes, of a regular file or the text of a symbolic link
	SHA256 string      // lower-case hex, of the content of a regular file within the limit, or the text of a symbolic link; else ""
}

// What happened to a path.
type What string

// The kinds of change. A renamed file is a deleted and a created one.
const (
	Created  What = "created"
	Modified What = "modified"
	Deleted  What = "deleted"
)

// Kind is the type of a file.
type Kind string

// The file types; Gone is that of a deleted path.
const (
	File      Kind = "file"
	Directory Kind = "directory"
	Symlink   Kind = "symlink"
	FIFO      Kind = "fifo"
	Socket    Kind = "socket"
	Gone      Kind = ""
)

// Limits bound the work. Zero means the default.
type Limits struct {
	Entries int   // changes that are listed, default 10000; the rest is only counted
	Bytes   int64 // bytes that are read for digests, default 2 GiB; what lies beyond has no digest
	Depth   int   // folders within folders, default 256; what lies deeper is not listed

	Done <-chan struct{} // closed: what has not been looked at yet is not looked at; nil: never
}

// A List is what changed, sorted by path.
type List struct {
	Changes []Change
	Total   int  // all changes that were seen, also those that are not listed
	Deeper  bool // something was not looked at: it lies deeper than the limit, or it was Done
}

// Changes lists what is in the upper layer dir. Lower is the path of the lower layer on the host, "" if there is none; it only
// tells created from modified. The command must have ended.
func Changes(dir *os.File, lower string, l Limits) (List, error) {
	if l.Entries == 0 {
		l.Entries = 10000
	}
	if l.Bytes == 0 {
		l.Bytes = 2 << 30
	}
	if l.Depth == 0 {
		l.Depth = 256
	}
	// The command may have closed the folder to its owner, who is the reader here.
	if fi, err := dir.Stat(); err == nil && fi.Mode().Perm()&0o500 != 0o500 {
		if err := dir.Chmod(fi.Mode().Perm() | 0o700); err != nil {
			return List{}, fmt.Errorf("opening the folder of changes: %w", err)
		}
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	if err != nil {
		return List{}, fmt.Errorf("opening the folder of changes: %w", err)
	}
	defer root.Close()
	w := walker{root: root, lower: lower, max: l.Entries, bytes: l.Bytes, depth: l.Depth, done: l.Done}
	if err := w.dir(".", lower != ""); err != nil {
		return List{}, err
	}
	return w.list, nil
}

type walker struct {
	root  *os.Root
	lower string
	max   int
	bytes int64 // that may still be read
	depth int   // that may still be entered
	done  <-chan struct{}
	list  List
}

// over reports whether the caller has no more time.
func (w *walker) over() bool {
	select {
	case <-w.done:
		w.list.Deeper = true
		return true
	default:
		return false
	}
}

// dir walks one folder. Below reports whether the lower layer shows through it.
func (w *walker) dir(name string, below bool) error {
	if w.depth == 0 {
		w.list.Deeper = true
		return nil
	}
	w.depth--
	defer func() { w.depth++ }()
	entries, err := w.read(name)
	if err != nil {
		return fmt.Errorf("listing changes in %s: %w", name, err)
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	for _, fi := range entries {
		if w.over() {
			return nil
		}
		p := path.Join(name, fi.Name())
		c := Change{Path: p, What: Created, Kind: kind(fi.Mode()), Mode: fi.Mode().Perm()}
		shown := below && w.inLower(p)
		if shown {
			c.What = Modified
		}
		if whiteout(fi) {
			c = Change{Path: p, What: Deleted}
		}
		descend := below && shown
		switch c.Kind {
		case Directory:
			opaque := w.opaque(p)
			if shown && !opaque {
				// A folder of the lower layer, copied up only because something in it changed.
				if err := w.dir(p, true); err != nil {
					return err
				}
				continue
			}
			descend = descend && !opaque
		case File:
			c.Size = fi.Size()
			// The size counts, not the blocks: the holes of a sparse file are read too.
			if len(w.list.Changes) < w.max && c.Size <= w.bytes {
				w.bytes -= c.Size
				if c.SHA256, err = w.digest(p); err != nil {
					return fmt.Errorf("reading changed file %q: %w", p, err)
				}
			}
		case Symlink:
			target, err := w.root.Readlink(p)
			if err != nil {
				return fmt.Errorf("reading changed link %q: %w", p, err)
			}
			sum := sha256.Sum256([]byte(target))
			c.Size, c.SHA256 = int64(len(target)), hex.EncodeToString(sum[:])
		}
		if w.list.Total++; len(w.list.Changes) < w.max {
			w.list.Changes = append(w.list.Changes, c)
		}
		if c.Kind == Directory {
			if err := w.dir(p, descend); err != nil {
				return err
			}
		}
	}
	return nil
}

// read lists a folder. A folder that its owner may not read is made readable first: it is in the scratch space, which goes away.
func (w *walker) read(name string) ([]fs.FileInfo, error) {
	d, err := w.open(name, 0o500)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	list, err := d.Readdir(-1)
	if errors.Is(err, fs.ErrPermission) { // it may be read, but not entered
		if fi, serr := d.Stat(); serr == nil && w.root.Chmod(name, fi.Mode().Perm()|0o500) == nil {
			if d, err := w.root.Open(name); err == nil {
				defer d.Close()
				return d.Readdir(-1)
			}
		}
	}
	return list, err
}

func (w *walker) open(name string, need fs.FileMode) (*os.File, error) {
	f, err := w.root.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		if fi, serr := w.root.Lstat(name); serr == nil && w.root.Chmod(name, fi.Mode().Perm()|need) == nil {
			f, err = w.root.Open(name)
		}
	}
	return f, err
}

func (w *walker) digest(name string) (string, error) {
	f, err := w.open(name, 0o400)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	for {
		switch _, err := io.CopyN(h, f, 16<<20); {
		case err == io.EOF:
			return hex.EncodeToString(h.Sum(nil)), nil
		case err != nil:
			return "", err
		case w.over():
			return "", nil
		}
	}
}

func (w *walker) inLower(p string) bool {
	_, err := os.Lstat(path.Join(w.lower, p))
	return err == nil
}

func kind(m fs.FileMode) Kind {
	switch m.Type() {
	case 0:
		return File
	case fs.ModeDir:
		return Directory
	case fs.ModeSymlink:
		return Symlink
	case fs.ModeNamedPipe:
		return FIFO
	case fs.ModeSocket:
		return Socket
	}
	return Gone
}
