/* What init.c needs of the kernel's interface that is the same on both architectures. */
#ifdef __x86_64__
#include "sys_amd64.h"
#else
#include "sys_arm64.h"
#endif

#define sys0(n) sys6(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a) sys6(n, (long)(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b) sys6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(n, a, b, c) sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(n, a, b, c, d) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

enum { HOST = 3, PATH_MAX = 4096 };
enum { EINTR = 4, ECHILD = 10, EACCES = 13, ENOENT = 2, ENOTDIR = 20 };
enum { SIGKILL = 9, SIGCHLD = 17, SIG_SETMASK = 2, WNOHANG = 1 };
enum { CLONE_VM = 0x100, CLONE_VFORK = 0x4000, PR_SET_DUMPABLE = 4, TIOCSCTTY = 0x540E, TIOCSPGRP = 0x5410 };
enum { POLLIN = 1, MSG_TRUNC = 0x20, MSG_NOSIGNAL = 0x4000, O_CLOEXEC = 02000000, RUSAGE_CHILDREN = -1 };

struct pollfd {
	int fd;
	short events, revents;
};

struct fprog { /* struct sock_fprog, include/uapi/linux/filter.h */
	u16 len;
	const u8 *filter;
};

struct rusage { /* include/uapi/linux/resource.h */
	i64 utime[2], stime[2], maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals,
		nvcsw, nivcsw;
};

static void take(struct usage *to, const struct rusage *from)
{
	to->utime = from->utime[0] * 1000000 + from->utime[1];
	to->stime = from->stime[0] * 1000000 + from->stime[1];
	to->maxrss = from->maxrss;
	to->inblock = from->inblock;
	to->oublock = from->oublock;
	to->nvcsw = from->nvcsw;
	to->nivcsw = from->nivcsw;
}

/* lastpid returns the last process number that the pid namespace gave out: the last field of /proc/loadavg, or 0. */
static u64 lastpid(void)
{
	char b[128];
	long fd = sys4(NR_openat, -100, "/proc/loadavg", O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	long n = sys3(NR_read, fd, b, sizeof b);
	sys1(NR_close, fd);
	u64 v = 0;
	for (long i = 0; i < n; i++) {
		if (b[i] == ' ')
			v = 0;
		else if (b[i] >= '0' && b[i] <= '9')
			v = v * 10 + (b[i] - '0');
	}
	return v;
}
