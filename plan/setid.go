package plan

import (
	"slices"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// setID is a filter in front of the profile when the command may write on the host: it cannot give a file a set-user-ID or
// set-group-ID bit. What it writes belongs to whoever granted the folder, root perhaps, and such a bit would hand that identity to
// everybody who can reach the file outside.
func (p *planner) setID() {
	if !p.writesOnHost() {
		return
	}
	a, ok := sysabi.ArchByName(p.h.Arch)
	if !ok {
		return // refused already
	}
	prog, err := seccomp.Compile(setIDPolicy(), a)
	if err != nil {
		p.refuse("", "compiling the filter against set-user-ID files: "+err.Error(), "")
		return
	}
	p.load(Filter{Name: "set-id", By: "cellos", Program: prog.Bytes()}, "the filter against set-user-ID files", a)
}

// writesOnHost reports whether a granted tree of the host is shown for writing.
func (p *planner) writesOnHost() bool {
	return slices.ContainsFunc(p.trees, func(t tree) bool {
		return t.host != "" && t.access.Has(authority.CanWrite) && !(t.work && p.overlaid())
	})
}

// setIDPolicy denies every call that can set the bits. mkdir(2) ignores them; openat2(2) takes its mode by a pointer that no filter
// can follow, and its callers fall back to openat(2); io_uring opens files where no filter looks.
func setIDPolicy() *seccomp.Policy {
	const bits = 0o6000
	const creates = 0o100 | 0o20000000 // O_CREAT, __O_TMPFILE
	denied := seccomp.Errno(sysabi.EPERM)
	mode := func(arg int, names ...string) seccomp.Rule {
		return seccomp.Rule{Names: names, Else: seccomp.Allow, Cases: []seccomp.Case{{All: []seccomp.Cond{seccomp.AnyBit(arg, seccomp.Bits32, bits)}, Then: denied}}}
	}
	open := func(flags, arg int, name string) seccomp.Rule {
		return seccomp.Rule{Names: []string{name}, Else: seccomp.Allow, Cases: []seccomp.Case{{
			All:  []seccomp.Cond{seccomp.AnyBit(flags, seccomp.Bits32, creates), seccomp.AnyBit(arg, seccomp.Bits32, bits)},
			Then: denied,
		}}}
	}
	return &seccomp.Policy{Name: "set-id", Default: seccomp.Allow, Rules: []seccomp.Rule{
		mode(1, "chmod", "fchmod", "creat", "mknod"),
		mode(2, "fchmodat", "fchmodat2", "mknodat"),
		open(1, 2, "open"),
		open(2, 3, "openat"),
		{Names: []string{"openat2", "io_uring_setup", "io_uring_enter", "io_uring_register"}, Else: seccomp.Errno(sysabi.ENOSYS)},
	}}
}
