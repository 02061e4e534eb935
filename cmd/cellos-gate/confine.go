package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// nobody owns nothing on a host.
const nobody = 65534

// most is how many descriptors the gate may have: its connections, those beyond, and questions under way.
const most = 1024

// confine takes from the process what it does not need to read a cell's packets and to connect, before it reads the first: files, other
// programs, other kinds of sockets, the rights of root, the attention of other processes. What it has open stays. It cannot be taken back.
func confine() error {
	for _, x := range []struct {
		resource int
		limit    uint64
	}{{sysabi.RLIMIT_CORE, 0}, {sysabi.RLIMIT_FSIZE, 1 << 20}, {sysabi.RLIMIT_NOFILE, most}} {
		if err := sysabi.SetHardLimit(x.resource, x.limit); err != nil {
			return fmt.Errorf("limiting the gate: %w", err)
		}
	}
	if os.Geteuid() == 0 {
		// From user 0 to another: the kernel takes all capabilities away (capabilities(7)).
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(nobody, nobody, nobody), syscall.Setresuid(nobody, nobody, nobody)); err != nil {
			return fmt.Errorf("giving up the rights of root: %w", err)
		}
	}
	if err := sysabi.SetDumpable(0); err != nil {
		return fmt.Errorf("hiding the gate from other processes: %w", err)
	}
	if _, err := sysabi.ForbidFiles(); err != nil {
		return fmt.Errorf("taking files from the gate: %w", err)
	}
	prog, err := seccomp.Compile(policy(os.Getpid()), sysabi.NativeArch())
	if err != nil {
		return fmt.Errorf("compiling the gate's filter: %w", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread() // TSYNC: every thread has the filter
	if err := sysabi.SetNoNewPrivs(); err != nil {
		return fmt.Errorf("loading the gate's filter: %w", err)
	}
	if _, err := sysabi.SeccompSetFilter(sysabi.SECCOMP_FILTER_FLAG_TSYNC|sysabi.SECCOMP_FILTER_FLAG_TSYNC_ESRCH, prog.Bytes()); err != nil {
		return fmt.Errorf("loading the gate's filter: %w", err)
	}
	return nil
}

// Values that the policy compares with.
const (
	cloneThread         = 0x10000    // CLONE_THREAD, include/uapi/linux/sched.h
	protExec            = 4          // PROT_EXEC, include/uapi/asm-generic/mman-common.h
	sockKinds           = 0xf        // SOCK_TYPE_MASK, include/linux/net.h
	setVMA              = 0x53564d41 // PR_SET_VMA, include/uapi/linux/prctl.h: the runtime names its memory
	dupCloexec          = 1030       // F_DUPFD_CLOEXEC, include/uapi/linux/fcntl.h
	getFD, getFL, setFL = 1, 3, 4
)

// policy allows what the runtime, a TCP/IP stack on descriptors that are open, and connections over IP need. What else is tried fails; what
// only an attacker tries ends the gate, and with it the cell.
func policy(self int) *seccomp.Policy {
	no := seccomp.Errno(sysabi.EPERM)
	only := func(names []string, conds ...seccomp.Cond) seccomp.Rule {
		return seccomp.Rule{Names: names, Cases: []seccomp.Case{{All: conds, Then: seccomp.Allow}}, Else: no}
	}
	return &seccomp.Policy{Name: "gate", Default: no, X32: seccomp.KillProcess, Rules: []seccomp.Rule{
		{Names: []string{
			// Descriptors.
			"read", "write", "readv", "writev", "pread64", "pwrite64", "close", "fstat", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "poll", "ppoll",
			// Sockets.
			"connect", "bind", "accept4", "getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown", "recvfrom", "recvmsg", "sendto", "sendmsg",
			// Memory and threads.
			"munmap", "madvise", "brk", "futex", "sched_yield", "sched_getaffinity", "gettid", "getpid", "sigaltstack", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
			"set_robust_list", "rseq", "membarrier", "exit", "exit_group", "restart_syscall",
			// Time and chance.
			"nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "getrandom",
		}, Else: seccomp.Allow},
		only([]string{"socket"}, seccomp.In(0, seccomp.Bits32, sysabi.AF_INET, sysabi.AF_INET6), seccomp.Masked(1, seccomp.Bits32, sockKinds, sysabi.SOCK_STREAM, sysabi.SOCK_DGRAM)),
		only([]string{"clone"}, seccomp.Masked(0, seccomp.Bits64, cloneThread, cloneThread)),
		only([]string{"mmap", "mprotect"}, seccomp.NoBit(2, seccomp.Bits32, protExec)),
		only([]string{"fcntl"}, seccomp.In(1, seccomp.Bits32, getFD, getFL, setFL, dupCloexec)),
		only([]string{"prctl"}, seccomp.Is(0, seccomp.Bits32, setVMA)),
		only([]string{"tgkill"}, seccomp.Is(0, seccomp.Bits32, uint64(self))), // the runtime interrupts its threads
		{Names: []string{"clone3"}, Else: seccomp.Errno(sysabi.ENOSYS)},       // its flags cannot be seen; callers fall back to clone
		{Names: []string{"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "bpf", "userfaultfd", "io_uring_setup", "keyctl", "mount",
			"unshare", "setns", "kexec_load", "init_module", "finit_module", "perf_event_open"}, Else: seccomp.KillProcess},
	}}
}
