#include "escape.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>

// Processes: descriptors, signals, shared memory, and staying alive.

static int reopen(int fd, int flags) {
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int n = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	return n < 0 ? -1 : close(n);
}

// descriptors: the caller gave files as standard streams, and had a folder and a listening socket open besides.
void descriptors(void) {
	char c, n[32];
	int found = 0;
	for (int fd = 3; fd < 1024; fd++) {
		struct stat st;
		// The verdicts' own file is the only one that this program has opened.
		if (!fstat(fd, &st) && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			found++;
	}
	TRY("inherited", found ? 0 : (errno = EBADF, -1));
	TRY("fchdir-0", fchdir(0));
	TRY("openat-0", openat(0, "secret", O_RDONLY | O_CLOEXEC));
	TRY("reopen-0-write", reopen(0, O_RDWR));
	TRY("reopen-0-truncate", reopen(0, O_WRONLY | O_TRUNC));
	TRY("truncate-0", ftruncate(0, 0));
	TRY("chmod-0", fchmod(0, 0777));
	for (int fd = 1; fd < 3; fd++) {
		snprintf(n, sizeof n, "reopen-%d-truncate", fd);
		TRY(n, reopen(fd, O_RDWR | O_TRUNC));
		snprintf(n, sizeof n, "reopen-%d-read", fd);
		TRY(n, reopen(fd, O_RDONLY));
		snprintf(n, sizeof n, "read-%d", fd);
		TRY(n, read(fd, &c, 1));
	}
	int p = syscall(434, 1, 0);
	for (int fd = 0; fd < 5; fd++) {
		snprintf(n, sizeof n, "pidfd_getfd-%d", fd);
		CALL(n, 438, p, fd, 0);
	}
}

// signals PID: a process of the host.
void signals(void) {
	int host = atoi(args[0]);
	TRY("kill-host", kill(host, SIGKILL));
	TRY("kill-host-group", kill(-host, SIGKILL));
	CALL("tgkill-host", SYS_tgkill, host, host, SIGKILL);
	TRY("sigqueue-host", sigqueue(host, SIGKILL, (union sigval){0}));
	CALL("pidfd_open-host", 434, host, 0);
	CALL("prlimit-host", SYS_prlimit64, host, RLIMIT_CORE, 0, &(struct rlimit){0});
	CALL("sched-host", SYS_sched_setaffinity, host, 8, &(long){1});
	CALL("ptrace-host", SYS_ptrace, 16, host, 0, 0);
	for (int i = 1; i < 32; i++)
		kill(1, i); // ignored, or refused
	CALL("pidfd-kill-1", 424, syscall(434, 1, 0), SIGKILL, 0, 0);
	TRY("1-lives", kill(1, 0));
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	for (int i = 1; i < 32; i++)
		if (i != SIGKILL && i != SIGSTOP)
			sigaction(i, &ignore, 0);
	kill(-1, SIGTERM); // whoever is left
	TRY("1-lives-after-all", kill(1, 0));
	int f = open("/proc/1/stat", O_RDONLY | O_CLOEXEC);
	char text[64] = {0};
	read(f, text, sizeof text - 1);
	char *state = strrchr(text, ')');
	say("1-state", state && strchr("SR", state[2]) ? "ok" : "stopped");
}

// ipc KEY ID: System V objects of the host.
void ipc(void) {
	int key = atoi(args[0]), id = atoi(args[1]);
	TRY("shmget", shmget(key, 0, 0));
	TRY("shmat", shmat(id, 0, 0) == (void *)-1 ? -1 : 0);
	TRY("shmctl-remove", shmctl(id, IPC_RMID, 0));
	TRY("semget", semget(key, 0, 0));
	TRY("msgget", msgget(key, 0));
	TRY("shm-of-the-host", reads(args[2]));
	char *p = strrchr(args[2], '/');
	TRY("mqueue", opens("/dev/mqueue", O_RDONLY));
	TRY("mq_open", syscall(SYS_mq_open, p + 1, O_RDONLY, 0, 0));
}

static void big(void) {
	char block[8192] = {0};
	int fd = open("big", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof block) > 0)
		;
}

// limits: of --pids 16, --nofile 32 and --file-size 64KiB.
void limits(void) {
	char text[32];
	child("file-size", big);
	int n = 0, fd;
	while ((fd = dup(1)) >= 0)
		n++;
	verdict("open-files", -1);
	say("open-files-bounded", n <= 32 ? "ok" : "too many");
	TRY("rlimit-back", setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 1024}));
	TRY("file-size-back", setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
	for (fd = 3; fd < 32; fd++)
		close(fd);
	int go[2];
	pipe(go);
	for (n = 0; n < 10000; n++) {
		pid_t p = fork();
		if (p < 0)
			break;
		if (p == 0) { // every one of them forks on, until it is refused too
			while (fork() >= 0)
				;
			close(go[1]);
			read(go[0], text, 1);
			_exit(0);
		}
	}
	verdict("fork-bomb", n < 10000 ? -1 : 0);
	say("fork-bomb-bounded", n <= 16 ? "ok" : "too many");
	close(go[1]);
}

// scratch: writes until the scratch space of 1 MiB is full, in each of its places.
void scratch(void) {
	static const char *const places[] = {"/tmp/full", "/dev/shm/full", "full"};
	char block[65536] = {1}, n[32];
	for (int i = 0; i < 3; i++) {
		long sum = 0, w;
		int fd = open(places[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		while (fd >= 0 && (w = write(fd, block, sizeof block)) > 0 && sum < 1 << 24)
			sum += w;
		snprintf(n, sizeof n, "full-%d", i);
		verdict(n, sum >= 1 << 24 ? 0 : -1);
		snprintf(n, sizeof n, "bounded-%d", i);
		say(n, sum <= 1 << 20 ? "ok" : "too much");
		close(fd);
	}
	int names = 0;
	char path[32];
	for (; names < 1000000; names++) {
		snprintf(path, sizeof path, "/tmp/n%d", names);
		if (mknod(path, S_IFREG | 0600, 0))
			break;
	}
	verdict("names", names < 1000000 ? -1 : 0);
}

void spare(void) {
	signal(SIGTERM, SIG_IGN);
	say("ready", "ok");
	for (;;)
		pause();
}

// alone: takes PID 1 the descriptors that it waits on, and then lets children end, so that it looks.
void alone(void) {
	errno = 0;
	long r = syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, (struct rlimit[]){{1, 1}}, 0);
	if (fork() == 0) {
		if (fork() == 0)
			_exit(0); // PID 1's to reap, for its parent is gone or about to be
		_exit(0);
	}
	wait(0);
	verdict("rlimit-of-1", r);
	if (args[0])
		for (;;)
			pause();
}

// outlive FILE: a process that leaves its session, its parent and its streams, ignores signals, and would write to the file.
void outlive(void) {
	if (fork() == 0) {
		setsid();
		if (fork())
			_exit(0);
		prctl(PR_SET_PDEATHSIG, 0);
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, 0);
		for (int fd = 0; fd < 1024; fd++)
			close(fd);
		int fd = open(args[0], O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
		for (;;) {
			write(fd, "x", 1);
			usleep(1000);
		}
	}
	wait(0);
	while (access(args[0], F_OK))
		usleep(1000);
	say("ready", "ok");
	if (args[1])
		for (;;)
			pause();
}
