//go:build linux && (amd64 || arm64)

package agent

import (
	"archive/tar"
	"bufio"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Opaque is the record of a tar header that marks a folder which replaces the one below it.
const Opaque = "CELLOS.opaque"

// changes sends what changed in the working directory: the upper layer of its overlay, or the whole folder if it was empty. Deleted
// paths are character devices 0/0, as overlayfs marks them.
func (m *machine) changes(c guest.Config, built cell.Cell) error {
	buf := bufio.NewWriterSize(part{m, guest.TypeChanges}, guest.MaxData)
	dir := built.Changes()
	if c.Work.Overlay {
		d, err := os.Open(plan.GuestScratch + "/upper")
		if err != nil {
			return err
		}
		defer d.Close()
		dir = d
	}
	if dir != nil {
		if err := archive(tar.NewWriter(buf), dir); err != nil {
			return err
		}
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	return m.send(guest.TypeChanges, []byte{1})
}

// archive writes everything in a folder. Nothing changes it any more: the cell has ended.
func archive(w *tar.Writer, dir *os.File) error {
	top := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/."
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil || name == "." {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		return entry(w, path, name, fi)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

func entry(w *tar.Writer, path, name string, fi fs.FileInfo) error {
	h := &tar.Header{Name: name, Mode: int64(fi.Mode().Perm()), ModTime: fi.ModTime(), Format: tar.FormatPAX}
	st, _ := fi.Sys().(*syscall.Stat_t)
	for _, x := range []struct {
		bit fs.FileMode
		is  int64
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if fi.Mode()&x.bit != 0 {
			h.Mode |= x.is
		}
	}
	switch fi.Mode().Type() {
	case 0:
		h.Typeflag, h.Size = tar.TypeReg, fi.Size()
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		if opaque(path) {
			h.PAXRecords = map[string]string{Opaque: "y"}
		}
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
	case fs.ModeNamedPipe:
		h.Typeflag = tar.TypeFifo
	case fs.ModeDevice | fs.ModeCharDevice:
		if st == nil || st.Rdev != 0 {
			return nil
		}
		h.Typeflag = tar.TypeChar
	default:
		return nil // a socket is nothing without its process
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// opaque reports whether a folder replaces the one of the lower layer.
func opaque(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	v, err := sysabi.Xattr(int(f.Fd()), "trusted.overlay.opaque")
	return err == nil && string(v) == "y"
}
