package plan

import (
	"fmt"
	"path"
	"strings"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// devices are the nodes of the cell's /dev. None of them reaches hardware or another process; /dev/tty is the opener's own
// controlling terminal, of which a cell has none unless it asked. /dev/random is a link: the two have been one since Linux 5.6.
var devices = []string{"/dev/full", "/dev/null", "/dev/tty", "/dev/urandom", "/dev/zero"}

// devices lists the nodes that the cell gets: those that every cell has where the host has them, and those that are asked for.
func (p *planner) devices() []string {
	var list []string
	for _, d := range devices {
		if p.h.Entries[d].Kind == Other {
			list = append(list, d)
		}
	}
	return append(list, p.a.Devices...)
}

// asked refuses a device that the host has not, or that the cell could not open. A cell that root starts has an identity that owns
// nothing: what it takes to open the devices is that its group becomes theirs. It sees nothing else of that group's.
func (p *planner) asked() {
	for _, d := range p.a.Devices {
		e := p.h.Entries[d]
		switch {
		case !strings.HasPrefix(d, "/dev/") || path.Dir(d) != "/dev":
			p.refuse("", d+" is no device of the folder /dev", "")
		case e.Err != "":
			p.refuse("", fmt.Sprintf("looking at %s: %s", d, e.Err), "let your user open it: on most systems that takes its group")
		case e.Kind != Other:
			p.refuse("", "there is no device "+d, "")
		case !p.h.Root() || e.Mode&0o006 == 0o006:
		case e.Mode&0o060 == 0o060 && e.GID != 0 && (p.p.IDs.HostGID == p.h.CellID || p.p.IDs.HostGID == e.GID):
			p.p.IDs.HostGID = e.GID
		default:
			p.refuse("", fmt.Sprintf("only its owner may open %s (mode %04o, group %d)", d, e.Mode, e.GID), "give the device a group of its own with mode 0660")
		}
	}
}

// devPoints makes the links of the cell's /dev, and places for its devices.
func (p *planner) devPoints() {
	b := &p.b
	for _, d := range p.devices() {
		p.file(d)
	}
	for _, l := range [][2]string{{"/proc/self/fd", "fd"}, {"urandom", "random"}, {"fd/0", "stdin"}, {"fd/1", "stdout"}, {"fd/2", "stderr"}, {"pts/ptmx", "ptmx"}} {
		b.do("linking /dev/"+l[1], "symlinkat", table.Path(l[0]), table.FD(p.rootFD), table.Path("dev/"+l[1]))
	}
}

// dev fills the cell's /dev.
func (p *planner) dev() {
	b := &p.b
	for _, d := range p.devices() {
		m := b.cloneTree(d, sysabi.AT_FDCWD, d, false)
		b.setAttr(d, m, NoSUID|NoExec, false)
		b.attach(d, m, p.rootFD, d[1:])
		p.mount(d, "", NoSUID|NoExec)
	}
	p.shm()
	pts := b.newFS("/dev/pts", "devpts", NoSUID|NoExec, [2]string{"ptmxmode", "0666"}, [2]string{"mode", "0620"})
	b.attach("/dev/pts", pts, p.rootFD, "dev/pts")
	p.mount("/dev/pts", "devpts", NoSUID|NoExec)
	if p.a.Command.Terminal {
		p.terminal(p.rootFD, 3)
	}
}

// shm shows a folder of the scratch space as /dev/shm.
func (p *planner) shm() {
	b := &p.b
	m := b.cloneTree("/dev/shm", sysabi.AT_FDCWD, "shm", false)
	b.setAttr("/dev/shm", m, NoSUID|NoDev|NoExec, false)
	b.attach("/dev/shm", m, p.rootFD, "dev/shm")
	p.mount("/dev/shm", "tmpfs", NoSUID|NoDev|NoExec)
}

// terminal makes the cell's own terminal, of the devpts in a root, the child's standard input, output and, if streams is 3, error. The
// supervisor takes the master side over before release; the caller's terminal never enters the cell.
func (p *planner) terminal(root, streams int) {
	b := &p.b
	b.in(LayerSession)
	master := b.opens("opening a new terminal", "openat", table.FD(root), table.Path("dev/pts/ptmx"),
		table.Flags(sysabi.O_RDWR|sysabi.O_NOCTTY, "O_RDWR|O_NOCTTY"), table.Num(0))
	b.do("unlocking the terminal", "ioctl", table.FD(master), table.Flags(sysabi.TIOCSPTLCK, "TIOCSPTLCK"), table.Struct(make([]byte, 4), "&0"))
	slave := b.opens("opening the terminal's other side", "ioctl", table.FD(master), table.Flags(sysabi.TIOCGPTPEER, "TIOCGPTPEER"),
		table.Flags(sysabi.O_RDWR|sysabi.O_NOCTTY, "O_RDWR|O_NOCTTY"))
	for fd, name := range []string{"input", "output", "error"}[:streams] {
		b.do("making the terminal standard "+name, "dup3", table.FD(slave), table.FD(fd), noFlags).Want = table.Exactly(fd)
	}
	b.close(slave)
	p.p.Held.Terminal = master
	b.in(LayerMount)
}
