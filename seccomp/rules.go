package seccomp

import "cellos.io/cellos/sysabi"

// The rules on arguments. Numbers are those of the kernel's headers; they are the same on amd64, arm64 and riscv64.

const (
	cloneVM      = 0x00000100
	cloneSighand = 0x00000800
	cloneThread  = 0x00010000

	// Every namespace that clone(2) can ask for. CLONE_NEWTIME shares its bit with the exit signal there.
	cloneNewAny = sysabi.CLONE_NEWNS | sysabi.CLONE_NEWCGROUP | sysabi.CLONE_NEWUTS | sysabi.CLONE_NEWIPC |
		sysabi.CLONE_NEWUSER | sysabi.CLONE_NEWPID | sysabi.CLONE_NEWNET

	seccompNewListener = 8 // SECCOMP_FILTER_FLAG_NEW_LISTENER
	afInet6            = 10
)

// allowIf allows under the conditions and otherwise answers e.
func allowIf(name string, otherwise sysabi.Errno, all ...Cond) Rule {
	return Rule{Names: []string{name}, Cases: []Case{{All: all, Then: Allow}}, Else: Errno(otherwise)}
}

func hardenedRules() []Rule {
	// Only the low word of clone's flags is used (kernel/fork.c:clone).
	plainFile := func(name string, arg int) Rule {
		// S_IFMT must say nothing, regular file, FIFO or socket. umode_t has 16 bits.
		return allowIf(name, sysabi.EPERM, Masked(arg, Bits32, 0xf000, 0, sysabi.S_IFREG, 0x1000, 0xc000))
	}
	return []Rule{
		allowIf("clone", sysabi.EPERM, NoBit(0, Bits32, cloneNewAny)),
		personalities(0),
		plainFile("mknod", 1),
		plainFile("mknodat", 2),
		{
			Names: []string{"ioctl"},
			Cases: []Case{{
				// TIOCSTI (CVE-2017-5226), TIOCLINUX, TIOCCONS, TIOCSETD
				All:  []Cond{In(1, Bits32, 0x5412, 0x541c, 0x541d, 0x5423)},
				Then: Errno(sysabi.EPERM),
			}},
			Else: Allow,
		},
		allowIf("seccomp", sysabi.EPERM, NoBit(1, Bits32, seccompNewListener)),
		sockets(),
	}
}

// personalities allows Linux, Linux32 and UNAME26 (0x20000) alone, and the question 0xffffffff. With a flag, also with it.
func personalities(flag uint64) Rule {
	values := []uint64{0, 8, 0x20000, 0x20008, 0xffffffff}
	if flag != 0 {
		for _, v := range values[:4] {
			values = append(values, v|flag)
		}
	}
	return allowIf("personality", sysabi.EPERM, In(0, Bits32, values...))
}

// sockets allows AF_UNIX, NETLINK_ROUTE, and TCP and UDP over IP.
func sockets() Rule {
	const family, kind, protocol = 0, 1, 2
	inet := In(family, Bits32, sysabi.AF_INET, afInet6)
	netlink := Is(family, Bits32, sysabi.AF_NETLINK)
	return Rule{
		Names: []string{"socket"},
		Cases: []Case{
			{[]Cond{Is(family, Bits32, sysabi.AF_UNIX)}, Allow},
			{[]Cond{netlink, Is(protocol, Bits32, 0)}, Allow},
			{[]Cond{netlink}, Errno(sysabi.EPROTONOSUPPORT)},
			// SOCK_STREAM or SOCK_DGRAM, with any of the flags above the low four bits; TCP is 6, UDP 17.
			{[]Cond{inet, Masked(kind, Bits32, 15, sysabi.SOCK_STREAM, sysabi.SOCK_DGRAM), In(protocol, Bits32, 0, 6, 17)}, Allow},
			{[]Cond{inet}, Errno(sysabi.EPROTONOSUPPORT)},
		},
		Else: Errno(sysabi.EAFNOSUPPORT),
	}
}

// unixOnly allows AF_UNIX and nothing else.
func unixOnly() Rule {
	r := allowIf("socket", sysabi.EAFNOSUPPORT, Is(0, Bits32, sysabi.AF_UNIX))
	r.Names = append(r.Names, "socketpair")
	return r
}

func strictRules() []Rule {
	const threads = cloneVM | cloneSighand | cloneThread
	return []Rule{
		allowIf("clone", sysabi.EPERM, Masked(0, Bits32, threads|cloneNewAny, threads)),
		// TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, TCGETS2
		allowIf("ioctl", sysabi.ENOTTY, In(1, Bits32, 0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451, 0x802c542a)),
		// PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_SET_TIMERSLACK,
		// PR_GET_TIMERSLACK, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_VMA (names for anonymous memory)
		allowIf("prctl", sysabi.EINVAL, In(0, Bits32, 1, 3, 15, 16, 23, 29, 30, 38, 39, 0x53564d41)),
		allowIf("prlimit64", sysabi.EPERM, Is(0, Bits32, 0)),
	}
}
