// The least that starts a program in new namespaces: clone3, identity maps, execve, wait. The peer of a cell as a library.
//
//   cc -O2 -o minimal bench/minimal.c && ./minimal 200 /bin/true
//
// Prints nanoseconds from start to exit, one a line.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void put(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) _exit(121);
	close(fd);
}

int main(int argc, char **argv) {
	if (argc < 3) {
		fprintf(stderr, "usage: minimal RUNS PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	char map[64];
	snprintf(map, sizeof map, "%d %d 1\n", geteuid() ? (int)geteuid() : 0, (int)geteuid());
	char gmap[64];
	snprintf(gmap, sizeof gmap, "%d %d 1\n", getegid() ? (int)getegid() : 0, (int)getegid());
	for (int i = atoi(argv[1]); i > 0; i--) {
		struct clone_args a = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
				       .exit_signal = SIGCHLD};
		long long t = now();
		long pid = syscall(SYS_clone3, &a, sizeof a);
		if (pid < 0) {
			perror("clone3");
			return 1;
		}
		if (pid == 0) {
			put("/proc/self/setgroups", "deny");
			put("/proc/self/uid_map", map);
			put("/proc/self/gid_map", gmap);
			execv(argv[2], argv + 2);
			_exit(127);
		}
		int status;
		if (waitpid(pid, &status, 0) < 0 || status) {
			fprintf(stderr, "the program ended with %#x\n", status);
			return 1;
		}
		printf("%lld\n", now() - t);
	}
	return 0;
}
