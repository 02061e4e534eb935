// The parts of the probe program. Each tries to get out of a cell in many ways and prints one line a try: "NAME ok" or "NAME EPERM".
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

void say(const char *name, const char *verdict);
void verdict(const char *name, long result); // a negative result is an error, in errno
void child(const char *name, void (*f)(void)); // what became of a process: "ok", "SIGSYS", or the errno it exited with
int reads(const char *path);                   // opens for reading and reads a byte; -1 and errno, or 0
int opens(const char *path, int flags);        // opens and closes

#define TRY(name, expression)              \
	do {                                   \
		errno = 0;                         \
		verdict(name, (long)(expression)); \
	} while (0)

#define CALL(name, ...) TRY(name, syscall(__VA_ARGS__))

extern char **args; // what follows the group's name
void kernel(void), names(void), mounts(void), proc(void), identity(void), devices(void), sockets(void), files(void);
void descriptors(void), terminal(void), signals(void), ipc(void), limits(void), scratch(void), spare(void), outlive(void), alone(void), state(void);
