/* Reads a policy from standard input and writes libseccomp's program for x86-64 to standard output.
 *
 * Lines: "default ACTION", then "NAME ACTION [ARG OP VALUE [VALUE2]]..." with ACTION in hexadecimal, OP one of the enum's numbers.
 * Foreign architectures and x32 numbers get KILL_PROCESS. With an argument, the program is a binary tree. */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
	static char line[4096];
	scmp_filter_ctx ctx = NULL;
	while (fgets(line, sizeof line, stdin)) {
		char *name = strtok(line, " \n"), *t;
		if (!name)
			continue;
		uint32_t action = strtoul(strtok(NULL, " \n"), NULL, 16);
		if (!strcmp(name, "default")) {
			ctx = seccomp_init(action);
			if (!ctx)
				return 1;
			if (argc > 1 && seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2))
				return 2;
			if (seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS))
				return 3;
			continue;
		}
		struct scmp_arg_cmp args[6];
		unsigned n = 0;
		while (n < 6 && (t = strtok(NULL, " \n"))) {
			args[n].arg = strtoul(t, NULL, 10);
			args[n].op = strtoul(strtok(NULL, " \n"), NULL, 10);
			args[n].datum_a = strtoull(strtok(NULL, " \n"), NULL, 16);
			args[n].datum_b = strtoull(strtok(NULL, " \n"), NULL, 16);
			n++;
		}
		int nr = seccomp_syscall_resolve_name(name);
		if (nr == __NR_SCMP_ERROR || nr < 0)
			continue; /* not on this architecture, or newer than the library */
		int err = seccomp_rule_add_array(ctx, action, nr, n, args);
		if (err && err != -EACCES) { /* EACCES: the action is the default */
			fprintf(stderr, "%s: %s\n", name, strerror(-err));
			return 4;
		}
	}
	return seccomp_export_bpf(ctx, STDOUT_FILENO) ? 5 : 0;
}
