#include "escape.h"
#include <sys/sysmacros.h>

void devices(void) {
	TRY("mknod-char", mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
	TRY("mknod-block", mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)));
	TRY("mknod-whiteout", mknod("/tmp/white", S_IFCHR | 0600, makedev(0, 0)));
	CALL("mknod-high-bits", SYS_mknod, "/tmp/mem2", (1L << 32) | S_IFCHR | 0600, makedev(1, 1));
	TRY("mknod-workdir", mknod("mem", S_IFCHR | 0600, makedev(1, 1)));
	static const char *const paths[] = {"mem", "kmem", "port", "kmsg", "kvm", "fuse", "vda", "sda", "loop-control", "net/tun", "vhost-vsock", "console", "tty0",
										"ttyS0", "uinput", "hwrng", "mapper/control", "vfio/vfio"};
	char path[64], n[64];
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		snprintf(path, sizeof path, "/dev/%s", paths[i]);
		snprintf(n, sizeof n, "dev-%s", paths[i]);
		TRY(n, opens(path, O_RDWR));
	}
	TRY("dev-tty", opens("/dev/tty", O_RDWR));
	// A terminal that the cell made itself, and the old ways of typing into one. Only the low word of the request counts.
	int m = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	TRY("own-terminal", m); // allowed
	grantpt(m), unlockpt(m);
	char c = 'x', three = 3;
	CALL("TIOCSTI", SYS_ioctl, m, TIOCSTI, &c);
	CALL("TIOCSTI-high-bits", SYS_ioctl, m, 0xdead00000000UL | TIOCSTI, &c);
	CALL("TIOCLINUX", SYS_ioctl, m, TIOCLINUX, &three);
	CALL("TIOCLINUX-high-bits", SYS_ioctl, m, 0x100000000UL | TIOCLINUX, &three);
	CALL("TIOCCONS", SYS_ioctl, m, TIOCCONS, 0);
	CALL("TIOCSETD", SYS_ioctl, m, TIOCSETD, (int[]){2});
	int z = open("/dev/null", O_RDWR | O_CLOEXEC);
	TRY("chmod-dev-null", chmod("/dev/null", 0));
	TRY("unlink-dev-null", unlink("/dev/null"));
	TRY("create-in-dev", opens("/dev/escape", O_CREAT | O_WRONLY));
	TRY("random-entropy", ioctl(open("/dev/urandom", O_RDWR | O_CLOEXEC), 0x5206, 0)); // RNDCLEARPOOL
	close(z);
}

// terminal: the caller's terminal was given as standard input, output and error.
void terminal(void) {
	struct termios t;
	char c = 'x', n[64];
	int pgrp = getpgrp();
	for (int fd = 0; fd < 3; fd++) {
		snprintf(n, sizeof n, "tcgetattr-%d", fd);
		TRY(n, ioctl(fd, TCGETS, &t));
		snprintf(n, sizeof n, "tcsetattr-%d", fd);
		TRY(n, ioctl(fd, TCSETS, &t));
		snprintf(n, sizeof n, "TIOCSTI-%d", fd);
		TRY(n, ioctl(fd, TIOCSTI, &c));
		snprintf(n, sizeof n, "TIOCSTI-high-bits-%d", fd);
		CALL(n, SYS_ioctl, fd, 0xffffffff00000000UL | TIOCSTI, &c);
		snprintf(n, sizeof n, "TIOCSCTTY-%d", fd);
		TRY(n, ioctl(fd, TIOCSCTTY, 1));
		snprintf(n, sizeof n, "TIOCSPGRP-%d", fd);
		TRY(n, ioctl(fd, TIOCSPGRP, &pgrp));
		snprintf(n, sizeof n, "TIOCGPTPEER-%d", fd);
		TRY(n, ioctl(fd, 0x5441, O_RDWR));
	}
	TRY("tty", opens("/dev/tty", O_RDWR));
	TRY("pts-0", opens("/dev/pts/0", O_RDWR));
	TRY("pts-of-the-caller", opens(args[0], O_RDWR));
}
