#include "escape.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

static long linked(int type) { // adds a route or a link; the kernel's answer
	struct {
		struct nlmsghdr h;
		char body[64];
	} m = {{NLMSG_LENGTH(type == RTM_NEWROUTE ? sizeof(struct rtmsg) : sizeof(struct ifinfomsg)), type, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, 0}, {0}};
	if (type == RTM_NEWROUTE)
		*(struct rtmsg *)m.body = (struct rtmsg){.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_BLACKHOLE};
	char answer[512];
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (s < 0 || send(s, &m, m.h.nlmsg_len, 0) < 0 || recv(s, answer, sizeof answer, 0) < 0)
		return -1;
	close(s);
	errno = -((struct nlmsgerr *)NLMSG_DATA(answer))->error;
	return errno ? -1 : 0;
}

// sockets PORT NAME PATH: a TCP listener on the host's loopback addresses, an abstract socket, and one with a path.
void sockets(void) {
	int port = atoi(args[0]);
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un un = {.sun_family = AF_UNIX}, path = {.sun_family = AF_UNIX};
	int flags = SOCK_CLOEXEC;
	TRY("loopback", connect(socket(AF_INET, SOCK_STREAM | flags, 0), (void *)&a4, sizeof a4));
	TRY("loopback6", connect(socket(AF_INET6, SOCK_STREAM | flags, 0), (void *)&a6, sizeof a6));
	a4.sin_addr.s_addr = htonl(0xc0000201); // 192.0.2.1
	TRY("outside", connect(socket(AF_INET, SOCK_STREAM | flags, 0), (void *)&a4, sizeof a4));
	TRY("outside-udp", sendto(socket(AF_INET, SOCK_DGRAM | flags, 0), "x", 1, 0, (void *)&a4, sizeof a4));
	TRY("fastopen", sendto(socket(AF_INET, SOCK_STREAM | flags, 0), "x", 1, MSG_FASTOPEN, (void *)&a4, sizeof a4));
	size_t n = strlen(args[1]);
	memcpy(un.sun_path + 1, args[1], n);
	TRY("abstract", connect(socket(AF_UNIX, SOCK_STREAM | flags, 0), (void *)&un, offsetof(struct sockaddr_un, sun_path) + 1 + n));
	TRY("abstract-dgram", sendto(socket(AF_UNIX, SOCK_DGRAM | flags, 0), "x", 1, 0, (void *)&un, offsetof(struct sockaddr_un, sun_path) + 1 + n));
	strncpy(path.sun_path, args[2], sizeof path.sun_path - 1);
	TRY("unix-path", connect(socket(AF_UNIX, SOCK_STREAM | flags, 0), (void *)&path, sizeof path));
	static const struct {
		const char *name;
		int family, type, protocol;
	} kinds[] = {
		{"vsock", AF_VSOCK, SOCK_STREAM, 0}, {"packet", AF_PACKET, SOCK_RAW, 0x300}, {"packet-dgram", AF_PACKET, SOCK_DGRAM, 0}, {"raw", AF_INET, SOCK_RAW, 1},
		{"raw6", AF_INET6, SOCK_RAW, 58}, {"ping", AF_INET, SOCK_DGRAM, 1}, {"alg", 38, SOCK_SEQPACKET, 0}, {"sctp", AF_INET, SOCK_STREAM, 132},
		{"mptcp", AF_INET, SOCK_STREAM, 262}, {"udplite", AF_INET, SOCK_DGRAM, 136}, {"bluetooth", AF_BLUETOOTH, SOCK_RAW, 0}, {"can", AF_CAN, SOCK_RAW, 1},
		{"rds", AF_RDS, SOCK_SEQPACKET, 0}, {"tipc", AF_TIPC, SOCK_STREAM, 0}, {"kcm", 41, SOCK_DGRAM, 0}, {"xdp", 44, SOCK_RAW, 0}, {"smc", 43, SOCK_STREAM, 0},
		{"key", AF_KEY, SOCK_RAW, 2}, {"ax25", AF_AX25, SOCK_SEQPACKET, 0}, {"netlink-audit", AF_NETLINK, SOCK_RAW, 9},
		{"netlink-netfilter", AF_NETLINK, SOCK_RAW, 12}, {"netlink-uevent", AF_NETLINK, SOCK_RAW, 15}, {"netlink-xfrm", AF_NETLINK, SOCK_RAW, 6},
		{"netlink-diag", AF_NETLINK, SOCK_RAW, 4}, {"netlink-generic", AF_NETLINK, SOCK_RAW, 16}, {"netlink-crypto", AF_NETLINK, SOCK_RAW, 21},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		TRY(kinds[i].name, socket(kinds[i].family, kinds[i].type | flags, kinds[i].protocol));
	CALL("family-high-bits", SYS_socket, 0x100000000L | AF_PACKET, SOCK_RAW, 0x300);
	TRY("route-add", linked(RTM_NEWROUTE));
	TRY("link-add", linked(RTM_NEWLINK));
	struct ifreq ifr = {.ifr_name = "lo"};
	int s = socket(AF_INET, SOCK_DGRAM | flags, 0);
	TRY("lo-down", ioctl(s, 0x8914, &ifr)); // SIOCSIFFLAGS
	strcpy(ifr.ifr_name, "eth0");
	TRY("eth0", ioctl(s, 0x8933, &ifr)); // SIOCGIFINDEX
	a4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	TRY("low-port", bind(s, (void *)&a4, sizeof a4));
	TRY("bind-to-device", setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5));
	TRY("transparent", setsockopt(s, 0, 19, (int[]){1}, 4)); // IP_TRANSPARENT
	TRY("sndbufforce", setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, (int[]){1 << 30}, 4));
	struct { struct cmsghdr h; struct { int pid, uid, gid; } c; } as = {{sizeof as, SOL_SOCKET, SCM_CREDENTIALS}, {1, 0, 0}};
	int pair[2];
	socketpair(AF_UNIX, SOCK_STREAM | flags, 0, pair);
	struct iovec v = {"x", 1};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &as, .msg_controllen = sizeof as};
	TRY("forged-credentials", sendmsg(pair[0], &h, 0));
}
