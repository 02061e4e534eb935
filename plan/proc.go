package plan

import (
	"cellos.io/cellos/sysabi"
)

// procReadOnly are parts of /proc that change the kernel when written. In a user namespace most of them belong to an unmapped
// user anyway; the read-only mount does not depend on that.
var procReadOnly = []string{"bus", "fs", "irq", "sys"}

// procMasked are parts of /proc that tell of the host's hardware, its other users or the kernel's addresses, and that ordinary users may
// read. Each is covered by /dev/null or, if it is a folder, by an empty one. It is the list of the container runtimes and what shows kernel
// addresses, devices and keys.
var procMasked = []string{
	"acpi", "asound", "cmdline", "diskstats", "driver", "interrupts", "iomem", "ioports", "kallsyms", "kcore", "key-users", "keys", "kmsg",
	"latency_stats", "modules", "partitions", "sched_debug", "scsi", "swaps", "sysrq-trigger", "timer_list", "timer_stats",
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
