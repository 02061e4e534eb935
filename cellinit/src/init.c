/*
 * PID 1 of a cell: makes the probes, waits for the release, starts the command, passes signals on, reaps, reports.
 * Freestanding: no library, no heap, no writable data but .bss. See protocol.h for what it says and hears.
 *
 * It needs these calls, so a filter that is loaded before it has to allow them: clone (CLONE_VM|CLONE_VFORK), close,
 * close_range, execve, exit, exit_group, getpid, getrusage, ioctl(TIOCSCTTY or TIOCSPGRP), kill, mmap (with FLAG_ARGUMENTS, or where BOOT carries
 * addresses), openat, ppoll, prctl, read, recvfrom, rt_sigaction, rt_sigprocmask, seccomp and write (where BOOT carries filters), sendto,
 * setpgid or setsid, signalfd4, wait4. The filters of BOOT have to allow read, write and execve.
 */
#include "protocol.h"
#include "kernel.h"

long clone_on(unsigned long flags, void *stack, void (*fn)(void));

static u8 message[MAX_MESSAGE] __attribute__((aligned(16))); /* BOOT stays here */
static u8 child_stack[8192] __attribute__((aligned(16)));
static struct ready ready;
static struct exit report;
static struct rusage usage;
static char **argv, **envp;
static const struct boot *boot;
static const struct probe *probes;
static const u8 *filters, *data, *candidates;
static int events;     /* the signalfd */
static int command;    /* process id of the command; 0 before it runs and after it was reaped */
static int reported;   /* EXIT or FAILED was sent */

/* Written by the child, which shares the memory and runs while init stands still. */
static volatile struct failed failed;
static volatile int over; /* the host ended the cell instead of releasing the command */

static void quit(int status)
{
	for (;;)
		sys1(NR_exit_group, status);
}

static void send(const void *m, u64 size)
{
	long n;
	do
		n = sys4(NR_sendto, HOST, m, size, MSG_NOSIGNAL);
	while (n == -EINTR);
	if (n != (long)size)
		quit(EXIT_GONE);
}

/* receive returns the length of the next message, which is in buf. The end of the connection ends init. */
static u64 receive(void *buf, u64 size)
{
	struct pollfd p = { HOST, POLLIN, 0 };
	long n;
	do { /* the socket may be non-blocking */
		sys4(NR_ppoll, &p, 1, 0, 0);
		n = sys4(NR_recvfrom, HOST, buf, size, MSG_TRUNC);
	} while (n == -EINTR || n == -11 /* EAGAIN */);
	if (n <= 0) /* also ECONNRESET: the host closed with messages of ours unread */
		quit(reported ? 0 : EXIT_GONE);
	if ((u64)n > size || n < 8)
		quit(EXIT_GARBAGE);
	u32 type = *(u32 *)buf;
	if (type == END && n == 8)
		quit(0);
	return n;
}

/* fits reports whether a filter lies in the data. */
static int fits(u64 at)
{
	return at % 8 == 0 && at + 8 <= boot->data && *(u64 *)(data + at) <= MAX_FILTER && *(u64 *)(data + at) <= (boot->data - at - 8) / 8;
}

/* parse checks BOOT, n bytes in message, and sets the pointers into it. */
static int parse(u64 n)
{
	boot = (const struct boot *)message;
	if (n < sizeof *boot || boot->type != BOOT || boot->magic != MAGIC || boot->version != VERSION)
		return 0;
	if ((boot->flags & ~(FLAG_TTY | FLAG_ARGUMENTS | FLAG_FOREGROUND | 0xffff00u)) || boot->probes > MAX_PROBES || boot->filters > MAX_FILTERS || boot->data > MAX_MESSAGE ||
	    boot->data % 8 || !boot->candidates)
		return 0;
	u64 at = sizeof *boot;
	probes = (const struct probe *)(message + at);
	at += boot->probes * sizeof *probes;
	filters = message + at;
	for (u32 i = 0; i < boot->filters; i++) {
		u32 n = boot->filter[i] & ~LISTENER;
		if (!n || n > MAX_FILTER)
			return 0;
		at += 8ul * n;
	}
	data = message + at;
	at += boot->data;
	if (at >= n)
		return 0;
	candidates = message + at;
	u32 ends = 0;
	for (; at < n; at++)
		ends += !message[at];
	if (ends != boot->candidates || message[n - 1])
		return 0;
	for (u32 i = 0; i < boot->probes; i++) {
		const struct probe *p = &probes[i];
		if (p->nargs > MAX_ARGS || (p->flags & ~PROBE_CLOSE))
			return 0;
		for (int j = 0; j < p->nargs; j++)
			if (p->tag[j] > ARG_FILTER || (p->tag[j] == ARG_DATA && p->arg[j] >= boot->data) ||
			    (p->tag[j] == ARG_FILTER && !fits(p->arg[j])))
				return 0;
	}
	return 1;
}

/* probe makes the calls of the list. The host judges the results. */
static void probe(void)
{
	long before = -1; /* a descriptor to be closed after the next probe */
	for (u32 i = 0; i < boot->probes; i++) {
		const struct probe *p = &probes[i];
		long a[MAX_ARGS];
		struct fprog prog;
		for (int j = 0; j < MAX_ARGS; j++) {
			a[j] = j < p->nargs ? p->arg[j] : 0;
			if (j < p->nargs && p->tag[j] == ARG_DATA)
				a[j] = (long)(data + p->arg[j]);
			else if (j < p->nargs && p->tag[j] == ARG_PREVIOUS)
				a[j] = p->arg[j] < i ? ready.result[i - 1 - p->arg[j]] : -1;
			else if (j < p->nargs && p->tag[j] == ARG_FILTER) {
				prog.len = *(u64 *)(data + p->arg[j]);
				prog.filter = data + p->arg[j] + 8;
				a[j] = (long)&prog;
			}
		}
		long r = sys6(p->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		ready.result[i] = r;
		if (before >= 0)
			sys1(NR_close, before);
		before = r >= 0 && (p->flags & PROBE_CLOSE) ? r : -1;
	}
	if (before >= 0)
		sys1(NR_close, before);
	ready.type = READY;
	ready.n = boot->probes;
	send(&ready, 8 + 8ul * boot->probes);
}

/* leave ends the command's process, whatever its filters say. */
static void leave(void)
{
	sys1(NR_exit, 127);
	sys1(NR_exit_group, 127);
	__builtin_trap();
}

static void fail(u32 stage, long r)
{
	failed.stage = stage;
	failed.errno_ = -r;
	leave();
}

/* place puts bytes at an address that the host chose. */
static void *place(u64 at, const void *from, u64 size)
{
	u64 start = at & ~0xfffful; /* the largest page of an architecture */
	long r = sys6(NR_mmap, start, at + size - start, 3 /* PROT_READ|PROT_WRITE */, 0x100022 /* MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE */, -1, 0);
	if (r != (long)start)
		quit(EXIT_SYSTEM);
	for (u64 i = 0; i < size; i++)
		((volatile u8 *)at)[i] = ((const u8 *)from)[i];
	return (void *)at;
}

/* gate loads the filters, says so, and stands still until the release. Only reading, writing and execve are left to do then. */
static void gate(void)
{
	struct loaded m = { LOADED, 0 };
	const u8 *at = filters;
	for (u32 i = 0; i < boot->filters; i++) {
		u32 n = boot->filter[i] & ~LISTENER;
		struct fprog prog = { n, at };
		long r = sys3(NR_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, boot->filter[i] & LISTENER ? 8 /* NEW_LISTENER */ : 0, &prog);
		if (r < 0)
			fail(STAGE_FILTER, r);
		m.listener |= r;
		/* From here on a filter may end this process: then init reports what is set here. */
		failed.stage = STAGE_GATE;
		failed.errno_ = 4; /* EINTR */
		at += 8ul * n;
	}
	long r = sys3(NR_write, HOST, &m, sizeof m);
	if (r != sizeof m)
		fail(STAGE_GATE, r);
	do
		r = sys3(NR_read, HOST, &m, sizeof m);
	while (r == -EINTR);
	if (r < 0)
		fail(STAGE_GATE, r);
	if (r != sizeof m || m.type != RELEASE) {
		over = 1;
		leave();
	}
	failed.errno_ = 0;
}

/* child becomes the command. It runs in init's memory, on its own stack, while init stands still. */
static void child(void)
{
	long r = boot->flags & FLAG_FOREGROUND ? sys2(NR_setpgid, 0, 0) : sys0(NR_setsid);
	if (r < 0)
		fail(STAGE_SESSION, r);
	if (boot->flags & FLAG_FOREGROUND) {
		int group = sys0(NR_getpid);
		r = sys3(NR_ioctl, 0, TIOCSPGRP, &group); /* SIGTTOU is still blocked */
		if (r < 0)
			fail(STAGE_TERMINAL, r);
	} else if (boot->flags & FLAG_TTY) {
		r = sys3(NR_ioctl, 0, TIOCSCTTY, 0);
		if (r < 0)
			fail(STAGE_TERMINAL, r);
	}
	u64 none = 0;
	sys4(NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
	u32 keep = boot->flags >> 8 & 0xff, n = boot->flags >> 16 & 0xff, first = HOST;
	if (boot->filters) /* the gate needs it */
		r = sys3(NR_close_range, HOST, first++, 4 /* CLOSE_RANGE_CLOEXEC */);
	if (r >= 0 && n && keep > first)
		r = sys3(NR_close_range, first, keep - 1, 0);
	if (r >= 0)
		r = sys3(NR_close_range, n ? keep + n : first, ~0u, 0);
	if (r < 0)
		fail(STAGE_DESCRIPTORS, r);
	if (boot->filters)
		gate();
	/* Like execvp(3): a file that may not be executed counts only if no later one works. */
	const u8 *path = candidates;
	u8 *fixed = (u8 *)boot->exec[0];
	u32 denied = 0;
	for (u32 i = 0; i < boot->candidates; i++) {
		if (fixed)
			for (u32 j = 0; j < PATH_MAX + 1 && ((fixed[j] = path[j])); j++)
				;
		r = sys3(NR_execve, fixed ? fixed : path, argv, envp);
		failed.candidate = i;
		if (r == -EACCES && !denied)
			denied = i + 1;
		if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
			fail(STAGE_EXEC, r);
		while (*path++)
			;
	}
	if (denied) {
		failed.candidate = denied - 1;
		r = -EACCES;
	}
	fail(STAGE_EXEC, r);
}

/* start starts the command, reports, and lets go of every descriptor that is the command's or the supervisor's. */
static void start(void)
{
	long pid = clone_on(CLONE_VM | CLONE_VFORK | SIGCHLD, child_stack + sizeof child_stack, child);
	if (pid < 0) {
		failed.stage = STAGE_CLONE;
		failed.errno_ = -pid;
	}
	if (over)
		quit(0);
	sys3(NR_close_range, 0, HOST - 1, 0);
	sys3(NR_close_range, HOST + 1, events - 1, 0);
	sys3(NR_close_range, events + 1, ~0u, 0);
	if (failed.errno_) {
		failed.type = FAILED;
		send((const void *)&failed, sizeof failed);
		reported = 1;
		return;
	}
	struct running m = { RUNNING, pid };
	command = pid;
	send(&m, sizeof m);
}

/*
 * all sends a signal to every process of the cell but init. kill(-1) does that in a pid namespace; anywhere else it would
 * reach the whole machine, so without one (in tests) only the command's process group is signalled.
 */
static void all(int group, int signo)
{
	sys2(NR_kill, sys0(NR_getpid) == 1 ? -1 : -group, signo);
}

/* reap takes every ended child. When the command is among them it ends the rest, and reports when nothing is left. */
static void reap(void)
{
	static int group;
	for (;;) {
		int status;
		long pid = sys4(NR_wait4, -1, &status, WNOHANG, &usage);
		if (pid == -EINTR)
			continue;
		if (pid == -ECHILD)
			break;
		if (pid <= 0) {
			if (group) /* also what was born meanwhile */
				all(group, SIGKILL);
			return;
		}
		if (pid == command) {
			group = command;
			command = 0;
			report.status = status;
			take(&report.main, &usage);
		}
	}
	if (command || reported)
		return;
	sys2(NR_getrusage, RUSAGE_CHILDREN, &usage);
	take(&report.all, &usage);
	report.type = EXIT;
	report.lastpid = lastpid();
	send(&report, sizeof report);
	reported = 1;
}

static void hear(void)
{
	struct signal m;
	u64 n = receive(&m, sizeof m);
	if (n != sizeof m || m.type != SIGNAL || m.signo < 1 || m.signo > 64 || m.all > 1 || m.zero)
		quit(EXIT_GARBAGE);
	if (!command)
		return;
	if (m.all)
		all(command, m.signo);
	else
		sys2(NR_kill, -command, m.signo);
}

/* arguments reads the argument vector and the environment of the command from descriptor 4, and closes it. */
static int arguments(void)
{
	struct arguments h;
	if (sys3(NR_read, HOST + 1, &h, sizeof h) != sizeof h || h.size < sizeof h || h.size > MAX_ARGUMENTS || !h.argc || h.zero)
		return 0;
	u64 size = h.size - sizeof h;
	if (h.argc > size || h.envc > size - h.argc)
		return 0;
	u64 pointers = 8ul * (h.argc + h.envc + 2);
	long at = sys6(NR_mmap, 0, pointers + size + 1, 3 /* PROT_READ|PROT_WRITE */, 0x22 /* MAP_PRIVATE|MAP_ANONYMOUS */, -1, 0);
	if (at < 0 && at >= -4095)
		return 0;
	char **v = (char **)at, *text = (char *)at + pointers;
	for (u64 have = 0; have < size;) {
		long n = sys3(NR_read, HOST + 1, text + have, size - have);
		if (n <= 0)
			return 0;
		have += n;
	}
	sys1(NR_close, HOST + 1);
	argv = v;
	envp = v + h.argc + 1;
	char *end = text + size;
	for (u64 i = 0; i < h.argc + h.envc; i++) {
		if (text >= end)
			return 0;
		*(i < h.argc ? &v[i] : &v[i + 1]) = text;
		while (*text++) /* the zeroed byte after the text ends the last one */
			;
	}
	return text == end;
}

void init(long *stack)
{
	sys2(NR_prctl, PR_SET_DUMPABLE, 0);
	argv = (char **)stack + 1;
	envp = argv + stack[0] + 1;

	/* The command inherits default dispositions; a signal that the supervisor ignores would stay ignored. */
	u64 fresh[4] = { 0 }, every = ~0ul;
	for (int i = 1; i <= 64; i++)
		sys4(NR_rt_sigaction, i, fresh, 0, 8);
	sys4(NR_rt_sigprocmask, SIG_SETMASK, &every, 0, 8);

	if (!parse(receive(message, sizeof message)))
		quit(EXIT_GARBAGE);
	if ((boot->flags & FLAG_ARGUMENTS) && !arguments())
		quit(EXIT_GARBAGE);
	if (boot->exec[0]) {
		place(boot->exec[0], message, PATH_MAX + 1); /* the path is put there before each execve */
		argv = place(boot->exec[1], argv, 8 * (u64)(envp - argv));
		u64 n = 0;
		while (envp[n++])
			;
		envp = place(boot->exec[2], envp, 8 * n);
	}
	probe();
	u32 m[2];
	if (!boot->filters && (receive(m, sizeof m) != sizeof m || m[0] != RELEASE))
		quit(EXIT_GARBAGE);

	u64 chld = 1ul << (SIGCHLD - 1);
	events = sys4(NR_signalfd4, -1, &chld, 8, O_CLOEXEC);
	if (events < HOST) /* 0, 1 and 2 have to be open */
		quit(EXIT_SYSTEM);
	start();
	for (;;) {
		struct pollfd p[2] = { { HOST, POLLIN, 0 }, { events, POLLIN, 0 } };
		/* The command may lower init's limit of open files, below which ppoll fails for good: then the cell ends. */
		long n = sys4(NR_ppoll, p, 2, 0, 0);
		if (n < 0 && n != -EINTR)
			quit(EXIT_GONE);
		if (p[1].revents) {
			u8 info[128];
			sys3(NR_read, events, info, sizeof info);
			reap();
		}
		if (p[0].revents)
			hear();
	}
}
