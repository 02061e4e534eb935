#include "escape.h"
#include <linux/fs.h>

static char path[3][4096];
static char *in(int n, const char *dir, const char *name) {
	snprintf(path[n], sizeof path[n], "%s/%s", dir, name);
	return path[n];
}

static int run(const char *p) {
	char *argv[] = {(char *)p, 0};
	return execve(p, argv, argv + 1);
}

static int puts_in(const char *p, const char *text) {
	int fd = open(p, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

// files WRITE READ SECRET: a folder of each grant, and a file of the host that none names. The working directory is an overlay.
void files(void) {
	const char *w = args[0], *r = args[1], *secret = args[2];
	struct stat st;
	TRY("secret", reads(secret));
	TRY("link-of-the-host", reads(in(0, w, "link")));
	TRY("link-of-the-host-write", opens(in(0, w, "link"), O_WRONLY));
	TRY("link-of-the-host-create", opens(in(0, w, "dangling"), O_WRONLY | O_CREAT));
	TRY("link-made", symlink(secret, in(0, w, "mine"))); // allowed: a link is only text
	TRY("link-made-read", reads(path[0]));
	TRY("link-made-etc", (unlink(path[0]), symlink("/etc/shadow", path[0]), reads(path[0])));
	TRY("link-made-proc", (unlink(path[0]), symlink("/proc/1/root/etc/shadow", path[0]), reads(path[0])));
	unlink(path[0]);
	in(0, w, "../secret");
	TRY("dotdot", reads(path[0]));
	TRY("hard-link-read-to-write", link(in(0, r, "data"), in(1, w, "linked")));
	TRY("hard-link-usr", link("/usr/bin/env", in(1, w, "linked")));
	TRY("hard-link-write-to-tmp", link(in(0, w, "theirs"), "/tmp/linked"));
	TRY("hard-link-proc-fd", linkat(AT_FDCWD, "/proc/self/fd/0", AT_FDCWD, in(1, w, "linked"), AT_SYMLINK_FOLLOW));
	TRY("rename-read-to-write", rename(in(0, r, "data"), in(1, w, "moved")));
	TRY("rename-write-to-read", rename(in(0, w, "theirs"), in(1, r, "moved")));
	TRY("rename-write-to-tmp", rename(in(0, w, "theirs"), "/tmp/moved"));
	TRY("exchange", syscall(SYS_renameat2, AT_FDCWD, in(0, r, "data"), AT_FDCWD, in(1, w, "theirs"), 2));
	TRY("rename-the-grant", rename(w, "/tmp/grant"));
	TRY("remove-the-grant", rmdir(w));
	TRY("read-write", opens(in(0, r, "data"), O_RDWR));
	TRY("read-truncate", truncate(path[0], 0));
	TRY("read-chmod", chmod(path[0], 0777));
	TRY("read-utime", utimensat(AT_FDCWD, path[0], 0, 0));
	TRY("read-xattr", syscall(SYS_setxattr, path[0], "user.escape", "x", 1, 0));
	TRY("read-unlink", unlink(path[0]));
	TRY("read-create", opens(in(0, r, "new"), O_CREAT | O_WRONLY));
	int fd = open(in(0, r, "data"), O_RDONLY | O_CLOEXEC);
	char self[64];
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	TRY("read-reopen", opens(self, O_RDWR));
	TRY("read-fchmod", fchmod(fd, 0777));
	TRY("read-map-shared", mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	TRY("read-map-exec", mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
	TRY("read-exec", run(in(0, r, "tool")));
	TRY("write-exec", (puts_in(in(0, w, "tool"), "#!/bin/sh\nexit 0\n"), run(path[0])));
	struct { unsigned n; int type; char b[128]; } handle = {128, 0, {0}};
	int id;
	CALL("name_to_handle_at", SYS_name_to_handle_at, AT_FDCWD, w, &handle, &id, 0);
	int top = open(w, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	handle.n = 8, handle.type = 1, memcpy(handle.b, "\2\0\0\0\0\0\0\0", 8); // inode 2: the root of an ext4
	CALL("open_by_handle_at", SYS_open_by_handle_at, top, &handle, O_RDONLY);
	TRY("openat-absolute", openat(top, secret, O_RDONLY | O_CLOEXEC));
	TRY("openat-up", openat(top, "../secret", O_RDONLY | O_CLOEXEC));
	TRY("device-in-write", mknod(in(0, w, "mem"), S_IFCHR | 0666, 0x101));
	TRY("trusted-xattr", syscall(SYS_setxattr, in(0, w, "theirs"), "trusted.overlay.opaque", "y", 1, 0));
	TRY("file-capability", syscall(SYS_setxattr, path[0], "security.capability", "\1\0\0\2\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
	TRY("chown-write-to-root", chown(path[0], 0, 0));
	struct fsxattr x = {.fsx_projid = 4711};
	int flags = FS_IMMUTABLE_FL;
	fd = open(path[0], O_RDONLY | O_CLOEXEC);
	TRY("project-id", ioctl(fd, FS_IOC_FSSETXATTR, &x));
	TRY("immutable", ioctl(fd, FS_IOC_SETFLAGS, &flags));
	TRY("freeze", ioctl(fd, FIFREEZE, 0));
	TRY("made", puts_in(in(0, w, "made"), "made inside")); // allowed; its owner is looked at from outside
	// The bit itself may be set, or refused, or ignored: what counts is what it means on the host.
	chmod(path[0], 06755);
	chmod(in(0, w, "sub"), 02777);
	in(0, w, "setuid");
	id = open(path[0], O_CREAT | O_WRONLY | O_CLOEXEC, 06755);
	close(id);
	TRY("lower-delete", unlink("lower"));			 // allowed, in the copy
	TRY("lower-truncate", truncate("lower2", 0));	 // allowed, in the copy
	TRY("lower-rename", rename("lower3", "lower4")); // allowed, in the copy
	TRY("lower-chmod", chmod("lower5", 0777));		 // allowed, in the copy
	TRY("lower-link-out", reads("lower-link"));
	TRY("overlay-redirect", syscall(SYS_setxattr, ".", "trusted.overlay.redirect", "/etc", 4, 0));
	mkdir("fake", 0755);
	if (!syscall(SYS_setxattr, "fake", "user.overlay.redirect", secret, strlen(secret), 0))
		errno = 0;
	char under[64];
	snprintf(under, sizeof under, "fake/%s", "secret");
	TRY("overlay-user-redirect", reads(under));
	if (stat("..", &st) == 0)
		TRY("beside-the-workdir", reads("../secret"));
}

// state DIR: the folder in which cellos keeps its records.
void state(void) {
	TRY("state-open", opens(args[0], O_RDONLY));
	TRY("state-create", opens(in(0, args[0], "escape"), O_CREAT | O_WRONLY));
	TRY("state-rename", rename(args[0], "/tmp/state"));
	TRY("state-through-workdir", opens("../state", O_RDONLY));
	TRY("state-through-1", opens(in(0, "/proc/1/root", args[0]), O_RDONLY));
	TRY("state-through-self", opens(in(0, "/proc/self/root", args[0]), O_RDONLY));
}
