package overlay

import (
	"io/fs"
	"syscall"

	"cellos.io/cellos/sysabi"
)

// whiteout reports whether an entry hides a deleted path: a character device 0/0
// (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
func whiteout(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && fi.Mode().Type() == fs.ModeDevice|fs.ModeCharDevice && st.Rdev == 0
}

// opaque reports whether a folder replaces the one of the lower layer: overlayfs with userxattr says so in user.overlay.opaque.
func (w *walker) opaque(name string) bool {
	d, err := w.open(name, 0o500)
	if err != nil {
		return false
	}
	defer d.Close()
	v, err := sysabi.Xattr(int(d.Fd()), "user.overlay.opaque")
	return err == nil && string(v) == "y"
}
