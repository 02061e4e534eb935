#include "escape.h"

// escape OUT GROUP [ARGUMENT...]: OUT is a file for the verdicts, or - for standard output.

static FILE *out;
char **args;

void say(const char *name, const char *v) {
	fprintf(out, "%s %s\n", name, v);
	fflush(out);
}

void verdict(const char *name, long result) { say(name, result >= 0 ? "ok" : strerrorname_np(errno)); }

void child(const char *name, void (*f)(void)) {
	pid_t p = fork();
	int status = 0;
	if (p == 0) {
		errno = 0;
		f();
		_exit(errno);
	}
	if (p < 0 || waitpid(p, &status, 0) < 0) {
		verdict(name, -1);
	} else if (WIFSIGNALED(status)) {
		char text[32];
		snprintf(text, sizeof text, "SIG%s", sigabbrev_np(WTERMSIG(status)));
		say(name, text);
	} else {
		say(name, WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ok");
	}
}

int opens(const char *path, int flags) {
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
	return fd < 0 ? -1 : close(fd);
}

int reads(const char *path) {
	char c;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, &c, 1);
	int e = n == 0 ? ENODATA : errno;
	close(fd);
	errno = e;
	return n == 1 ? 0 : -1;
}

int main(int argc, char **argv) {
	static const struct {
		const char *name;
		void (*f)(void);
	} groups[] = {
		{"kernel", kernel},	  {"names", names},		{"mounts", mounts},	  {"proc", proc},	{"identity", identity}, {"devices", devices},
		{"sockets", sockets}, {"files", files},		{"descriptors", descriptors}, {"terminal", terminal}, {"signals", signals}, {"ipc", ipc},
		{"limits", limits},	  {"scratch", scratch}, {"spare", spare},	  {"outlive", outlive},   {"alone", alone}, {"state", state},
	};
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
