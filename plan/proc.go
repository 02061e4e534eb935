package plan

import (
	"cellos.io/cellos/sysabi"
)

// procReadOnly are parts of /proc that a user who is root inside could write, capabilities or not (net/sysctl_net.c:net_ctl_permissions).
// Everything else that changes the kernel belongs to the host's root there, which a cell never is.
var procReadOnly = []string{"sys"}

// procMasked are parts of /proc that tell of the host's hardware, boot parameters, keys and the kernel's addresses, and that ordinary
// users may read. Each is covered by /dev/null or, if it is a folder, by an empty one. It is the list of the container runtimes, and three
// more: the boot parameters, and the two files that show addresses where kernel.kptr_restrict is 0.
var procMasked = []string{
	"acpi", "asound", "cmdline", "interrupts", "kallsyms", "kcore", "keys", "latency_stats", "modules", "sched_debug", "scsi", "sysrq-trigger",
	"timer_list", "timer_stats",
}

func procNames() []string { return append(append([]string{}, procReadOnly...), procMasked...) }

// proc mounts the cell's own /proc, which shows only the cell's processes, and covers the parts that are the host's.
func (p *planner) proc() {
	b := &p.b
	fd := b.newFS("/proc", "proc", NoSUID|NoDev|NoExec)
	b.attachKeep("/proc", fd, p.rootFD, "proc")
	p.mount("/proc", "proc", NoSUID|NoDev|NoExec)
	for _, name := range procReadOnly {
		at := "/proc/" + name
		if p.h.Entries[at].Kind != Directory {
			continue
		}
		m := b.cloneTree(at, fd, name, false)
		b.setAttr(at, m, ReadOnly|NoSUID|NoDev|NoExec, false)
		b.attach(at, m, fd, name)
		p.mount(at, "proc", ReadOnly|NoSUID|NoDev|NoExec)
	}
	for _, name := range procMasked {
		at := "/proc/" + name
		var m int
		e := p.h.Entries[at]
		if e.Mode&0o007 == 0 {
			continue // root's alone: the cell's user is nobody there
		}
		switch e.Kind {
		case Directory:
			m = b.cloneTree("an empty folder", p.rootFD, "dev/pts", false) // empty still, and read-only as the root is
		case Missing, Unknown:
			continue
		default:
			m = b.cloneTree("/dev/null", sysabi.AT_FDCWD, "/dev/null", false)
		}
		b.attach("the cover of "+at, m, fd, name)
		p.mount(at, "", 0)
	}
	b.close(fd)
}
