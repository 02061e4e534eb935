package analyze

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// siblings finds calls that do what a refused one does.
func (l *linter) siblings() {
	for _, group := range [][]string{
		{"unshare", "setns", "clone3"},
		{"mount", "fsopen", "fsmount", "move_mount", "open_tree", "open_tree_attr", "mount_setattr"},
		{"open", "openat", "openat2", "io_uring_setup"},
		{"execve", "execveat"},
		{"socket", "io_uring_setup"},
		{"kexec_load", "kexec_file_load"},
		{"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"},
		{"init_module", "finit_module"},
	} {
		var refused, allowed []string
		for _, name := range group {
			if _, ok := l.calls[name]; !ok {
				continue
			}
			if l.allowed(name) {
				allowed = append(allowed, name)
			} else {
				refused = append(refused, name)
			}
		}
		if len(refused) == 0 || len(allowed) == 0 {
			continue
		}
		if refused[0] != group[0] && group[0] != "ptrace" {
			continue // the newer call is refused and the older one allowed: that is how fallbacks work
		}
		l.add("sibling-gap", Warning, "refusing %s leaves calls open that do the same", strings.Join(refused, ", ")).Calls = allowed
	}
	clone, ok := l.calls["clone"]
	if !ok || l.allowed("unshare") {
		return
	}
	namespaces := no
	for _, flag := range []uint32{1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30} {
		bit := no
		for i := range uint32(32) {
			if flag>>(31-i)&1 != 0 {
				bit = l.d.variable(argBit + 32 + i)
			}
		}
		namespaces = l.d.or(namespaces, bit)
	}
	if open := l.d.and(l.permits(clone), namespaces); open != no {
		in := l.d.witness(open)
		l.add("sibling-gap", Warning, "refusing unshare leaves clone open, which makes namespaces, for example with the flags %#x", in.Args[0])
	}
}

// arguments checks the words that a verdict depends on against what the kernel reads.
func (l *linter) arguments() {
	d := l.d
	for i := range l.arch.Len() {
		name, nr := l.arch.At(i)
		f := l.calls[name]
		if f < maxTerminals {
			continue
		}
		var high, low [6]bool
		ip := false
		d.each(f, func(r ref) {
			bit := d.nodes[r].bit
			switch {
			case bit < argBit || bit == terminalBit:
			case bit >= ipBit:
				ip = true
			case (bit-argBit)%64 < 32:
				high[(bit-argBit)/64] = true
			default:
				low[(bit-argBit)/64] = true
			}
		})
		if ip {
			l.add("pointer-compare", Info, "%s depends on where it is called from", name).Calls = []string{name}
		}
		p := l.permits(f)
		for arg := range 6 {
			switch kind := seccomp.ArgKind(name, arg); {
			case kind == seccomp.Kind32 && high[arg]:
				zero := p
				for bit := range uint32(32) {
					zero = d.fix(zero, argBit+64*uint32(arg)+bit, false)
				}
				wider := d.and(p, d.not(zero))
				if wider == no {
					l.add("width", Info, "%s is refused for high bits of argument %d, which the kernel ignores", name, arg).Calls = []string{name}
					continue
				}
				in := d.witness(wider)
				in.NR, in.Arch = uint32(nr), l.arch.Audit()
				found := l.add("width", Warning, "%s: the kernel reads 32 bits of argument %d; a refused value passes with high bits, as %#x", name, arg, in.Args[arg])
				found.Calls, found.Witness = []string{name}, &in
			case (kind == seccomp.KindPointer || kind == seccomp.Kind64) && low[arg] && !high[arg]:
				l.add("width", Warning, "%s: only the low 32 bits of argument %d are compared, of which the kernel reads 64", name, arg).Calls = []string{name}
			}
			if seccomp.ArgKind(name, arg) == seccomp.KindPointer && (low[arg] || high[arg]) {
				l.add("pointer-compare", Info, "%s: argument %d is an address; what it points to is not seen", name, arg).Calls = []string{name}
			}
		}
	}
}

// errnos finds answers that the C library takes for final.
func (l *linter) errnos() {
	eperm := seccomp.Errno(sysabi.EPERM)
	var calls []string
	for _, name := range []string{"clone3", "statx", "faccessat2", "openat2", "fchmodat2", "rseq", "close_range", "membarrier", "getrandom"} {
		if a, ok := l.always(name); ok && a == eperm {
			calls = append(calls, name)
		}
	}
	if len(calls) > 0 {
		l.add("eperm-fallback", Warning, "EPERM is taken for final where ENOSYS makes the C library use an older call").Calls = calls
	}
	if a, ok := l.action(l.rest); ok && a == eperm {
		l.add("eperm-fallback", Warning, "unknown numbers get EPERM; with ENOSYS programs fall back to older calls")
	}
}

// values finds return values that surprise.
func (l *linter) values() {
	seen := map[string]bool{}
	say := func(id string, s Severity, format string, args ...any) {
		if !seen[id] {
			seen[id] = true
			l.add(id, s, format, args...)
		}
	}
	l.d.terminals(l.f, func(t ref) {
		a, ok := l.action(t)
		if !ok {
			return
		}
		switch {
		case !a.Known():
			say("unknown-action", Error, "it returns %v, which the kernel does not know and takes for kill_process", a)
		case a.Kind() == seccomp.KillThread:
			say("kill-thread", Warning, "it kills single threads, which leaves half a process running")
		case a.Kind() == seccomp.Notify:
			say("notif-without-listener", Warning, "it notifies; without a listener the call fails with ENOSYS")
		case a.Kind() == seccomp.Trace:
			say("trace-without-tracer", Warning, "it leaves calls to a tracer; without one the call fails with ENOSYS")
		case a == seccomp.Errno(0):
			say("errno-zero", Warning, "it returns error number 0: the call is not made and seems to succeed")
		case a.Kind() == seccomp.Errno(0) && a.Data() > seccomp.MaxErrno:
			say("errno-over-4095", Warning, "it returns error number %d, which the kernel lowers to 4095", a.Data())
		}
	})
}

// structure finds dead code, and filters that always run.
func (l *linter) structure() {
	if l.Decided() {
		var dead, constant []int
		for pc, ok := range l.reached {
			if !ok {
				dead = append(dead, pc)
			}
			if i := l.prog[pc]; ok && i.Code&0x07 == 5 && i.Code != 0x05 && i.JT != i.JF && l.taken[pc].yes != l.taken[pc].no {
				constant = append(constant, pc)
			}
		}
		if len(dead) > 0 {
			l.add("unreachable", Info, "nothing reaches instructions %s", positions(dead)).At = dead
		}
		if len(constant) > 0 {
			l.add("unreachable", Info, "the tests at %s always go the same way", positions(constant)).At = constant
		}
	}
	allowed, cached := 0, 0
	for i := range l.arch.Len() {
		name, nr := l.arch.At(i)
		if a, ok := l.always(name); ok && a == seccomp.Allow {
			allowed++
			if l.prog.ConstantAllow(uint32(nr), l.arch.Audit()) {
				cached++
			}
		}
	}
	if allowed > 0 && cached == 0 {
		l.add("uncached-all", Info, "the kernel can cache no verdict, because something other than the number and the architecture is used first: every call runs the filter, for 15 to 120 ns")
	}
}

// positions writes numbers, with ranges: "3, 5-9".
func positions(at []int) string {
	var parts []string
	for i := 0; i < len(at); {
		j := i
		for j+1 < len(at) && at[j+1] == at[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(at[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", at[i], at[j]))
		}
		i = j + 1
	}
	if len(parts) > 12 {
		parts = append(slices.Clip(parts[:12]), "…")
	}
	return strings.Join(parts, ", ")
}
