package sysabi

// Values that are the same on amd64, arm64 and riscv64. Flags whose value differs between architectures
// (O_DIRECTORY, O_NOFOLLOW) are not here: plans do without them.

// Namespace and process flags of clone3(2), include/uapi/linux/sched.h.
const (
	CLONE_NEWTIME   = 0x00000080
	CLONE_NEWNS     = 0x00020000
	CLONE_NEWCGROUP = 0x02000000
	CLONE_NEWUTS    = 0x04000000
	CLONE_NEWIPC    = 0x08000000
	CLONE_NEWUSER   = 0x10000000
	CLONE_NEWPID    = 0x20000000
	CLONE_NEWNET    = 0x40000000
)

// Descriptors and paths, include/uapi/linux/fcntl.h, include/uapi/asm-generic/fcntl.h.
const (
	AT_FDCWD      = -100
	AT_EMPTY_PATH = 0x1000
	AT_RECURSIVE  = 0x8000

	O_RDONLY  = 0
	O_WRONLY  = 1
	O_RDWR    = 2
	O_CREAT   = 0o100
	O_NOCTTY  = 0o400
	O_TRUNC   = 0o1000
	O_CLOEXEC = 0o2000000

	F_DUPFD_CLOEXEC = 1030
	O_PATH          = 0o10000000

	S_IFREG = 0o100000
	S_IFCHR = 0o020000
)

// openat2(2), include/uapi/linux/openat2.h.
const (
	RESOLVE_NO_MAGICLINKS = 0x02
	RESOLVE_NO_SYMLINKS   = 0x04
)

// The mount API, include/uapi/linux/mount.h.
const (
	OPEN_TREE_CLONE   = 1
	OPEN_TREE_CLOEXEC = O_CLOEXEC

	MOVE_MOUNT_F_EMPTY_PATH = 0x00000004
	MOVE_MOUNT_T_EMPTY_PATH = 0x00000040

	MOUNT_ATTR_RDONLY = 0x00000001
	MOUNT_ATTR_NOSUID = 0x00000002
	MOUNT_ATTR_NODEV  = 0x00000004
	MOUNT_ATTR_NOEXEC = 0x00000008
	MOUNT_ATTR_IDMAP  = 0x00100000

	FSOPEN_CLOEXEC      = 1
	FSMOUNT_CLOEXEC     = 1
	FSCONFIG_SET_FLAG   = 0
	FSCONFIG_SET_STRING = 1
	FSCONFIG_CMD_CREATE = 6
	MS_RDONLY           = 0x1
	MS_NOSUID           = 0x2
	MS_NODEV            = 0x4
	MS_NOEXEC           = 0x8
	MS_REMOUNT          = 0x20
	MS_PRIVATE          = 1 << 18
	MNT_DETACH          = 2
)

// prctl(2), include/uapi/linux/prctl.h; securebits, include/uapi/linux/securebits.h.
const (
	PR_CAPBSET_READ          = 23
	PR_CAPBSET_DROP          = 24
	PR_SET_SECUREBITS        = 28
	PR_SET_NO_NEW_PRIVS      = 38
	PR_GET_NO_NEW_PRIVS      = 39
	PR_CAP_AMBIENT           = 47
	PR_CAP_AMBIENT_CLEAR_ALL = 4

	// Every securebit and its lock: no capability by uid 0, none across set*uid, none ambient.
	SECUREBITS_LOCKED = 0xef
)

// Resource limits, include/uapi/asm-generic/resource.h.
const (
	RLIMIT_FSIZE  = 1
	RLIMIT_CORE   = 4
	RLIMIT_NPROC  = 6
	RLIMIT_NOFILE = 7
	RLIMIT_NICE   = 13
	RLIMIT_RTPRIO = 14
	RLIM_INFINITY = ^uint64(0)
)

// Landlock, include/uapi/linux/landlock.h.
const (
	LANDLOCK_RULE_PATH_BENEATH = 1

	LANDLOCK_ACCESS_FS_EXECUTE     = 1 << 0
	LANDLOCK_ACCESS_FS_WRITE_FILE  = 1 << 1
	LANDLOCK_ACCESS_FS_READ_FILE   = 1 << 2
	LANDLOCK_ACCESS_FS_READ_DIR    = 1 << 3
	LANDLOCK_ACCESS_FS_REMOVE_DIR  = 1 << 4
	LANDLOCK_ACCESS_FS_REMOVE_FILE = 1 << 5
	LANDLOCK_ACCESS_FS_MAKE_CHAR   = 1 << 6
	LANDLOCK_ACCESS_FS_MAKE_DIR    = 1 << 7
	LANDLOCK_ACCESS_FS_MAKE_REG    = 1 << 8
	LANDLOCK_ACCESS_FS_MAKE_SOCK   = 1 << 9
	LANDLOCK_ACCESS_FS_MAKE_FIFO   = 1 << 10
	LANDLOCK_ACCESS_FS_MAKE_BLOCK  = 1 << 11
	LANDLOCK_ACCESS_FS_MAKE_SYM    = 1 << 12
	LANDLOCK_ACCESS_FS_REFER       = 1 << 13 // ABI 2
	LANDLOCK_ACCESS_FS_TRUNCATE    = 1 << 14 // ABI 3
	LANDLOCK_ACCESS_FS_IOCTL_DEV   = 1 << 15 // ABI 5

	LANDLOCK_ACCESS_NET_BIND_TCP    = 1 << 0 // ABI 4
	LANDLOCK_ACCESS_NET_CONNECT_TCP = 1 << 1

	LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0 // ABI 6
	LANDLOCK_SCOPE_SIGNAL               = 1 << 1
)

// Further numbers that plans use.
const (
	SECCOMP_SET_MODE_FILTER     = 1
	SIG_SETMASK                 = 2
	SIGKILL                     = 9
	SIGURG                      = 23
	SIGSYS                      = 31
	KEYCTL_JOIN_SESSION_KEYRING = 1

	AF_UNIX       = 1
	AF_INET       = 2
	AF_INET6      = 10
	AF_NETLINK    = 16
	AF_PACKET     = 17
	AF_ALG        = 38
	AF_VSOCK      = 40
	SOCK_STREAM   = 1
	SOCK_DGRAM    = 2
	SOCK_CLOEXEC  = O_CLOEXEC
	SOCK_NONBLOCK = 0x800

	MSG_CMSG_CLOEXEC = 0x40000000
	SIOCSIFFLAGS     = 0x8914
	IFF_UP           = 0x1
	IFF_RUNNING      = 0x40
	TIOCSPTLCK       = 0x40045431
	TIOCGPTPEER      = 0x5441
	PTRACE_TRACEME   = 0
)

// Network devices, addresses and routes: netdevice(7), include/uapi/linux/sockios.h, route.h, if_tun.h.
const (
	SIOCADDRT      = 0x890b
	SIOCSIFADDR    = 0x8916
	SIOCSIFNETMASK = 0x891c
	SIOCSIFMTU     = 0x8922
	RTF_UP         = 0x1
	RTF_GATEWAY    = 0x2

	TUNSETIFF     = 0x400454ca
	TUNSETPERSIST = 0x400454cb
	TUNSETOFFLOAD = 0x400454d0
	TUNSETIFINDEX = 0x400454da
	IFF_TUN       = 0x0001
	IFF_NO_PI     = 0x1000
	IFF_VNET_HDR  = 0x4000
	TUN_F_CSUM    = 0x1
	TUN_F_TSO4    = 0x2
	TUN_F_TSO6    = 0x4
)
