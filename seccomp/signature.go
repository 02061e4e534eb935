package seccomp

// Kind says what the kernel reads of an argument.
type Kind byte

// The kinds.
const (
	KindUnknown Kind = 0
	Kind32      Kind = 'i' // int, unsigned int, or a long of which only the low word is used
	Kind64      Kind = 'l' // long, size_t, off_t
	KindPointer Kind = 'p'
)

// ArgKind tells the kind of an argument of a call, from the definitions in the kernel's source (SYSCALL_DEFINE). It knows the calls
// that filters usually look into; others have KindUnknown.
func ArgKind(call string, arg int) Kind {
	if s := signature(call); arg >= 0 && arg < len(s) {
		return Kind(s[arg])
	}
	return KindUnknown
}

// Width returns the width that a condition on such an argument should have; unknown ones are compared whole.
func (k Kind) Width() Width {
	if k == Kind32 {
		return Bits32
	}
	return Bits64
}

// signature has one letter an argument. clone's flags and mmap's protection and flags are longs of which the kernel uses the low
// word only (kernel/fork.c:clone, mm/mmap.c:do_mmap).
func signature(call string) string {
	switch call {
	case "read", "write", "getdents", "getdents64":
		return "ipl"
	case "open", "mknod", "mkdir", "chmod", "creat", "access":
		if call == "open" || call == "mknod" {
			return "pii"
		}
		return "pi"
	case "openat", "mknodat", "fchmodat2", "faccessat2":
		return "ipii"
	case "mkdirat", "faccessat", "fchmodat", "unlinkat":
		return "ipi"
	case "openat2":
		return "ippl"
	case "close", "dup", "epoll_create1", "inotify_init1", "exit", "exit_group", "umask", "setsid", "personality", "unshare",
		"fchdir", "fsync", "fdatasync", "setuid", "setgid", "syncfs", "shmdt", "eventfd", "alarm", "pipe2":
		if call == "pipe2" {
			return "pi"
		}
		return "i"
	case "socket", "dup3", "close_range", "kill", "tgkill", "listen", "setns", "dup2", "tkill", "shutdown", "setpgid",
		"setreuid", "setregid", "setresuid", "setresgid", "msgget", "pidfd_open", "pidfd_getfd", "ioprio_get", "ioprio_set":
		return "iii"
	case "socketpair", "accept4":
		if call == "accept4" {
			return "ippi"
		}
		return "iiip"
	case "connect", "bind":
		return "ipi"
	case "accept", "getsockname", "getpeername":
		return "ipp"
	case "setsockopt", "getsockopt":
		return "iiipi"
	case "sendto", "recvfrom":
		return "iplipi"
	case "sendmsg", "recvmsg":
		return "ipi"
	case "sendmmsg", "recvmmsg":
		return "ipiip"
	case "ioctl", "fcntl":
		return "iil"
	case "prctl":
		return "illll"
	case "arch_prctl":
		return "il"
	case "seccomp":
		return "iip"
	case "clone":
		return "ilppl"
	case "clone3":
		return "pl"
	case "execve":
		return "ppp"
	case "execveat":
		return "ipppi"
	case "mmap":
		return "pliiil"
	case "mprotect", "pkey_mprotect":
		return "plii"
	case "mremap":
		return "plllp"
	case "munmap", "mlock", "munlock":
		return "pl"
	case "madvise", "mlock2", "msync":
		return "pli"
	case "brk":
		return "p"
	case "prlimit64":
		return "iipp"
	case "setrlimit", "getrlimit", "getrusage", "clock_gettime", "clock_getres", "clock_settime", "clock_adjtime":
		return "ip"
	case "sched_setscheduler":
		return "iip"
	case "sched_setparam", "sched_getparam", "sched_rr_get_interval":
		return "ip"
	case "sched_setaffinity", "sched_getaffinity":
		return "iip"
	case "futex":
		return "piippi"
	case "ptrace":
		return "llll"
	case "process_vm_readv", "process_vm_writev":
		return "iplpll"
	case "bpf":
		return "ipi"
	case "perf_event_open":
		return "piiil"
	case "keyctl":
		return "illll"
	case "memfd_create":
		return "pi"
	case "memfd_secret", "userfaultfd", "io_destroy":
		return "i"
	case "io_uring_setup":
		return "ip"
	case "io_uring_enter":
		return "iiiipl"
	case "mount":
		return "ppplp"
	case "umount2":
		return "pi"
	case "statx":
		return "ipiip"
	case "newfstatat":
		return "ippi"
	case "quotactl":
		return "ipip"
	case "reboot":
		return "iiip"
	case "rt_sigqueueinfo", "rt_tgsigqueueinfo":
		return "iip"
	case "shmget", "semget", "semctl", "shmctl":
		if call == "shmget" {
			return "ili"
		}
		return "iiil"
	case "shmat":
		return "ipi"
	case "lseek", "ftruncate":
		return "ili"
	case "epoll_ctl":
		return "iiip"
	case "epoll_wait":
		return "ipii"
	case "getrandom":
		return "pli"
	case "setpriority", "getpriority":
		return "iii"
	case "signalfd4":
		return "ipli"
	case "timerfd_create", "eventfd2":
		return "ii"
	case "landlock_restrict_self":
		return "ii"
	case "landlock_create_ruleset":
		return "pli"
	case "landlock_add_rule":
		return "iipi"
	}
	return ""
}
