//go:build linux && (amd64 || arm64)

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Places of the initramfs while the tree is made.
const (
	staging = "/drives" // one folder a drive
	root    = "/tree"   // what becomes the root
)

// tree makes the root of the drives, which are mounted at places, and makes it the root of the machine: what the plan calls the host.
func tree(c guest.Config, places []string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := top(c, places); err != nil {
		return fmt.Errorf("making the root: %w", err)
	}
	for i, d := range c.Drives {
		from := places[i]
		at := string(d.At)
		var err error
		switch {
		case at == "/" && c.Image: // it is there
		case at == "/":
			err = base(from)
		case len(d.File) > 0:
			err = show(filepath.Join(from, string(d.File)), at, false)
		default:
			err = show(from, at, true)
		}
		if err != nil {
			return fmt.Errorf("showing the drive %s at %s: %w", d.Device, at, err)
		}
	}
	if c.Asks {
		if err := os.Mkdir(root+plan.GuestSecrets, 0o700); err != nil {
			return fmt.Errorf("making the folder of the secrets' socket: %w", err)
		}
	}
	if err := work(c); err != nil {
		return fmt.Errorf("making the working directory: %w", err)
	}
	for _, d := range []string{"/proc", "/dev"} {
		if err := os.MkdirAll(root+d, 0o755); err != nil {
			return err
		}
		if err := sysabi.Mount(d, root+d, "", sysabi.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving %s: %w", d, err)
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	// pivot_root(2) refuses where the root is the initramfs itself; moving over it is the way of every initramfs.
	if err := sysabi.Mount(root, "/", "", sysabi.MS_MOVE, ""); err != nil {
		return fmt.Errorf("making the tree the root: %w", err)
	}
	if err := sysabi.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

// top makes the top of the tree: an empty folder in memory or, of an image, one over it, so that places can be made anywhere.
func top(c guest.Config, places []string) error {
	at := root
	if c.Image {
		at = "/over"
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
	}
	if err := sysabi.Mount("cellos-guest", at, "tmpfs", sysabi.MS_NOSUID|sysabi.MS_NODEV, "mode=0755,size=16m"); err != nil || !c.Image {
		return err
	}
	for _, d := range []string{"/upper", "/work"} {
		if err := os.Mkdir(at+d, 0o755); err != nil {
			return err
		}
	}
	if err := sysabi.Mount("overlay", root, "overlay", sysabi.MS_NOSUID|sysabi.MS_NODEV, "lowerdir="+places[0]+",upperdir=/over/upper,workdir=/over/work"); err != nil {
		return err
	}
	r, err := os.OpenRoot(root) // no link of the image leads out of it
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.MkdirAll("etc", 0o755); err != nil {
		return err
	}
	for _, f := range c.Etc {
		if err := r.RemoveAll("etc/" + f.Name); err != nil {
			return err
		}
		if err := r.WriteFile("etc/"+f.Name, f.Text, 0o644); err != nil {
			return err
		}
	}
	for _, x := range c.Places {
		if err := place(r, string(x.At)[1:], x.Folder); err != nil {
			return err
		}
	}
	return nil
}

// place makes something to mount on, where nothing is.
func place(r *os.Root, at string, folder bool) error {
	dir := path.Dir(at)
	if folder {
		dir = at
	}
	if err := r.MkdirAll(dir, 0o755); err != nil || folder {
		return err
	}
	f, err := r.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	return f.Close()
}

// base shows the folders and links of the first drive.
func base(from string) error {
	names, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, n := range names {
		at := "/" + n.Name()
		switch n.Type() {
		case fs.ModeSymlink:
			target, err := os.Readlink(from + at)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, root+at); err != nil {
				return err
			}
		case fs.ModeDir:
			if err := show(from+at, at, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// show binds a file or folder to its place in the tree, which is made where it is missing.
func show(from, at string, folder bool) error {
	to := root + at
	if err := os.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	if folder {
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
	} else if f, err := os.OpenFile(to, os.O_CREATE|os.O_RDONLY, 0o444); err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sysabi.Mount(from, to, "", sysabi.MS_BIND|sysabi.MS_REC, "")
}

// work puts an overlay over the working directory. Its marks are trusted.overlay.*, which only the machine's root can set, and its upper
// layer is in memory, which the kernel may move to the scratch drive.
func work(c guest.Config) error {
	if err := os.MkdirAll(root+plan.GuestScratch, 0o700); err != nil {
		return err
	}
	if !c.Work.Overlay {
		return nil
	}
	s := root + plan.GuestScratch
	if err := sysabi.Mount("cellos-guest", s, "tmpfs", sysabi.MS_NOSUID|sysabi.MS_NODEV, fmt.Sprintf("mode=0700,size=%d,nr_inodes=%d", c.Work.Size, max(c.Work.Size/4096, 65536))); err != nil {
		return err
	}
	at := root + string(c.Work.Path)
	fi, err := os.Stat(at)
	if err != nil {
		return err
	}
	for _, d := range []string{"/upper", "/work"} {
		if err := os.Mkdir(s+d, 0o755); err != nil {
			return err
		}
	}
	// The upper layer's root is what the cell sees of the working directory itself.
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		if err := os.Chown(s+"/upper", int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if err := os.Chmod(s+"/upper", fi.Mode().Perm()|0o700); err != nil {
		return err
	}
	// The names go in by the working directory: an option may hold neither a comma nor a colon.
	if err := os.Chdir(s); err != nil {
		return err
	}
	defer os.Chdir("/")
	if err := os.Mkdir("lower", 0o755); err != nil {
		return err
	}
	if err := sysabi.Mount(at, "lower", "", sysabi.MS_BIND, ""); err != nil {
		return err
	}
	return sysabi.Mount("overlay", at, "overlay", sysabi.MS_NOSUID|sysabi.MS_NODEV, "lowerdir=lower,upperdir=upper,workdir=work")
}
