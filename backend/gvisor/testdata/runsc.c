// A runsc that is none: it tells a version, and then does what its name says.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "--version")) {
#ifdef SILENT
		pause();
#endif
#ifdef FOREIGN
		puts("grep (GNU grep) 3.8");
		return 0;
#endif
#ifdef OLD
		puts("runsc version release-20230102.0");
		return 0;
#endif
#ifdef LOUD
		for (int i = 0; i < 100000; i++)
			puts("runsc version \033[2J");
		return 0;
#endif
		puts("runsc version fake-20260905");
		return 0;
	}
#ifdef HANG
	pause();
#endif
#ifdef DIE
	fputs("first line\nit is \033[31mbroken\033[0m\n", stderr);
	return 3;
#endif
#ifdef ABORT
	return *(volatile int *)0;
#endif
#ifdef GARBAGE
	for (int i = 0; i < 1000; i++)
		fputs("\x00\xff\x1b[2J no newline ", stderr);
	for (int fd = 3; fd < 20; fd++)
		send(fd, "garbage", 7, MSG_NOSIGNAL);
	pause();
#endif
	return 0;
}
