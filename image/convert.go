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

// MaxSize is the largest image, in bytes of the files together: larger trees are refused before anything is copied.
const MaxSize = 64 << 30

// An Owner says whose the files of a tree become: those of the first user belong to the second in the image. Other owners stay.
type Owner struct {
	UID, GID         uint32 // on this machine
	CellUID, CellGID uint32 // in the image
}

// A TooLarge tree cannot become an image.
type TooLarge struct {
	Path string
	Size int64
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("%s holds files of %d MiB; an image may have %d MiB", e.Path, e.Size>>20, int64(MaxSize)>>20)
}

// A Changed tree was written to while it was converted.
type Changed struct{ Path string }

func (e *Changed) Error() string { return e.Path + " changed while it was copied into an image" }

// A source is a tree as the converter reads it: an fs.FS that follows no link and opens a file only while it is read.
type source struct {
	root    *os.Root
	owner   Owner
	name    string          // for messages
	only    []string        // names at the top that are shown; nil: all
	exclude map[string]bool // paths that are left out, relative
	single  string          // the one file of the tree, if it is one
}

// convert writes the tree as an image.
func (s *source) convert(w io.WriteSeeker) error {
	fsys := erofs.Create(w, erofs.WithBuildTime(0, 0))
	if err := fsys.CopyFrom(s); err != nil {
		return fmt.Errorf("converting %s: %w", s.name, err)
	}
	err := s.walk(func(name string, fi fs.FileInfo) error {
		if !fi.Mode().IsRegular() && !fi.IsDir() {
			return nil
		}
		for attr, value := range s.xattrs(name) {
			if err := fsys.Setxattr("/"+name, attr, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := fsys.Close(); err != nil {
		return fmt.Errorf("converting %s: %w", s.name, err)
	}
	return nil
}

// walk visits every path of the tree in the order of names.
func (s *source) walk(do func(name string, fi fs.FileInfo) error) error {
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
		return &lazy{s: s, name: name, fi: fi}, nil
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	return folder{f, s, name}, nil
}

// ReadDir lists what the image will have.
func (s *source) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := s.root.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil // nor could the cell's user list it
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var list []fs.DirEntry
	for _, n := range names {
		p := path.Join(name, n)
		if name == "." && (s.only != nil && !slices.Contains(s.only, n) || s.single != "" && n != s.single) || s.exclude[p] {
			continue
		}
		fi, err := s.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &Changed{filepath.Join(s.name, p)}
		}
		if err != nil {
			return nil, err
		}
		switch fi.Mode().Type() {
		case 0, fs.ModeDir, fs.ModeSymlink, fs.ModeNamedPipe:
			list = append(list, fs.FileInfoToDirEntry(fi))
		}
	}
	return list, nil
}

// Lstat looks at a path, with the owner that it has in the image.
func (s *source) Lstat(name string) (fs.FileInfo, error) {
	fi, err := s.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("looking at %s: no owner", name)
	}
	m := *st
	if m.Uid == s.owner.UID {
		m.Uid = s.owner.CellUID
	}
	if m.Gid == s.owner.GID {
		m.Gid = s.owner.CellGID
	}
	if !fi.IsDir() {
		m.Nlink = 1 // the format's writer makes a file of each name
	}
	return info{fi, &m, path.Base(name)}, nil
}

// Stat is Lstat: no link is followed.
func (s *source) Stat(name string) (fs.FileInfo, error) { return s.Lstat(name) }

// ReadLink reads a symbolic link.
func (s *source) ReadLink(name string) (string, error) { return s.root.Readlink(name) }

type info struct {
	fs.FileInfo
	st   *syscall.Stat_t
	name string
}

func (i info) Sys() any     { return i.st }
func (i info) Name() string { return i.name }

type folder struct {
	*os.File
	s    *source
	name string
}

func (f folder) Stat() (fs.FileInfo, error)         { return f.s.Lstat(f.name) }
func (f folder) ReadDir(int) ([]fs.DirEntry, error) { return f.s.ReadDir(f.name) }
func (f folder) Readdir(int) ([]fs.FileInfo, error) { return nil, errors.ErrUnsupported }

// A lazy file has exactly the length that was promised, or it is an error.
type lazy struct {
	s    *source
	name string
	fi   fs.FileInfo
	f    *os.File
	left int64
	done bool
}

func (l *lazy) Stat() (fs.FileInfo, error) { return l.fi, nil }
func (l *lazy) Close() error               { return nil }

func (l *lazy) Read(b []byte) (int, error) {
	if l.done {
		return 0, io.EOF
	}
	if l.f == nil {
		f, err := l.s.root.OpenFile(l.name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrPermission) {
			// Nor can the cell's user, whose permissions are the same there, see these zeros.
			l.done = true
			return 0, fmt.Errorf("%s cannot be read: %w", filepath.Join(l.s.name, l.name), err)
		}
		if err != nil {
			return 0, err
		}
		l.f, l.left = f, l.fi.Size()
	}
	n, err := l.f.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	if l.left == 0 {
		now, serr := l.f.Stat()
		l.f.Close()
		l.done = true
		if serr != nil || !now.ModTime().Equal(l.fi.ModTime()) || now.Size() != l.fi.Size() {
			return n, &Changed{filepath.Join(l.s.name, l.name)}
		}
		return n, nil
	}
	if err == io.EOF || n == 0 && err == nil {
		l.f.Close()
		l.done = true
		return n, &Changed{filepath.Join(l.s.name, l.name)}
	}
	return n, err
}

// xattrs returns the extended attributes that mean something to another kernel: the user's own, and file capabilities are none, because
// no cell honours them.
func (s *source) xattrs(name string) map[string]string {
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	at := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	n, err := syscall.Listxattr(at, nil)
	if err != nil || n == 0 {
		return nil
	}
	buf := make([]byte, n)
	if n, err = syscall.Listxattr(at, buf); err != nil {
		return nil
	}
	m := map[string]string{}
	for a := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if !strings.HasPrefix(a, "user.") || strings.HasPrefix(a, "user.overlay.") {
			continue
		}
		value := make([]byte, 64<<10)
		if n, err := syscall.Getxattr(at, a, value); err == nil {
			m[a] = string(value[:n])
		}
	}
	return m
}
