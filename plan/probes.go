package plan

import (
	"strconv"
	"strings"

	"cellos.io/cellos/sysabi"
)

// A Probe is a system call that PID 1 makes inside the finished cell before the command starts, and the answer that it
// must get. It tests the boundary from where the command will stand.
type Probe struct {
	Layer string
	Name  string // what is tried: "mounting a file system"
	Call  string
	Args  []Operand
	Want  []sysabi.Errno // one of these; empty: the call must succeed
	Exact bool           // it must return Value; only where it must succeed
	Value int64
}

// Expects says in words what the answer must be.
func (p Probe) Expects() string {
	if p.Exact {
		return strconv.FormatInt(p.Value, 10)
	}
	if len(p.Want) == 0 {
		return "success"
	}
	s := make([]string, len(p.Want))
	for i, e := range p.Want {
		s[i] = e.Name()
	}
	return strings.Join(s, " or ")
}

// Holds reports whether a raw result of the call (negative errno on error) is the expected one.
func (p Probe) Holds(result int64) bool {
	if p.Exact {
		return result == p.Value
	}
	if len(p.Want) == 0 {
		return result >= 0
	}
	for _, e := range p.Want {
		if result == -int64(e) {
			return true
		}
	}
	return false
}

// An Operand is an argument of a probe: a number, a pointer to data, or the result of a probe before.
type Operand struct {
	Value  uint64
	Data   []byte // a pointer to a copy, if not nil
	Back   int    // the result of the probe that many before this one, if not 0
	Filter []byte // a pointer to a struct sock_fprog with this program, if not nil
}

func num(n uint64) Operand   { return Operand{Value: n} }
func text(s string) Operand  { return Operand{Data: append([]byte(s), 0)} }
func data(b ...byte) Operand { return Operand{Data: b} }
func neg(n int64) Operand    { return Operand{Value: uint64(n)} }
func previous() Operand      { return Operand{Back: 1} }
func (p *planner) deny(layer, name string, errs []sysabi.Errno, call string, args ...Operand) {
	p.p.Boot.Probes = append(p.p.Boot.Probes, Probe{Layer: layer, Name: name, Call: call, Args: args, Want: errs})
}

// canary is a file that every user may read, that no mount hides, and that no Landlock rule names: only Landlock refuses it.
const canary = "/.landlock"

var (
	eperm  = []sysabi.Errno{sysabi.EPERM}
	enosys = []sysabi.Errno{sysabi.ENOSYS}
)

// probes lists what must be refused. Each line names the layer that must refuse first.
func (p *planner) probes() {
	if p.sandbox != nil {
		p.sandboxSteps()
		p.sandboxProbes()
		p.outerProbes()
		return
	}
	cwd := neg(sysabi.AT_FDCWD)
	rdonly, wronly := num(sysabi.O_RDONLY|sysabi.O_CLOEXEC), num(sysabi.O_WRONLY|sysabi.O_CLOEXEC)
	create := num(sysabi.O_WRONLY | sysabi.O_CREAT | sysabi.O_CLOEXEC)

	asked := p.askNetwork()
	p.deny(LayerMount, "creating a file in /", []sysabi.Errno{sysabi.EROFS, sysabi.EACCES}, "openat", cwd, text("/probe"), create, num(0o600))
	if p.h.Entries["/usr"].Kind == Directory && !p.replaced("/usr") {
		if !p.replaced("/usr") {
			p.deny(LayerMount, "creating a folder in /usr", []sysabi.Errno{sysabi.EROFS, sysabi.EACCES}, "mkdirat", cwd, text("/usr/probe"), num(0o700))
		}
	}
	p.deny(LayerMount, "opening /sys", []sysabi.Errno{sysabi.ENOENT}, "openat", cwd, text("/sys/kernel"), rdonly, num(0))
	p.deny(LayerMount, "writing /proc/sys", []sysabi.Errno{sysabi.EROFS, sysabi.EACCES}, "openat", cwd, text("/proc/sys/kernel/hostname"), wronly, num(0))
	p.deny(LayerMount, "opening the host's disk devices", []sysabi.Errno{sysabi.ENOENT}, "openat", cwd, text("/dev/mem"), rdonly, num(0))
	if !p.lacks(LayerLandlock) {
		p.deny(LayerLandlock, "reading a file that no grant names", []sysabi.Errno{sysabi.EACCES}, "openat", cwd, text(canary), rdonly, num(0))
	}
	if p.h.Entries["/dev/tty"].Kind == Other {
		p.deny(LayerSession, "opening the controlling terminal", []sysabi.Errno{sysabi.ENXIO}, "openat", cwd, text("/dev/tty"), num(sysabi.O_RDWR|sysabi.O_CLOEXEC), num(0))
	}
	p.deny(LayerIdentity, "becoming the host's root", []sysabi.Errno{sysabi.EINVAL, sysabi.EPERM}, "setresuid", num(otherID(p.p.IDs.UID)), num(otherID(p.p.IDs.UID)), num(otherID(p.p.IDs.UID)))
	p.deny(LayerIdentity, "entering another group", []sysabi.Errno{sysabi.EPERM}, "setgroups", num(1), data(0, 0, 0, 0))
	p.deny(LayerIdentity, "regaining a capability", eperm, "capset",
		data(0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0), data(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 1, 0, 0, 0xff, 1, 0, 0, 0, 0, 0, 0))
	p.deny(LayerPID, "signalling a process of the host", []sysabi.Errno{sysabi.ESRCH}, "kill", num(4194303), num(0))
	p.deny(LayerLimits, "raising the limit of processes", eperm, "prlimit64", num(0), num(sysabi.RLIMIT_NPROC), Operand{Data: words(sysabi.RLIM_INFINITY, sysabi.RLIM_INFINITY)}, num(0))

	for _, ns := range []struct {
		layer, name string
		flag        uint64
	}{{LayerUser, "making a user namespace", sysabi.CLONE_NEWUSER}, {LayerMount, "making a mount namespace", sysabi.CLONE_NEWNS}} {
		p.deny(ns.layer, ns.name, eperm, "unshare", num(ns.flag))
	}
	p.deny(LayerMount, "mounting a file system", eperm, "mount", text("none"), text("/tmp"), text("tmpfs"), num(0), num(0))
	p.deny(LayerMount, "unmounting a cover", eperm, "umount2", text("/proc/sys"), num(sysabi.MNT_DETACH))
	p.deny(LayerSeccomp, "entering a namespace", eperm, "setns", num(3), num(0))
	if !strings.Contains(p.base(), "debug") {
		p.deny(LayerSeccomp, "tracing a process", eperm, "ptrace", num(sysabi.PTRACE_TRACEME), num(0), num(0), num(0))
	}
	if p.writesOnHost() {
		p.deny(LayerSeccomp, "making a set-user-ID file", eperm, "fchmodat", cwd, text("/tmp"), num(0o4777))
	}
	p.deny(LayerSeccomp, "loading a BPF program", eperm, "bpf", num(0), num(0), num(0))
	p.deny(LayerSeccomp, "reading a keyring", eperm, "keyctl", num(0), neg(-3), num(0))
	if !strings.HasPrefix(p.base(), "baseline") {
		p.deny(LayerSeccomp, "making a user namespace by clone3", enosys, "clone3", data(make([]byte, 64)...), num(64))
		p.deny(LayerSeccomp, "setting up io_uring", enosys, "io_uring_setup", num(1), num(0))
		p.deny(LayerSeccomp, "mounting by fsopen", enosys, "fsopen", text("tmpfs"), num(0))
		p.deny(LayerSeccomp, "changing the root", eperm, "chroot", text("/tmp"))
		p.deny(LayerSeccomp, "opening a socket to the hypervisor", []sysabi.Errno{sysabi.EAFNOSUPPORT}, "socket", num(sysabi.AF_VSOCK), num(sysabi.SOCK_STREAM), num(0))
		p.deny(LayerSeccomp, "opening a raw packet socket", []sysabi.Errno{sysabi.EAFNOSUPPORT}, "socket", num(sysabi.AF_PACKET), num(sysabi.SOCK_DGRAM), num(0))
		p.deny(LayerSeccomp, "an unknown system call", enosys, "", num(0))
	}
	p.networkProbes(asked)
}

// otherID is an id that the cell does not have; 0 unless that is the cell's own.
func otherID(id uint32) uint64 {
	if id == 0 {
		return 1
	}
	return 0
}
