#include "escape.h"
#include <sys/timex.h>
#include <time.h>

// Interfaces that change the kernel, and those that most of its holes were in. Numbers are given where headers may lack them.

#if defined __x86_64__
static void int80(void) {
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory"); // getpid of i386
	errno = r < 0 ? -r : 0;
}

static void x86(void) {
	char ldt[16] = {0};
	CALL("x32-getpid", 0x40000000 | SYS_getpid);
	CALL("x32-ptrace", 0x40000000 | 521, 0, 0, 0, 0);
	child("int80", int80);
	CALL("modify_ldt", SYS_modify_ldt, 1, ldt, sizeof ldt);
	CALL("iopl", SYS_iopl, 3);
	CALL("ioperm", SYS_ioperm, 0x80, 1, 1);
}
#else
static void x86(void) {}
#endif

static void times(void) {
	struct timeval tv = {1, 0};
	struct timespec ts = {1, 0};
	struct timex tx = {.modes = ADJ_OFFSET, .offset = 1};
	CALL("settimeofday", SYS_settimeofday, &tv, 0);
	CALL("clock_settime", SYS_clock_settime, CLOCK_REALTIME, &ts);
	CALL("adjtimex", SYS_adjtimex, &tx);
	CALL("clock_adjtime", SYS_clock_adjtime, CLOCK_REALTIME, &tx);
}

void kernel(void) {
	char zero[256] = {0};
	CALL("bpf", SYS_bpf, 0, zero, 64);
	CALL("perf_event_open", SYS_perf_event_open, zero, 0, -1, -1, 0);
	CALL("userfaultfd", SYS_userfaultfd, 1);
	CALL("io_uring_setup", 425, 1, zero);
	CALL("io_uring_enter", 426, 0, 0, 0, 0, 0, 0);
	CALL("io_uring_register", 427, 0, 0, 0, 0);
	CALL("io_setup", SYS_io_setup, 1, zero);
	CALL("kexec_load", SYS_kexec_load, 0, 0, 0, 0);
	CALL("kexec_file_load", SYS_kexec_file_load, -1, -1, 0, 0, 0);
	CALL("init_module", SYS_init_module, zero, 1, "");
	CALL("finit_module", SYS_finit_module, 0, "", 0);
	CALL("delete_module", SYS_delete_module, "none", 0);
	CALL("reboot", SYS_reboot, 0xfee1dead, 672274793, 0, 0); // CAD off, harmless
	CALL("swapon", SYS_swapon, "/dev/zero", 0);
	CALL("swapoff", SYS_swapoff, "/dev/zero");
	CALL("quotactl", SYS_quotactl, 0x80000100, "/dev/zero", 0, 0);
	CALL("personality-aslr-off", SYS_personality, 0x0040000);
	CALL("personality-read-implies-exec", SYS_personality, 0x0400000);
	CALL("keyctl-session", SYS_keyctl, 0, -3, 0);
	CALL("keyctl-join", SYS_keyctl, 1, "escape");
	CALL("add_key", SYS_add_key, "user", "escape", "x", 1, -2);
	CALL("request_key", SYS_request_key, "user", "escape", 0, -2);
	CALL("syslog-read", SYS_syslog, 3, zero, 16);
	CALL("acct", SYS_acct, "/tmp/acct");
	CALL("fanotify_init", SYS_fanotify_init, 0, 0);
	CALL("lookup_dcookie", 212, 0, zero, 16);
	CALL("memfd_secret", 447, 0);
	CALL("kcmp", SYS_kcmp, 1, getpid(), 0, 0, 0);
	CALL("move_pages", SYS_move_pages, 0, 0, 0, 0, 0, 0);
	CALL("vhangup", SYS_vhangup);
	CALL("seccomp-listener", SYS_seccomp, 1, 8, zero);
	CALL("lsm_list_modules", 461, zero, zero, 0);
	CALL("unknown-call", 600);
	CALL("ptrace-traceme", SYS_ptrace, 0, 0, 0, 0);
	CALL("ptrace-attach-1", SYS_ptrace, 16, 1, 0, 0);
	CALL("ptrace-seize-1", SYS_ptrace, 0x4206, 1, 0, 0);
	struct { void *p; size_t n; } v = {zero, 8};
	CALL("process_vm_readv-1", SYS_process_vm_readv, 1, &v, 1, &v, 1, 0);
	CALL("process_vm_writev-1", SYS_process_vm_writev, 1, &v, 1, &v, 1, 0);
	CALL("process_madvise-1", 440, -1, &v, 1, 4, 0);
	int fd = syscall(434, 1, 0); // pidfd_open
	CALL("pidfd_getfd-1", 438, fd, 0, 0);
	CALL("sched-realtime", SYS_sched_setscheduler, 0, 1, (int[]){1});
	CALL("nice-up", SYS_setpriority, 0, 0, -5);
	CALL("mlockall", SYS_mlockall, 3 | 4); // MCL_ONFAULT: bounded by RLIMIT_MEMLOCK
	times();
	x86();
}
