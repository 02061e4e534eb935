// Package local exports artifacts into a folder of the host: DIR/CELL/NAME.
package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cellos.io/cellos/export"
)

// A Sink writes below one folder, which it makes if need be.
type Sink struct {
	Dir  string
	Sync bool // what was written survives a crash of the machine
}

// errExists is EEXIST as strerror(3) says it.
//
//lint:ignore ST1005 programs look for these words
var errExists = errors.New("File exists")

// buffer is what is read at once: large enough that calls do not count, small enough for caches.
const buffer = 256 << 10

// Put writes the file under a temporary name, and gives it its own when all of it is there. A file that exists is not replaced. Neither the
// folder of the cell nor the name may be a symbolic link.
func (s Sink) Put(ctx context.Context, cell, name string, src *export.Source) (err error) {
	to := filepath.Join(s.Dir, cell, name)
	defer func() {
		if err != nil {
			err = fmt.Errorf("export copy -> %s: %w", to, err)
		}
	}()
	if !plain(cell) || !plain(name) {
		return errors.New("the name is no plain file name")
	}
	if err := os.MkdirAll(s.Dir, 0o777); err != nil {
		return cause(err)
	}
	top, err := os.OpenRoot(s.Dir)
	if err != nil {
		return cause(err)
	}
	defer top.Close()
	if err := top.Mkdir(cell, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return cause(err)
	}
	if i, err := top.Lstat(cell); err != nil {
		return cause(err)
	} else if !i.IsDir() {
		return fmt.Errorf("%s is no folder but a %s", filepath.Join(s.Dir, cell), kind(i.Mode()))
	}
	dir, err := top.OpenRoot(cell)
	if err != nil {
		return cause(err)
	}
	defer dir.Close()
	if _, err := dir.Lstat(name); err == nil {
		return errExists // before gigabytes are copied for nothing
	}
	return s.write(ctx, dir, name, src)
}

func (s Sink) write(ctx context.Context, dir *os.Root, name string, src *export.Source) (err error) {
	var b [8]byte
	rand.Read(b[:])                                    // never fails (crypto/rand)
	temporary := ".cellos-" + hex.EncodeToString(b[:]) // not made of the name, which may have the longest length already
	f, err := dir.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return cause(err)
	}
	defer dir.Remove(temporary)
	defer f.Close()
	buf := make([]byte, buffer)
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := src.Read(buf)
		if _, werr := f.Write(buf[:n]); werr != nil {
			return cause(werr)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return cause(err)
		}
	}
	if s.Sync {
		if err := f.Sync(); err != nil {
			return cause(err)
		}
	}
	if err := f.Close(); err != nil { // some file systems tell of a full disk only here
		return cause(err)
	}
	if err := dir.Link(temporary, name); errors.Is(err, fs.ErrExist) {
		return errExists
	} else if err != nil {
		return cause(err)
	}
	if s.Sync {
		if d, err := dir.Open("."); err == nil {
			defer d.Close()
			return cause(d.Sync())
		}
	}
	return nil
}

// plain reports whether a name is one name in a folder.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00") && !strings.HasPrefix(name, "~")
}

func kind(m fs.FileMode) string {
	if m&fs.ModeSymlink != 0 {
		return "symbolic link"
	}
	return "file"
}

// cause strips the paths that os errors repeat.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}
