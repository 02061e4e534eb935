#include "escape.h"
#include <sys/mount.h>

// Namespaces and mounts: what is made anew, entered, or taken away.

static long cloned(unsigned long flags) {
	long p = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (p == 0)
		_exit(0);
	if (p > 0)
		waitpid(p, 0, 0);
	return p;
}

static long cloned3(uint64_t flags) {
	uint64_t a[11] = {flags, 0, 0, 0, SIGCHLD};
	long p = syscall(435, a, sizeof a);
	if (p == 0)
		_exit(0);
	return p;
}

void names(void) {
	static const struct {
		const char *name;
		unsigned long flag;
	} kinds[] = {{"user", 0x10000000}, {"mnt", 0x20000}, {"pid", 0x20000000}, {"net", 0x40000000}, {"ipc", 0x08000000},
				 {"uts", 0x04000000}, {"cgroup", 0x02000000}, {"time", 0x80}};
	char n[64];
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(n, sizeof n, "unshare-%s", kinds[i].name);
		CALL(n, SYS_unshare, kinds[i].flag);
		if (kinds[i].flag != 0x80) { // the exit signal's bit in clone's flags
			snprintf(n, sizeof n, "clone-%s", kinds[i].name);
			TRY(n, cloned(kinds[i].flag));
		}
		snprintf(n, sizeof n, "clone3-%s", kinds[i].name);
		TRY(n, cloned3(kinds[i].flag));
		char path[64];
		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i].name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		snprintf(n, sizeof n, "setns-%s", kinds[i].name);
		CALL(n, SYS_setns, fd, 0);
		close(fd);
	}
	TRY("clone-high-bits", cloned(0x10000000UL | 0xffffffff00000000UL));
	TRY("clone-user-and-mnt", cloned(0x10020000));
	int fd = syscall(434, 1, 0);
	CALL("setns-pidfd-1", SYS_setns, fd, 0x20000);
	CALL("ns-get-parent", SYS_ioctl, open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC), 0xb702); // NS_GET_PARENT
	CALL("ns-get-userns", SYS_ioctl, open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC), 0xb702);
	CALL("sethostname", SYS_sethostname, "x", 1);
	CALL("setdomainname", SYS_setdomainname, "x", 1);
}

void mounts(void) {
	uint64_t attr[4] = {0, 1, 0, 0}; // clear MOUNT_ATTR_RDONLY
	mkdir("/tmp/m", 0700);
	CALL("mount-tmpfs", SYS_mount, "none", "/tmp/m", "tmpfs", 0, 0);
	CALL("mount-proc", SYS_mount, "none", "/tmp/m", "proc", 0, 0);
	CALL("mount-bind", SYS_mount, "/", "/tmp/m", 0, MS_BIND | MS_REC, 0);
	CALL("mount-move", SYS_mount, "/proc", "/tmp/m", 0, MS_MOVE, 0);
	CALL("remount-root-rw", SYS_mount, 0, "/", 0, MS_REMOUNT | MS_BIND, 0);
	CALL("remount-sys-rw", SYS_mount, 0, "/proc/sys", 0, MS_REMOUNT | MS_BIND, 0);
	CALL("mount-shared", SYS_mount, 0, "/", 0, MS_REC | MS_SHARED, 0);
	CALL("umount-sys", SYS_umount2, "/proc/sys", MNT_DETACH);
	CALL("umount-cover", SYS_umount2, "/proc/kallsyms", MNT_DETACH);
	CALL("umount-root", SYS_umount2, "/", MNT_DETACH);
	CALL("umount-workdir", SYS_umount2, ".", MNT_DETACH);
	CALL("pivot_root", SYS_pivot_root, "/tmp", "/tmp/m");
	CALL("chroot", SYS_chroot, "/tmp");
	CALL("fsopen", 430, "tmpfs", 0);
	CALL("fsconfig", 431, 0, 6, 0, 0, 0);
	CALL("fsmount", 432, 0, 0, 0);
	CALL("fspick", 433, AT_FDCWD, "/", 0);
	CALL("open_tree", 428, AT_FDCWD, "/", 1);
	CALL("open_tree_attr", 467, AT_FDCWD, "/", 1, attr, sizeof attr);
	CALL("move_mount", 429, AT_FDCWD, "/proc", AT_FDCWD, "/tmp/m", 0);
	CALL("mount_setattr", 442, AT_FDCWD, "/", 0x8000, attr, sizeof attr);
	CALL("statmount", 457, attr, attr, sizeof attr, 0);
	CALL("listmount", 458, attr, attr, 1, 0);
	TRY("write-root", opens("/created", O_CREAT | O_WRONLY));
	TRY("write-usr", opens("/usr/bin/escape", O_CREAT | O_WRONLY));
	TRY("write-etc-passwd", opens("/etc/passwd", O_WRONLY));
	TRY("write-ld-cache", opens("/etc/ld.so.cache", O_WRONLY));
	TRY("chmod-root", chmod("/", 0777));
	TRY("replace-bin", rename("/bin", "/tmp/bin"));
	TRY("unlink-lib", unlink("/lib64"));
	TRY("touch-usr", utimensat(AT_FDCWD, "/usr/bin/env", 0, 0));
	TRY("dotdot-shadow", reads("/../../../../etc/shadow"));
	TRY("canary", reads("/.landlock"));
	TRY("sys", opens("/sys", O_RDONLY));
	TRY("cgroup", opens("/sys/fs/cgroup", O_RDONLY));
	TRY("home", opens("/home", O_RDONLY));
	TRY("root-home", opens("/root", O_RDONLY));
	TRY("run", opens("/run", O_RDONLY));
	TRY("var", opens("/var/lib", O_RDONLY));
}
