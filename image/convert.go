package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	erofs "github.com/erofs/go-erofs"
)

// Limits of an image. Larger trees are refused before anything is copied.
const (
	MaxSize  = 64 << 30  // bytes of the files together
	MaxPaths = 1 << 20   // files and folders
	MaxNames = 128 << 20 // bytes of their paths, extended attributes and targets of links: the writer holds them until all is copied
)

// An Owner says whose the files of a tree become: those of the first user belong to the second in the image. Other owners stay.
type Owner struct {
	UID, GID         uint32 // on this machine
	CellUID, CellGID uint32 // in the image
}

// A TooLarge tree cannot become an image.
type TooLarge struct {
	Path  string
	Size  int64 // bytes of its files; 0: they were not the reason
	Paths int64 // that were seen when it was given up; 0: they were not the reason
	Names int64 // bytes of their names
}

func (e *TooLarge) Error() string {
	switch {
	case e.Paths > 0:
		return fmt.Sprintf("%s holds more than %d files and folders, which is what an image may have", e.Path, e.Paths)
	case e.Names > 0:
		return fmt.Sprintf("%s holds files whose paths, attributes and links take more than %d MiB together, which is what an image may have", e.Path, e.Names>>20)
	}
	return fmt.Sprintf("%s holds files of %d MiB; an image may have %d MiB", e.Path, e.Size>>20, int64(MaxSize)>>20)
}

// Hint is the remedy.
func (*TooLarge) Hint() string {
	return "grant the folders in it that the command needs, or choose the process backend, which copies nothing"
}

// A Changed tree was written to while it was converted.
type Changed struct{ Path string }

func (e *Changed) Error() string { return e.Path + " changed while it was copied into an image" }

// convert writes the tree as an image.
func (s *source) convert(w io.WriteSeeker) error {
	s.begin(true)
	fsys := erofs.Create(w, erofs.WithBuildTime(0, 0))
	if err := fsys.CopyFrom(s); err != nil {
		return fmt.Errorf("converting %s: %w", s.name, err)
	}
	if err := fsys.Close(); err != nil {
		return fmt.Errorf("converting %s: %w", s.name, err)
	}
	return nil
}

// A lazy file has exactly the length that was promised, or it is an error. There is one for each file until all are written.
type lazy struct {
	s           *source
	name        string
	size, mtime int64
	f           *os.File
	left        int64
	done        bool
}

func (l *lazy) Stat() (fs.FileInfo, error) { return l.s.Lstat(l.name) }
func (l *lazy) Close() error               { return nil }

func (l *lazy) Read(b []byte) (int, error) {
	if l.done {
		return 0, io.EOF
	}
	if l.f == nil {
		dir, err := l.s.in(path.Dir(l.name))
		if err != nil {
			return 0, err
		}
		f, err := dir.root.OpenFile(path.Base(l.name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrPermission) {
			// Nor can the cell's user, whose permissions are the same there, see these zeros.
			l.done = true
			return 0, fmt.Errorf("%s cannot be read: %w", filepath.Join(l.s.name, l.name), err)
		}
		if err != nil {
			return 0, err
		}
		l.f, l.left = f, l.size
	}
	n, err := l.f.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	if l.left == 0 {
		now, serr := l.f.Stat()
		l.f.Close()
		l.done = true
		if serr != nil || now.ModTime().UnixNano() != l.mtime || now.Size() != l.size {
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
