package plan

import (
	"strings"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// An Attr is a set of mount attributes.
type Attr uint64

// The attributes, in the order of their names.
const (
	ReadOnly Attr = sysabi.MOUNT_ATTR_RDONLY
	NoSUID   Attr = sysabi.MOUNT_ATTR_NOSUID
	NoDev    Attr = sysabi.MOUNT_ATTR_NODEV
	NoExec   Attr = sysabi.MOUNT_ATTR_NOEXEC
)

// Options returns the attributes as mountinfo(5) and mount(8) name them: "ro,nosuid,nodev".
func (a Attr) Options() string {
	s := "rw"
	if a&ReadOnly != 0 {
		s = "ro"
	}
	for _, x := range []struct {
		bit  Attr
		name string
	}{{NoSUID, "nosuid"}, {NoDev, "nodev"}, {NoExec, "noexec"}} {
		if a&x.bit != 0 {
			s += "," + x.name
		}
	}
	return s
}

func (a Attr) arg() table.Arg {
	var s []string
	for _, x := range []struct {
		bit  Attr
		name string
	}{{ReadOnly, "RDONLY"}, {NoSUID, "NOSUID"}, {NoDev, "NODEV"}, {NoExec, "NOEXEC"}} {
		if a&x.bit != 0 {
			s = append(s, "MOUNT_ATTR_"+x.name)
		}
	}
	if len(s) == 0 {
		return table.Num(0)
	}
	return table.Flags(uint64(a), strings.Join(s, "|"))
}

// A Mount is one mount of the finished cell, as /proc/PID/mountinfo must show it.
type Mount struct {
	At   string // mount point in the cell
	Type string // file system type; "" if it is whatever the host's is
	Attr Attr   // attributes that must be set
}

// Small pieces of the mount API; see fsopen(2), open_tree(2), mount_setattr(2), move_mount(2).

var noFlags = table.Num(0)

// Source is the source of every file system that a plan makes, as mountinfo(5) shows it: what carries it belongs to a cell.
const Source = "cellos"

// newFS makes a file system and returns a descriptor of its detached mount.
func (b *builder) newFS(what, fstype string, attr Attr, options ...[2]string) int {
	name := "making " + what
	f := b.opens(name, "fsopen", table.Path(fstype), table.Flags(sysabi.FSOPEN_CLOEXEC, "FSOPEN_CLOEXEC"))
	for _, o := range append([][2]string{{"source", Source}}, options...) {
		call := []table.Arg{table.FD(f), table.Flags(sysabi.FSCONFIG_SET_STRING, "FSCONFIG_SET_STRING"), table.Path(o[0]), table.Path(o[1]), noFlags}
		if o[1] == "" {
			call[1], call[3] = table.Flags(sysabi.FSCONFIG_SET_FLAG, "FSCONFIG_SET_FLAG"), table.Null()
		}
		b.do(name, "fsconfig", call...)
	}
	b.do(name, "fsconfig", table.FD(f), table.Flags(sysabi.FSCONFIG_CMD_CREATE, "FSCONFIG_CMD_CREATE"), table.Null(), table.Null(), noFlags)
	m := b.opens(name, "fsmount", table.FD(f), table.Flags(sysabi.FSMOUNT_CLOEXEC, "FSMOUNT_CLOEXEC"), attr.arg())
	b.close(f)
	return m
}

// cloneTree copies the mount at a path, with everything mounted below it, and returns a descriptor of the detached copy.
func (b *builder) cloneTree(what string, at int, path string, recursive bool) int {
	flags, text := uint64(sysabi.OPEN_TREE_CLONE|sysabi.OPEN_TREE_CLOEXEC), "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC"
	if recursive {
		flags, text = flags|sysabi.AT_RECURSIVE, text+"|AT_RECURSIVE"
	}
	return b.opens("opening "+what, "open_tree", table.FD(at), table.Path(path), table.Flags(flags, text))
}

// clonePinned is cloneTree for a path that a person named: no component of it may be a symbolic link, also not one that
// appeared after the path was checked.
func (b *builder) clonePinned(what, path string) int {
	how := words(sysabi.O_PATH|sysabi.O_CLOEXEC, 0, sysabi.RESOLVE_NO_SYMLINKS|sysabi.RESOLVE_NO_MAGICLINKS)
	f := b.opens("opening "+what, "openat2", table.FD(sysabi.AT_FDCWD), table.Path(path),
		table.Struct(how, "{O_PATH|O_CLOEXEC, RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS}"), table.Num(uint64(len(how))))
	t := b.opens("opening "+what, "open_tree", table.FD(f), table.Path(""),
		table.Flags(sysabi.OPEN_TREE_CLONE|sysabi.OPEN_TREE_CLOEXEC|sysabi.AT_EMPTY_PATH|sysabi.AT_RECURSIVE,
			"OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH|AT_RECURSIVE"))
	b.close(f)
	return t
}

// setAttr sets attributes on the mount of a descriptor.
func (b *builder) setAttr(what string, fd int, attr Attr, recursive bool) {
	flags, text := uint64(sysabi.AT_EMPTY_PATH), "AT_EMPTY_PATH"
	if recursive {
		flags, text = flags|sysabi.AT_RECURSIVE, text+"|AT_RECURSIVE"
	}
	a := words(uint64(attr), 0, 0, 0)
	b.do("making "+what+" "+attr.Options(), "mount_setattr", table.FD(fd), table.Path(""), table.Flags(flags, text),
		table.Struct(a, "{attr_set="+attr.Options()+"}"), table.Num(uint64(len(a))))
}

// attach moves a detached mount to a path below a directory, and closes its descriptor.
func (b *builder) attach(what string, fd, at int, path string) {
	b.attachKeep(what, fd, at, path)
	b.close(fd)
}

func (b *builder) attachKeep(what string, fd, at int, path string) {
	b.do("mounting "+what, "move_mount", table.FD(fd), table.Path(""), table.FD(at), table.Path(path),
		table.Flags(sysabi.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"))
}
