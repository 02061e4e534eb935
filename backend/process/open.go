//go:build linux && (amd64 || arm64)

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// A view is the cell's root, kept open beyond the end of its processes. The mount namespace must be kept too: without it the root would
// lose what is mounted below (fs/namespace.c: put_mnt_ns).
type view struct{ root, namespace *os.File }

// lookFrom opens the view of a process.
func lookFrom(pid int) (v view, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	if v.namespace, err = os.Open(dir + "ns/mnt"); err != nil {
		return v, err
	}
	if v.root, err = os.Open(dir + "root"); err != nil {
		v.close()
	}
	return v, err
}

func (v view) close() {
	for _, f := range []*os.File{v.root, v.namespace} {
		if f != nil {
			f.Close()
		}
	}
}

// Open opens a regular file as the command saw it. No component of the path may be a symbolic link. The file must have one name only, and
// the command must have had the right to read it: root, who opens it here, may read more.
func (c *processCell) Open(name string) (fs.File, error) {
	if c.view.root == nil {
		return nil, errors.New("the cell's files are not kept")
	}
	if !path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") {
		return nil, fmt.Errorf("opening %s: the path is not absolute, or has .. in it", name)
	}
	fail := func(err error) (fs.File, error) { return nil, fmt.Errorf("opening %s: %w", name, err) }
	fd, err := sysabi.OpenInRoot(int(c.view.root.Fd()), path.Clean(name))
	if errors.Is(err, sysabi.ELOOP) {
		err = errors.New("a component of the path is a symbolic link")
	}
	if err != nil {
		return fail(err)
	}
	at := os.NewFile(uintptr(fd), name)
	defer at.Close()
	info, err := at.Stat()
	if err != nil {
		return fail(err)
	}
	if err := exportable(info, c.plan.IDs); err != nil {
		return fail(err)
	}
	fd, err = sysabi.Reopen(fd)
	if err != nil {
		return fail(err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// exportable says why a file is not one to export.
func exportable(info fs.FileInfo, ids plan.IDs) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return errors.New("it is a symbolic link")
	case mode.IsDir():
		return errors.New("it is a folder")
	case !mode.IsRegular():
		return fmt.Errorf("it is no regular file (%v)", mode.Type())
	case !ok:
		return errors.New("who owns it is not known")
	case st.Nlink > 1:
		return fmt.Errorf("it has %d names (hard links)", st.Nlink)
	}
	may := mode.Perm()&0o004 != 0
	switch {
	case st.Uid == ids.HostUID:
		may = mode.Perm()&0o400 != 0
	case st.Gid == ids.HostGID:
		may = mode.Perm()&0o040 != 0
	}
	if !may {
		return errors.New("the command had no right to read it")
	}
	return nil
}
