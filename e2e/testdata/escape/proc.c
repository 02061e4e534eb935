#include "escape.h"
#include <sys/fsuid.h>

// What /proc would give away or let change, and who the process can become.

static long writes(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -1 : write(fd, text, strlen(text));
}

void proc(void) {
	static const struct {
		const char *name, *path;
	} readable[] = {
		{"1-root", "/proc/1/root/etc/hostname"}, {"1-cwd", "/proc/1/cwd/."}, {"1-exe", "/proc/1/exe"},	  {"1-mem", "/proc/1/mem"},
		{"1-environ", "/proc/1/environ"},		 {"1-maps", "/proc/1/maps"}, {"1-fd", "/proc/1/fd"},	  {"1-fd-0", "/proc/1/fd/0"},
		{"1-fd-3", "/proc/1/fd/3"},				 {"1-auxv", "/proc/1/auxv"}, {"1-stack", "/proc/1/stack"}, {"1-syscall", "/proc/1/syscall"},
		{"1-ns-mnt", "/proc/1/ns/mnt"},			 {"kcore", "/proc/kcore"},	 {"kmsg", "/proc/kmsg"},	  {"keys", "/proc/keys"},
		{"kallsyms", "/proc/kallsyms"},			 {"cmdline", "/proc/cmdline"}, {"kpageflags", "/proc/kpageflags"}, {"slabinfo", "/proc/slabinfo"},
		{"vmallocinfo", "/proc/vmallocinfo"},	 {"timer_list", "/proc/timer_list"}, {"interrupts", "/proc/interrupts"},
	}, writable[] = {
		{"sysrq-trigger", "/proc/sysrq-trigger"}, {"core_pattern", "/proc/sys/kernel/core_pattern"}, {"modprobe", "/proc/sys/kernel/modprobe"},
		{"hostname", "/proc/sys/kernel/hostname"}, {"ns_last_pid", "/proc/sys/kernel/ns_last_pid"}, {"shmmax", "/proc/sys/kernel/shmmax"},
		{"ip_forward", "/proc/sys/net/ipv4/ip_forward"}, {"ping_range", "/proc/sys/net/ipv4/ping_group_range"},
		{"binfmt", "/proc/sys/fs/binfmt_misc/register"}, {"drop_caches", "/proc/sys/vm/drop_caches"}, {"mtrr", "/proc/mtrr"},
		{"irq", "/proc/irq/default_smp_affinity"}, {"1-oom", "/proc/1/oom_score_adj"}, {"1-mem", "/proc/1/mem"}, {"1-comm", "/proc/1/comm"},
		{"1-clear_refs", "/proc/1/clear_refs"},
	};
	char n[64];
	for (size_t i = 0; i < sizeof readable / sizeof *readable; i++) {
		snprintf(n, sizeof n, "read-%s", readable[i].name);
		TRY(n, reads(readable[i].path));
	}
	for (size_t i = 0; i < sizeof writable / sizeof *writable; i++) {
		snprintf(n, sizeof n, "write-%s", writable[i].name);
		TRY(n, opens(writable[i].path, O_WRONLY));
	}
	static const char *const maps[] = {"uid_map", "gid_map", "projid_map", "setgroups"};
	for (size_t i = 0; i < 4; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/%s", maps[i]);
		snprintf(n, sizeof n, "own-%s", maps[i]);
		TRY(n, writes(path, i == 3 ? "allow" : "0 0 1\n"));
	}
	TRY("oom-never", writes("/proc/self/oom_score_adj", "-1000"));
	TRY("self-exe-write", opens("/proc/self/exe", O_WRONLY));
	TRY("self-root-shadow", reads("/proc/self/root/../etc/shadow"));
}

void identity(void) {
	uint32_t header[2] = {0x20080522, 0}, all[6] = {~0u, ~0u, 0, 0x1ff, 0x1ff, 0};
	gid_t zero = 0;
	CALL("setuid", SYS_setuid, 0);
	CALL("setreuid", SYS_setreuid, 0, 0);
	CALL("setresuid", SYS_setresuid, 0, 0, 0);
	CALL("setgid", SYS_setgid, 0);
	CALL("setresgid", SYS_setresgid, 0, 0, 0);
	CALL("setgroups", SYS_setgroups, 1, &zero);
	CALL("capset", SYS_capset, header, all);
	CALL("ambient", SYS_prctl, 47, 2, 21, 0, 0);
	CALL("securebits", SYS_prctl, 28, 0, 0, 0, 0);
	CALL("no-new-privs-off", SYS_prctl, 38, 0, 0, 0, 0);
	CALL("keep-caps", SYS_prctl, 8, 1, 0, 0, 0);
	CALL("seccomp-off", SYS_prctl, 22, 0, 0, 0, 0);
	TRY("fsuid", (setfsuid(0), setfsuid(-1)) == 0 ? 0 : (errno = EPERM, -1));
	TRY("chown-root", (opens("/tmp/own", O_CREAT | O_WRONLY), chown("/tmp/own", 0, 0)));
	static const int kinds[] = {RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_RTPRIO, RLIMIT_NICE};
	static const char *const text[] = {"rlimit-nproc", "rlimit-nofile", "rlimit-core", "rlimit-rtprio", "rlimit-nice"};
	struct rlimit most = {RLIM_INFINITY, RLIM_INFINITY};
	for (int i = 0; i < 5; i++)
		TRY(text[i], setrlimit(kinds[i], &most));
}
