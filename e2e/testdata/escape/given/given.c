// given OUT GROUP [ARGUMENT...]: abuses what a caller hands to a cell, and leaves traps for whoever looks at the cell afterwards. Each try prints
// one line, "NAME ok" or "NAME EPERM", into the file OUT, or to standard output if that is -.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static FILE *out;
static char **args;

static long try(const char *name, long result) {
	fprintf(out, "%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(errno));
	fflush(out);
	return result;
}

#define TRY(name, expression) (errno = 0, try(name, (long)(expression)))
#define CALL(name, ...) TRY(name, syscall(__VA_ARGS__))

static long into(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	long n = write(fd, text, strlen(text));
	close(fd);
	return n;
}

static long from(const char *path) {
	char text[64];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	long n = read(fd, text, sizeof text);
	close(fd);
	return n;
}

// pipes: the read end of one as input, the write ends of others as outputs.
static void pipes(void) {
	TRY("type-into-input", into("/proc/self/fd/0", "injected\n"));
	TRY("steal-from-output", from("/proc/self/fd/1"));
	TRY("steal-from-error", from("/proc/self/fd/2"));
	for (int fd = 0; fd < 3; fd++) {
		char name[32];
		sprintf(name, "unblock-%d", fd);
		TRY(name, fcntl(fd, F_SETFL, O_NONBLOCK));
	}
}

// regular: a file to read as input, a log that is appended to as output.
static void regular(void) {
	TRY("seek-input", lseek(0, 7, SEEK_SET));
	TRY("chmod-input", fchmod(0, 06777));
	TRY("utime-input", futimens(0, (struct timespec[2]){{1, 0}, {1, 0}}));
	TRY("xattr-input", fsetxattr(0, "user.cell", "1", 1, 0));
	TRY("lock-input", flock(0, LOCK_EX | LOCK_NB));
	TRY("unappend-log", fcntl(1, F_SETFL, 0));
	TRY("truncate-log", ftruncate(1, 0));
	TRY("overwrite-log", pwrite(1, "lies", 4, 0));
	TRY("punch-log", fallocate(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5));
	TRY("chmod-log", fchmod(1, 06777));
	TRY("utime-log", futimens(1, (struct timespec[2]){{1, 0}, {1, 0}}));
}

// folder: a folder of the host as input; the argument is the name of a file in it.
static void folder(void) {
	char path[256];
	struct stat s;
	TRY("stat", fstatat(0, args[0], &s, 0));
	TRY("stat-up", fstatat(0, "..", &s, 0));
	TRY("open", openat(0, args[0], O_RDONLY));
	TRY("create", openat(0, "created", O_CREAT | O_WRONLY, 0600));
	TRY("link", symlinkat("x", 0, "linked"));
	TRY("rename", renameat(0, args[0], 0, "renamed"));
	TRY("unlink", unlinkat(0, args[0], 0));
	TRY("chmod", fchmodat(0, args[0], 06777, 0));
	TRY("utime", utimensat(0, args[0], (struct timespec[2]){{1, 0}, {1, 0}}, 0));
	snprintf(path, sizeof path, "/proc/self/fd/0/%s", args[0]);
	TRY("xattr", setxattr(path, "user.cell", "1", 1, 0));
	TRY("enter", fchdir(0));
	TRY("enter-up", chdir(".."));
}

// readable: arguments are a socket and a file of the host in a folder granted for reading.
static void readable(void) {
	struct sockaddr_un a = {AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = open(args[1], O_RDONLY | O_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", args[0]);
	TRY("connect", connect(s, (void *)&a, sizeof a));
	TRY("send", send(s, "cell", 4, 0));
	TRY("lease", fcntl(fd, F_SETLEASE, F_RDLCK));
	TRY("ready", write(1, "", 0));
	char c;
	TRY("released", read(0, &c, 1)); // holds the lease until the test has looked
}

// Traps for whoever reads the changed files.

static void sparse(void) {
	int fd = open("sparse", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	TRY("sparse", ftruncate(fd, 0x7ffffffffffff000));
}

static void links(void) { // 4 GiB to read in 16 MiB of scratch space
	static char text[1 << 20];
	char name[32];
	int fd = open("first", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	long r = 0;
	for (int i = 0; i < 16 && r >= 0; i++)
		r = write(fd, text, sizeof text);
	for (int i = 0; i < 256 && r >= 0; i++) {
		sprintf(name, "link%d", i);
		r = link("first", name);
	}
	TRY("links", r);
}

static void deep(void) {
	int i = 0;
	while (i < 20000 && mkdir("d", 0700) == 0 && chdir("d") == 0)
		i++;
	TRY("deep", i - 20000);
}

static void closed(void) {
	close(open("hidden", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	TRY("closed", chmod(".", 0));
}

// wall: what a user namespace is worth where the filter lets one be made (profile baseline): Landlock and the kernel's locks on mounts are
// then what holds.
static void wall_inside(void) {
	struct {
		uint64_t set, clear, propagation, userns;
	} rw = {0, 1, 0, 0};
	char dev[] = "/tmp/device";
	TRY("wall-setgroups", into("/proc/self/setgroups", "deny"));
	TRY("wall-uid_map", into("/proc/self/uid_map", args[0]));
	int fs = syscall(SYS_fsopen, "tmpfs", 0);
	syscall(SYS_fsconfig, fs, 6, 0, 0, 0);
	int mnt = CALL("wall-fsmount", SYS_fsmount, fs, 0, 0);
	TRY("wall-list-own-mount", openat(mnt, ".", O_RDONLY));
	TRY("wall-write-own-mount", openat(mnt, "x", O_CREAT | O_WRONLY, 0600));
	CALL("wall-move_mount", SYS_move_mount, mnt, "", AT_FDCWD, "/tmp", 4);
	fs = syscall(SYS_fsopen, "proc", 0);
	syscall(SYS_fsconfig, fs, 6, 0, 0, 0);
	CALL("wall-new-proc", SYS_fsmount, fs, 0, 0);
	fs = syscall(SYS_fsopen, "sysfs", 0);
	syscall(SYS_fsconfig, fs, 6, 0, 0, 0);
	CALL("wall-new-sys", SYS_fsmount, fs, 0, 0);
	fs = syscall(SYS_fsopen, "cgroup2", 0);
	CALL("wall-new-cgroup", SYS_fsconfig, fs, 6, 0, 0, 0);
	int tree = syscall(SYS_open_tree, AT_FDCWD, "/usr", 1);
	CALL("wall-usr-writable", SYS_mount_setattr, tree, "", 0x1000, &rw, sizeof rw);
	TRY("wall-usr-create", openat(tree, "x", O_CREAT | O_WRONLY, 0600));
	CALL("wall-proc-uncovered", SYS_open_tree, AT_FDCWD, "/proc", 1);
	CALL("wall-root-writable", SYS_mount_setattr, AT_FDCWD, "/", 0, &rw, sizeof rw);
	CALL("wall-sysctl-writable", SYS_mount_setattr, AT_FDCWD, "/proc/sys", 0, &rw, sizeof rw);
	TRY("wall-sysctl", into("/proc/sys/kernel/core_pattern", "x"));
	TRY("wall-canary", open("/.landlock", O_RDONLY));
	TRY("wall-device", mknod(dev, S_IFBLK | 0600, 0xfe00));
	TRY("wall-hostname", sethostname("x", 1));
	TRY("wall-time", clock_settime(0, &(struct timespec){0, 0}));
	TRY("wall-umount", syscall(SYS_umount2, "/proc/sys", 2));
	TRY("wall-chroot", chroot("/tmp"));
	struct stat s;
	TRY("wall-chroot-out", stat("../../../../etc/shadow", &s));
}

static void wall(void) {
	struct {
		uint64_t flags, pidfd, child, parent, signal, stack, size, tls;
	} a = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC, .signal = SIGCHLD};
	char map[64];
	sprintf(map, "0 %u 1\n", getuid());
	args = (char *[]){map};
	long pid = syscall(SYS_clone3, &a, sizeof a);
	if (pid == 0) {
		wall_inside();
		_exit(0);
	}
	TRY("wall-clone3", pid);
	waitpid(pid, 0, 0);
}

int main(int argc, char **argv) {
	static const struct {
		const char *name;
		void (*f)(void);
	} groups[] = {{"pipes", pipes}, {"regular", regular}, {"folder", folder}, {"readable", readable}, {"sparse", sparse},
		      {"links", links}, {"deep", deep},	      {"closed", closed}, {"wall", wall}};
	if (argc < 3)
		return 2;
	out = strcmp(argv[1], "-") ? fopen(argv[1], "we") : stdout;
	args = argv + 3;
	for (size_t i = 0; out && i < sizeof groups / sizeof *groups; i++)
		if (!strcmp(argv[2], groups[i].name)) {
			groups[i].f();
			return 0;
		}
	return 2;
}
