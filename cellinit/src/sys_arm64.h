/* The system call interface of AArch64: numbers of include/uapi/asm-generic/unistd.h. */
enum {
	NR_ioctl = 29, NR_openat = 56, NR_close = 57, NR_read = 63, NR_write = 64, NR_ppoll = 73, NR_signalfd4 = 74, NR_exit = 93,
	NR_exit_group = 94, NR_kill = 129, NR_rt_sigaction = 134, NR_rt_sigprocmask = 135, NR_setpgid = 154, NR_setsid = 157,
	NR_getrusage = 165, NR_prctl = 167, NR_getpid = 172, NR_sendto = 206, NR_recvfrom = 207, NR_execve = 221, NR_mmap = 222,
	NR_wait4 = 260, NR_seccomp = 277, NR_close_range = 436,
};

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
