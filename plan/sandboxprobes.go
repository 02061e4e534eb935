package plan

import (
	"fmt"
	"strings"

	"cellos.io/cellos/sysabi"
)

// gvisorLastCap is the last capability that gVisor knows: CAP_CHECKPOINT_RESTORE, include/uapi/linux/capability.h.
const gvisorLastCap = 40

// step adds something that PID 1 has to do before the probes: a call that must succeed, and return a number if value is not negative.
func (p *planner) step(layer, name string, value int64, call string, args ...Operand) {
	p.p.Boot.Probes = append(p.p.Boot.Probes, Probe{Layer: layer, Name: name, Call: call, Args: args, Exact: value >= 0, Value: max(value, 0)})
}

func (p *planner) stepWrite(layer, name, file, content string) {
	p.step(layer, name, -1, "openat", neg(sysabi.AT_FDCWD), text(file), num(sysabi.O_WRONLY|sysabi.O_CLOEXEC), num(0))
	p.step(layer, name, int64(len(content)), "write", previous(), data([]byte(content)...), num(uint64(len(content))))
}

// sandboxSteps are what PID 1 does inside gVisor to become what the command will be. It is started as the owner of the grants with two
// capabilities, and ends as the command's user with none, under the command's filters. All of it is measured: a step that does not
// succeed is a layer that does not hold.
func (p *planner) sandboxSteps() {
	ids := p.p.IDs
	p.stepWrite(LayerLimits, "limiting processes", "/sys/fs/cgroup/pids/pids.max", fmt.Sprintf("%d\n", p.p.Limits.Processes+1))
	p.step(LayerMount, "putting control groups away", 0, "umount2", text("/sys/fs/cgroup"), num(sysabi.MNT_DETACH))
	p.step(LayerMount, "putting /sys away", 0, "umount2", text("/sys"), num(sysabi.MNT_DETACH))
	for _, name := range []string{"/dev/fuse", "/dev/net/tun"} { // gVisor makes them for everybody
		p.step(LayerMount, "removing "+name, 0, "unlinkat", neg(sysabi.AT_FDCWD), text(name), num(0))
	}
	p.step(LayerMount, "making /dev read-only", 0, "mount", text("none"), text("/dev"), num(0), num(sysabi.MS_REMOUNT|sysabi.MS_RDONLY|sysabi.MS_NOSUID|sysabi.MS_NOEXEC), num(0))
	p.step(LayerUser, "making a user namespace of its own", 0, "unshare", num(sysabi.CLONE_NEWUSER))
	p.stepWrite(LayerIdentity, fmt.Sprintf("becoming user %d", ids.UID), "/proc/self/uid_map", fmt.Sprintf("%d 0 1\n", ids.UID))
	p.stepWrite(LayerIdentity, "keeping its groups", "/proc/self/setgroups", "deny")
	p.stepWrite(LayerIdentity, fmt.Sprintf("becoming group %d", ids.GID), "/proc/self/gid_map", fmt.Sprintf("%d 0 1\n", ids.GID))
	for c := range uint64(gvisorLastCap + 1) {
		p.step(LayerIdentity, "dropping a capability from the bounding set", 0, "prctl", num(sysabi.PR_CAPBSET_DROP), num(c))
	}
	header := []byte{0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0}
	p.step(LayerIdentity, "dropping every capability", 0, "capset", data(header...), data(make([]byte, 24)...))
	for c := range uint64(gvisorLastCap + 1) {
		p.step(LayerIdentity, "looking for a capability in the bounding set", 0, "prctl", num(sysabi.PR_CAPBSET_READ), num(c))
	}
	p.step(LayerIdentity, "asking for its user", int64(ids.UID), "geteuid")
	p.step(LayerIdentity, "asking for its group", int64(ids.GID), "getegid")
	p.step(LayerIdentity, "asking for its supplementary groups", 0, "getgroups", num(0), num(0))
	p.step(LayerNNP, "asking for no_new_privs", 1, "prctl", num(sysabi.PR_GET_NO_NEW_PRIVS))
	for _, f := range p.p.Filters {
		if !f.Late {
			p.step(LayerSeccomp, "loading the filter "+f.Name, 0, "seccomp", num(sysabi.SECCOMP_SET_MODE_FILTER), num(0), Operand{Filter: f.Program})
		}
	}
}

// sandboxProbes lists what the command must be refused inside gVisor. Where gVisor refuses with another error than Linux does, both are
// good: what counts is that it refuses.
func (p *planner) sandboxProbes() {
	cwd := neg(sysabi.AT_FDCWD)
	rdonly, wronly := num(sysabi.O_RDONLY|sysabi.O_CLOEXEC), num(sysabi.O_WRONLY|sysabi.O_CLOEXEC)
	create := num(sysabi.O_WRONLY | sysabi.O_CREAT | sysabi.O_CLOEXEC)
	readOnly := []sysabi.Errno{sysabi.EROFS, sysabi.EACCES, sysabi.EPERM}
	gone := []sysabi.Errno{sysabi.ENOENT}

	p.step(LayerKernel, "opening a file that only gVisor's kernel has", -1, "openat", cwd, text("/proc/sentry-meminfo"), rdonly, num(0))
	p.deny(LayerMount, "creating a file in /", readOnly, "openat", cwd, text("/probe"), create, num(0o600))
	if p.h.Entries["/usr"].Kind == Directory && !p.replaced("/usr") {
		p.deny(LayerMount, "creating a folder in /usr", readOnly, "mkdirat", cwd, text("/usr/probe"), num(0o700))
	}
	p.deny(LayerMount, "opening /sys", gone, "openat", cwd, text("/sys/kernel"), rdonly, num(0))
	p.deny(LayerMount, "writing /proc/sys", append(readOnly, sysabi.ENOENT), "openat", cwd, text("/proc/sys/kernel/hostname"), wronly, num(0))
	p.deny(LayerMount, "opening the host's disk devices", gone, "openat", cwd, text("/dev/mem"), rdonly, num(0))
	p.deny(LayerMount, "opening the device of virtual links", gone, "openat", cwd, text("/dev/net/tun"), rdonly, num(0))
	p.deny(LayerMount, "creating a file in /dev", readOnly, "openat", cwd, text("/dev/probe"), create, num(0o600))
	p.deny(LayerMount, "opening the bundle", gone, "openat", cwd, text("/bundle/config.json"), rdonly, num(0))
	if !p.a.Command.Terminal {
		p.deny(LayerSession, "opening the controlling terminal", []sysabi.Errno{sysabi.ENXIO}, "openat", cwd, text("/dev/tty"), num(sysabi.O_RDWR|sysabi.O_CLOEXEC), num(0))
	}
	p.deny(LayerIdentity, "becoming somebody else", []sysabi.Errno{sysabi.EINVAL, sysabi.EPERM}, "setresuid", num(otherID(p.p.IDs.UID)), num(otherID(p.p.IDs.UID)), num(otherID(p.p.IDs.UID)))
	p.deny(LayerIdentity, "entering another group", eperm, "setgroups", num(1), data(0, 0, 0, 0))
	p.deny(LayerIdentity, "regaining a capability", eperm, "capset",
		data(0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0), data(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 1, 0, 0, 0xff, 1, 0, 0, 0, 0, 0, 0))
	p.deny(LayerPID, "signalling a process of the host", []sysabi.Errno{sysabi.ESRCH}, "kill", num(4194303), num(0))
	p.deny(LayerLimits, "reaching the limit of processes", gone, "openat", cwd, text("/sys/fs/cgroup/pids/pids.max"), wronly, num(0))
	for _, ns := range []struct {
		layer, name string
		flag        uint64
	}{{LayerUser, "making a user namespace", sysabi.CLONE_NEWUSER}, {LayerMount, "making a mount namespace", sysabi.CLONE_NEWNS}} {
		p.deny(ns.layer, ns.name, eperm, "unshare", num(ns.flag))
	}
	p.deny(LayerMount, "mounting a file system", eperm, "mount", text("none"), text("/tmp"), text("tmpfs"), num(0), num(0))
	p.deny(LayerMount, "unmounting /proc", eperm, "umount2", text("/proc"), num(sysabi.MNT_DETACH))
	p.deny(LayerSeccomp, "entering a namespace", eperm, "setns", num(3), num(0))
	p.deny(LayerSeccomp, "signalling the cell's first process", eperm, "kill", num(1), num(sysabi.SIGURG))
	if !strings.Contains(p.base(), "debug") {
		p.deny(LayerSeccomp, "tracing a process", eperm, "ptrace", num(sysabi.PTRACE_TRACEME), num(0), num(0), num(0))
	}
	if p.writesOnHost() {
		p.deny(LayerSeccomp, "making a set-user-ID file", eperm, "fchmodat", cwd, text("/tmp"), num(0o4777))
	}
	p.deny(LayerSeccomp, "loading a BPF program", eperm, "bpf", num(0), num(0), num(0))
	p.deny(LayerSeccomp, "reading a keyring", eperm, "keyctl", num(0), neg(-3), num(0))
	if !strings.HasPrefix(p.a.Syscalls, "baseline") {
		p.deny(LayerSeccomp, "making a user namespace by clone3", enosys, "clone3", data(make([]byte, 64)...), num(64))
		p.deny(LayerSeccomp, "setting up io_uring", enosys, "io_uring_setup", num(1), num(0))
		p.deny(LayerSeccomp, "mounting by fsopen", enosys, "fsopen", text("tmpfs"), num(0))
		p.deny(LayerSeccomp, "changing the root", eperm, "chroot", text("/tmp"))
		p.deny(LayerSeccomp, "opening a socket to the hypervisor", []sysabi.Errno{sysabi.EAFNOSUPPORT}, "socket", num(sysabi.AF_VSOCK), num(sysabi.SOCK_STREAM), num(0))
		p.deny(LayerSeccomp, "opening a raw packet socket", []sysabi.Errno{sysabi.EAFNOSUPPORT}, "socket", num(sysabi.AF_PACKET), num(sysabi.SOCK_DGRAM), num(0))
		p.deny(LayerSeccomp, "an unknown system call", enosys, "", num(0))
	}
	if p.p.Network.Device {
		p.networkProbes(nil)
	} else if !strings.Contains(p.a.Syscalls, "net-none") {
		p.step(LayerNet, "opening a socket of the cell's own network", -1, "socket", num(sysabi.AF_INET), num(sysabi.SOCK_DGRAM|sysabi.SOCK_CLOEXEC), num(0))
		// struct sockaddr_in: 192.0.2.1 (RFC 5737, documentation) port 9.
		p.deny(LayerNet, "reaching an address outside", []sysabi.Errno{sysabi.ENETUNREACH, sysabi.EHOSTUNREACH}, "connect", previous(), data(2, 0, 0, 9, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0), num(16))
	}
}

// outerProbes are made in the outer cell, where runsc will stand: what a sentry that was broken would meet.
func (p *planner) outerProbes() {
	cwd := neg(sysabi.AT_FDCWD)
	rdonly := num(sysabi.O_RDONLY | sysabi.O_CLOEXEC)
	create := num(sysabi.O_WRONLY | sysabi.O_CREAT | sysabi.O_CLOEXEC)
	gone := []sysabi.Errno{sysabi.ENOENT}
	inner := p.p.Boot.Probes
	p.p.Boot.Probes = nil
	p.deny(LayerMount, "creating a file in /", []sysabi.Errno{sysabi.EROFS}, "openat", cwd, text("/probe"), create, num(0o600))
	for _, d := range []string{"/usr/bin", "/sys/kernel", "/dev/mem", "/etc/passwd"} {
		p.deny(LayerMount, "opening "+d, gone, "openat", cwd, text(d), rdonly, num(0))
	}
	p.deny(LayerPID, "signalling a process of the host", []sysabi.Errno{sysabi.ESRCH}, "kill", num(4194303), num(0))
	p.deny(LayerIdentity, "becoming somebody else", []sysabi.Errno{sysabi.EINVAL}, "setresuid", num(1), num(1), num(1))
	for _, x := range []struct{ name, call string }{
		{"loading a BPF program", "bpf"}, {"reading a keyring", "keyctl"}, {"setting up io_uring", "io_uring_setup"}, {"counting events of the processor", "perf_event_open"},
		{"opening a file by its handle", "open_by_handle_at"}, {"loading a kernel", "kexec_load"}, {"reading the kernel's log", "syslog"},
	} {
		p.deny(LayerSeccomp, x.name, eperm, x.call, num(0), num(0), num(0))
	}
	p.deny(LayerSeccomp, "opening a socket to the hypervisor", []sysabi.Errno{sysabi.EAFNOSUPPORT}, "socket", num(sysabi.AF_VSOCK), num(sysabi.SOCK_STREAM), num(0))
	p.sandbox.Boot.Probes, p.p.Boot.Probes = p.p.Boot.Probes, inner
}
