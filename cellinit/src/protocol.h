/*
 * The messages between the supervisor (host) and PID 1 of a cell (init), on descriptor 3, one end of a
 * socketpair(AF_UNIX, SOCK_SEQPACKET). Little-endian. The Go side is in messages.go and boot.go.
 *
 *	host                                init
 *	BOOT ─────────────────────────────▶ makes the probes
 *	looks at the cell from outside ◀─── READY
 *	                                    with filters in BOOT: the command's process loads them, and stands still
 *	looks at that process          ◀─── LOADED, from that process; or FAILED
 *	RELEASE ──────────────────────────▶ starts the command
 *	  ◀──────────────────────────────── RUNNING, or FAILED
 *	SIGNAL* ──────────────────────────▶ kill(2)
 *	                                    command ended: kills and reaps everything
 *	  ◀──────────────────────────────── EXIT
 *	END ──────────────────────────────▶ exit status 0
 *
 * END ends init at any time. The end of the connection does too: with status EXIT_GONE before EXIT or FAILED was sent,
 * because the supervisor has died, and with 0 afterwards.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

enum { BOOT = 1, READY, RELEASE, RUNNING, FAILED, SIGNAL, EXIT, END, LOADED };
enum { MAGIC = 0x494c4543 /* "CELI" */, VERSION = 2 };
enum { MAX_MESSAGE = 163840, MAX_PROBES = 256, MAX_ARGS = 6, MAX_FILTERS = 4, MAX_FILTER = 4096, MAX_ARGUMENTS = 64 << 20 };
/*
 * FLAG_TTY: descriptor 0 becomes the controlling terminal of the command's session. FLAG_ARGUMENTS: the argument vector and the environment are
 * in the file at descriptor 4. FLAG_FOREGROUND: descriptor 0 is init's controlling terminal already, and cannot be given to another session; the
 * command stays in init's, as the foreground process group.
 */
enum { FLAG_TTY = 1, FLAG_ARGUMENTS = 2, FLAG_FOREGROUND = 4 };
enum { ARG_IMMEDIATE, ARG_DATA, ARG_PREVIOUS, ARG_FILTER }; /* ARG_PREVIOUS: how many probes lie between. ARG_FILTER: data that is a u64 count and so many instructions */
enum { LISTENER = 0x80000000 }; /* in the length of a filter: make a listener, seccomp_unotify(2) */
enum { PROBE_CLOSE = 1 }; /* close the result, if it is a descriptor, after the next probe */

/* Exit statuses of init. */
enum { EXIT_GONE = 101, EXIT_GARBAGE = 102, EXIT_SYSTEM = 103 };

/* What init was doing when the command could not be started. */
enum { STAGE_CLONE = 1, STAGE_SESSION, STAGE_TERMINAL, STAGE_DESCRIPTORS, STAGE_FILTER, STAGE_GATE, STAGE_EXEC };

/*
 * The file of FLAG_ARGUMENTS: its size in bytes, the number of arguments, the number of variables, 0; then each, ending in a zero byte.
 * It serves where the kernel that starts init takes less than the command may have.
 */
struct arguments {
	u32 size, argc, envc, zero;
};

/* BOOT: this, then the probes, the filters, the data (a multiple of 8 bytes), the candidates. */
struct boot {
	u32 type, magic, version, flags; /* bits 8 to 15: the first descriptor that the command keeps; bits 16 to 23: how many */
	u32 probes;		  /* number */
	u32 filters;		  /* number */
	u32 data;		  /* bytes */
	u32 candidates;		  /* number of paths, each ending in a zero byte */
	u32 filter[MAX_FILTERS];  /* number of instructions of 8 bytes each, and LISTENER */
	u64 exec[3];		  /* where path, arguments and environment of execve lie; 0: anywhere */
};

struct probe {
	u64 nr;
	u8 nargs, flags, tag[MAX_ARGS];
	u64 arg[MAX_ARGS];
};

struct ready {
	u32 type, n;
	i64 result[MAX_PROBES];
};

struct running {
	u32 type, pid;
};

struct loaded {
	u32 type, listener; /* a descriptor of the process; 0 if there is none */
};

struct failed {
	u32 type, errno_, candidate, stage;
};

struct signal {
	u32 type, signo, all, zero;
};

struct usage {
	i64 utime, stime; /* microseconds */
	i64 maxrss;	  /* KiB */
	i64 inblock, oublock, nvcsw, nivcsw;
};

struct exit {
	u32 type, status;
	struct usage main, all;
	u64 lastpid;
};
