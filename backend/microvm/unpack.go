//go:build linux && (amd64 || arm64)

package microvm

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/guest/agent"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Bounds of what a guest sends back, besides the size of its scratch space.
const (
	maxChanges = 100_000 // paths
	maxDepth   = 256     // folders within folders
	maxPadding = 10_240  // bytes behind the end of an archive: a record of tar(5)
)

// An unpacker writes what a guest sends back into a folder in the form that package overlay reads. The guest chose every name and every
// byte: nothing leaves the folder, no link is followed, and sizes and numbers are bounded.
//
// The folder is in the memory of the monitor's cell, beside its sockets: it is gone with the cell, whoever ends that and when.
type unpacker struct {
	dir  *os.File
	pipe *io.PipeWriter
	done chan error
	none bool // nothing is collected
	bad  error
}

// newUnpacker makes the folder in the monitor's. New files belong to the monitor's user: root has no files there.
func newUnpacker(p *plan.Plan, in *os.File, ids plan.IDs) *unpacker {
	u := &unpacker{done: make(chan error, 1)}
	if p.Work.Mode != authority.Overlay && p.Work.Mode != authority.Empty {
		u.none = true
		return u
	}
	path := fmt.Sprintf("/proc/self/fd/%d/changes", in.Fd())
	if u.bad = sysabi.FilesAs(ids.HostUID, ids.HostGID, func() error { return os.Mkdir(path, 0o700) }); u.bad != nil {
		return u
	}
	if u.dir, u.bad = os.Open(path); u.bad != nil {
		return u
	}
	r, w := io.Pipe()
	u.pipe = w
	go func() {
		err := sysabi.FilesAs(ids.HostUID, ids.HostGID, func() error { return unpack(path, r, int64(p.Limits.Scratch)) })
		if err == nil {
			err = padding(r)
		}
		if err != nil {
			err = fmt.Errorf("reading what the guest changed: %w", err)
		}
		r.CloseWithError(err) // what comes now is refused
		u.done <- err
	}()
	return u
}

// add takes a part of the stream.
func (u *unpacker) add(b []byte, last bool) error {
	if u.none || u.bad != nil {
		if len(b) > 0 && u.none {
			return &EndError{Reason: "protocol", Text: "the guest sends changes of a folder that it cannot change"}
		}
		return u.bad
	}
	if _, err := u.pipe.Write(b); err != nil {
		return err
	}
	if !last {
		return nil
	}
	u.pipe.Close()
	return <-u.done
}

// padding reads what stands behind an archive.
func padding(r io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxPadding+1))
	if err == nil && n > maxPadding {
		err = &EndError{Reason: "protocol", Text: "the guest sends more than an archive of changes"}
	}
	return err
}

// close lets the folder go.
func (u *unpacker) close() {
	if u.pipe != nil {
		u.pipe.CloseWithError(io.ErrUnexpectedEOF)
	}
	closeAll(u.dir)
}

// unpack reads a tar stream into a folder. Modes of folders come last, so that one without permission can be filled.
func unpack(dir string, r io.Reader, size int64) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	modes := map[string]fs.FileMode{}
	t := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(h.Name, "/")
		if n == maxChanges || !filepath.IsLocal(name) || path.Clean(name) != name || strings.Count(name, "/") > maxDepth || h.Size < 0 || h.Size > size {
			return fmt.Errorf("entry %d of the guest's changes, %.100q, is beyond the bounds", n, h.Name)
		}
		size -= h.Size
		if err := entry(root, t, h, name); err != nil {
			return fmt.Errorf("%.100q: %w", name, err)
		}
		if h.Typeflag == tar.TypeDir {
			modes[name] = h.FileInfo().Mode().Perm() | h.FileInfo().Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)
		}
	}
	for name, m := range modes {
		if err := root.Chmod(name, m&fs.ModePerm); err != nil {
			return err
		}
	}
	return nil
}

func entry(root *os.Root, r io.Reader, h *tar.Header, name string) error {
	perm := h.FileInfo().Mode().Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(name, 0o700); err != nil {
			return err
		}
		if h.PAXRecords[agent.Opaque] == "y" {
			d, err := root.Open(name)
			if err != nil {
				return err
			}
			defer d.Close()
			return syscall.Setxattr(fmt.Sprintf("/proc/self/fd/%d", d.Fd()), "user.overlay.opaque", []byte("y"), 0)
		}
		return nil
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Chmod(perm), f.Close())
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeFifo, tar.TypeChar:
		d, err := root.Open(path.Dir(name))
		if err != nil {
			return err
		}
		defer d.Close()
		mode := syscall.S_IFIFO | uint32(perm)
		if h.Typeflag == tar.TypeChar {
			mode = syscall.S_IFCHR // 0/0: overlayfs's mark of a deleted path, which everybody may make since Linux 5.8
		}
		return syscall.Mknodat(int(d.Fd()), path.Base(name), mode, 0)
	}
	return fmt.Errorf("a file of type %q", h.Typeflag)
}
