package plan

import (
	"cellos.io/cellos/sysabi"
)

// procReadOnly are parts of /proc that change the kernel when written. In a user namespace most of them belong to an unmapped
// user anyway; the read-only mount does not depend on that.
var procReadOnly = []string{"bus", "fs", "irq", "sys"}

// procMasked are parts of /proc that tell of the host or its kernel, or act on it. Each is covered by /dev/null or, if it is a
// folder, by an empty one. The container runtimes' list, and the files that show kernel addresses or the host's devices.
var procMasked = []string{
	"acpi", "asound", "buddyinfo", "cmdline", "config.gz", "consoles", "crypto", "diskstats", "dma", "driver", "execdomains", "fb",
	"interrupts", "iomem", "ioports", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags",
	"latency_stats", "modules", "pagetypeinfo", "partitions", "sched_debug", "schedstat", "scsi", "slabinfo", "softirqs", "swaps",
	"sysrq-trigger", "timer_list", "timer_stats", "vmallocinfo", "zoneinfo",
}

func procNames() []string { return append(append([]string{}, procReadOnly...), procMasked...) }

// proc mounts the cell's own /proc, which shows only the cell's processes, and covers the parts that are the host's.
func (p *planner) proc() {
	b := &p.b
	p.folder("/proc")
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
			m = b.newFS("the cover of "+at, "tmpfs", ReadOnly|NoSUID|NoDev|NoExec, [2]string{"size", "4k"}, [2]string{"nr_inodes", "1"})
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
