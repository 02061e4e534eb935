package plan

import (
	"fmt"
	"path"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// root builds the cell's file tree and makes it the root. While it is built the host's root is still the root, and the new one
// grows beside it:
//
//	/                 the host, private from here on
//	/proc (on top)    the scratch space, a tmpfs; it is the working directory of the child meanwhile
//	  root/           the cell's root: folders, links and mount points; a mount of its own, read-only in the end
//	  lower/          the working directory of the host, when it is overlaid
//	  upper/ work/    what changes in it
//	  nothing/        covers what is the supervisor's own
//	  tmp/ shm/ dir/  shown in the cell as /tmp, /dev/shm, and an empty working directory
//
// /proc is a folder that every host has and no grant touches. The scratch space must not lie on the root itself: the one umount
// below would then take it for the root (fs/namei.c:path_mountpoint follows what is mounted on ".") and leave the host in place.
//
// pivot_root puts the cell's root in place of everything, and one umount drops the rest, so no name inside leads out.
func (p *planner) root() {
	b := &p.b
	b.in(LayerMount)
	b.do("clearing the umask", "umask", table.Num(0))
	private := words(0, 0, sysabi.MS_PRIVATE, 0)
	b.do("making every mount private", "mount_setattr", table.FD(sysabi.AT_FDCWD), table.Path("/"), table.Flags(sysabi.AT_RECURSIVE, "AT_RECURSIVE"),
		table.Struct(private, "{propagation=MS_PRIVATE}"), table.Num(uint64(len(private))))
	p.scratch()

	p.rootFD = b.cloneTree("the cell's root", sysabi.AT_FDCWD, "root", false)
	b.attachKeep("the cell's root", p.rootFD, sysabi.AT_FDCWD, "root")
	p.made = map[string]bool{}
	p.points()
	// What is the host's and nobody changes comes first, and is made read-only with the root in one call.
	p.etc()
	for i, t := range p.trees {
		if t.system && !t.own() {
			p.mountAt(i, b.cloneTree(t.at, sysabi.AT_FDCWD, t.host, true))
			p.mount(t.at, "", t.attr())
		}
	}
	b.setAttr("the cell's root", p.rootFD, ReadOnly|NoSUID|NoDev, true)
	if p.sandbox == nil {
		p.proc()
		p.dev()
	} else {
		p.shm()
	}
	for i, t := range p.trees {
		if !t.system || t.own() {
			p.show(i)
		}
	}
	p.mount("/", "tmpfs", ReadOnly|NoSUID|NoDev)
	if p.a.Work.Mode == authority.Overlay || p.a.Work.Mode == authority.Empty {
		p.p.Held.Changes = b.opens("opening the folder of changes", "openat", table.FD(sysabi.AT_FDCWD), table.Path(p.changes()), table.Flags(sysabi.O_RDONLY, "O_RDONLY"), table.Num(0))
	}
	if p.sandbox != nil {
		p.sandboxRoot()
	}
	b.do("entering the cell's root", "fchdir", table.FD(p.rootFD))
	b.close(p.rootFD)
	b.do("making it the root", "pivot_root", table.Path("."), table.Path("."))
	b.do("dropping the host's files", "umount2", table.Path("."), table.Flags(sysabi.MNT_DETACH, "MNT_DETACH"))
	if p.sandbox == nil {
		b.do("entering the working directory", "chdir", table.Path(p.a.Work.Path))
	} else {
		b.do("entering the bundle", "chdir", table.Path(sandboxBundle))
	}
	b.do("setting the umask", "umask", table.Flags(0o022, "022"))
}

// points makes every folder, link and mount point of the root itself.
func (p *planner) points() {
	b := &p.b
	for _, d := range p.system() {
		if e := p.h.Entries[d]; e.Kind == Symlink && !p.replaced(d) {
			b.do("linking "+d, "symlinkat", table.Path(e.Target), table.FD(p.rootFD), table.Path(d[1:]))
		}
	}
	for i, t := range p.trees {
		if _, inside := p.outer(i); inside {
			continue
		}
		if t.kind == Directory {
			p.folder(t.at)
		} else {
			p.folder(path.Dir(t.at))
			p.file(t.at)
		}
	}
	p.folder("/proc")
	p.folder("/dev/pts")
	p.folder("/dev/shm")
	if p.sandbox == nil {
		p.file(canary)
	}
	p.etcPoints()
	if p.sandbox == nil {
		p.devPoints()
	}
}

func (p *planner) changes() string {
	if p.a.Work.Mode == authority.Empty {
		return "dir"
	}
	return "upper"
}

// scratch makes the memory-backed space for everything that the command writes and nobody asked to keep.
func (p *planner) scratch() {
	b := &p.b
	size := p.a.Limits.Scratch
	// One name for each 4 KiB, as the kernel's own default relates them, but never fewer than a package manager needs.
	s := b.newFS("the scratch space", "tmpfs", NoSUID|NoDev, [2]string{"mode", "0755"},
		[2]string{"size", fmt.Sprint(size)}, [2]string{"nr_inodes", fmt.Sprint(max(size/4096, 65536))})
	b.attachKeep("the scratch space", s, sysabi.AT_FDCWD, "/proc")
	b.do("entering the scratch space", "fchdir", table.FD(s))
	b.close(s)
	dirs := []struct {
		name string
		mode uint32
	}{{"root", 0o755}, {"tmp", 0o1777}, {"shm", 0o1777}}
	if p.sandbox != nil {
		dirs = append(dirs, struct {
			name string
			mode uint32
		}{"outer", 0o755})
	}
	if p.covered() {
		dirs = append(dirs, struct {
			name string
			mode uint32
		}{"nothing", 0o555})
	}
	switch p.a.Work.Mode {
	case authority.Overlay:
		work := p.h.Entries[p.a.Work.Path].Mode & 0o1777
		dirs = append(dirs, []struct {
			name string
			mode uint32
		}{{"lower", 0o755}, {"upper", work | 0o700}, {"work", 0o700}}...)
	case authority.Empty:
		dirs = append(dirs, struct {
			name string
			mode uint32
		}{"dir", 0o755})
	}
	for _, d := range dirs {
		b.do("making "+d.name+" in the scratch space", "mkdirat", table.FD(sysabi.AT_FDCWD), table.Path(d.name), mode(d.mode))
	}
}

// show mounts one tree at its place.
func (p *planner) show(i int) {
	b, t := &p.b, p.trees[i]
	attr := t.attr()
	var fd int
	fstype := ""
	switch {
	case t.work && p.a.Work.Mode == authority.Overlay:
		fd, fstype = p.overlay(t, attr), "overlay"
	case t.covers:
		fd, fstype = b.cloneTree("an empty folder", sysabi.AT_FDCWD, "nothing", false), "tmpfs"
		b.setAttr("the cover of "+t.at, fd, attr, false)
	case t.own():
		name := "tmp"
		if t.work {
			name = "dir"
		}
		fd, fstype = b.cloneTree(t.at, sysabi.AT_FDCWD, name, false), "tmpfs"
	case t.slot >= 0:
		fd = t.slot // attributes are set by the supervisor
	default:
		fd = b.clonePinned(t.host, t.host)
		b.setAttr(t.at, fd, attr, true)
	}
	p.mountAt(i, fd)
	p.mount(t.at, fstype, attr)
}

// overlay makes the copy-on-write view of the working directory.
func (p *planner) overlay(t tree, attr Attr) int {
	b := &p.b
	lower := t.slot
	if lower < 0 {
		lower = b.clonePinned(t.host, t.host)
		b.setAttr(t.host, lower, ReadOnly|NoSUID|NoDev, true)
	}
	b.attach("the host's "+t.host+" as the lower layer", lower, sysabi.AT_FDCWD, "lower")
	// userxattr: an unprivileged overlay keeps its marks in user.overlay.*, see Documentation/filesystems/overlayfs.rst.
	return b.newFS("the copy-on-write view of "+t.at, "overlay", attr, [2]string{"lowerdir", "lower"}, [2]string{"upperdir", "upper"},
		[2]string{"workdir", "work"}, [2]string{"userxattr", ""})
}

// mountAt attaches a detached mount at a tree's place, making folders on the way where they are ours to make.
func (p *planner) mountAt(i, fd int) {
	b, t := &p.b, p.trees[i]
	if o, ok := p.outer(i); ok && !o.own() {
		how := words(sysabi.O_PATH|sysabi.O_CLOEXEC, 0, sysabi.RESOLVE_NO_SYMLINKS|sysabi.RESOLVE_NO_MAGICLINKS)
		on := b.opens("opening the place for "+t.at, "openat2", table.FD(p.rootFD), table.Path(t.at[1:]),
			table.Struct(how, "{O_PATH|O_CLOEXEC, RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS}"), table.Num(uint64(len(how))))
		b.do("mounting "+t.at, "move_mount", table.FD(fd), table.Path(""), table.FD(on), table.Path(""),
			table.Flags(sysabi.MOVE_MOUNT_F_EMPTY_PATH|sysabi.MOVE_MOUNT_T_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH"))
		b.close(on)
		b.close(fd)
		return
	}
	if _, inside := p.outer(i); inside {
		if t.kind == Directory {
			p.folder(t.at)
		} else {
			p.folder(path.Dir(t.at))
			p.file(t.at)
		}
	}
	b.attach(t.at, fd, p.rootFD, t.at[1:])
}

// folder makes a folder of the cell's root and everything above it.
func (p *planner) folder(at string) {
	for i := 1; i <= len(at); i++ {
		if i < len(at) && at[i] != '/' {
			continue
		}
		if d := at[:i]; d != "" && d != "/" && !p.made[d] {
			p.made[d] = true
			p.b.do("making "+d, "mkdirat", table.FD(p.rootFD), table.Path(d[1:]), mode(0o755))
		}
	}
}

// file makes an empty file to mount on.
func (p *planner) file(at string) {
	p.b.do("making "+at, "mknodat", table.FD(p.rootFD), table.Path(at[1:]), table.Flags(sysabi.S_IFREG|0o444, "S_IFREG|0444"), table.Num(0))
}

func (p *planner) mount(at, fstype string, attr Attr) {
	p.p.Mounts = append(p.p.Mounts, Mount{At: at, Type: fstype, Attr: attr})
}
