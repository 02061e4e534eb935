package plan

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// device makes the network device while the child still is the one who may open it: the user who started cellos.
func (p *planner) device() {
	if !p.p.Network.Device {
		return
	}
	b := &p.b
	b.in(LayerNet)
	// The descriptor stays open across the start of PID 1: the supervisor takes it over before release.
	p.p.Held.Device = b.opens("opening the device of virtual links", "openat", table.FD(sysabi.AT_FDCWD), table.Path(devicePath), table.Flags(sysabi.O_RDWR, "O_RDWR"), table.Num(0))
	index := make([]byte, 4)
	binary.LittleEndian.PutUint32(index, deviceIndex)
	b.do("numbering the link", "ioctl", table.FD(p.p.Held.Device), table.Flags(sysabi.TUNSETIFINDEX, "TUNSETIFINDEX"), table.Struct(index, fmt.Sprintf("&%d", deviceIndex)))
	req := ifreq()
	binary.LittleEndian.PutUint16(req[16:], sysabi.IFF_TUN|sysabi.IFF_NO_PI|sysabi.IFF_VNET_HDR)
	b.do("making the link "+DeviceName, "ioctl", table.FD(p.p.Held.Device), table.Flags(sysabi.TUNSETIFF, "TUNSETIFF"), table.Struct(req, `{"eth0", IFF_TUN|IFF_NO_PI|IFF_VNET_HDR}`))
	// The gate gets packets as the kernel has them: no checksum over their bytes, no cutting into segments (Link.Offload of package cell).
	b.do("leaving checksums and segments to the link", "ioctl", table.FD(p.p.Held.Device), table.Flags(sysabi.TUNSETOFFLOAD, "TUNSETOFFLOAD"),
		table.Flags(sysabi.TUN_F_CSUM|sysabi.TUN_F_TSO4|sysabi.TUN_F_TSO6, "TUN_F_CSUM|TUN_F_TSO4|TUN_F_TSO6"))
	// The link ends with the network namespace, when its last process is gone, not with the last descriptor: whoever closed that one would
	// wait until no processor can be reading the link any more, 10 to 40 ms (drivers/net/tun.c, __tun_detach; net/core/dev.c, synchronize_net).
	b.do("leaving the link's end to its namespace", "ioctl", table.FD(p.p.Held.Device), table.Flags(sysabi.TUNSETPERSIST, "TUNSETPERSIST"), table.Num(1))
}

// deviceIndex is above every index that the kernel gives to links of its own in a new network namespace.
const deviceIndex = 4096

// ifreq is a struct ifreq for the cell's device, netdevice(7): 16 bytes of name, then a union.
func ifreq() []byte {
	b := make([]byte, 40)
	copy(b, DeviceName)
	return b
}

// sockaddr is a struct sockaddr_in or sockaddr_in6.
func sockaddr(a netip.AddrPort) []byte {
	if a.Addr().Is6() {
		b := make([]byte, 28)
		binary.LittleEndian.PutUint16(b, sysabi.AF_INET6)
		binary.BigEndian.PutUint16(b[2:], a.Port())
		copy(b[8:], a.Addr().AsSlice())
		return b
	}
	b := make([]byte, 16)
	binary.LittleEndian.PutUint16(b, sysabi.AF_INET)
	binary.BigEndian.PutUint16(b[2:], a.Port())
	copy(b[4:], a.Addr().AsSlice())
	return b
}

// network brings up the loopback interface of the cell's network namespace, so that programs that talk to themselves work, and the
// device, if there is one. There is no other interface.
func (p *planner) network() {
	if p.p.Network.OnHost || p.sandbox != nil && !p.p.Network.Device { // without a device, runsc makes gVisor a loopback interface by itself
		p.hostname()
		return
	}
	b, n := &p.b, p.p.Network
	b.in(LayerNet)
	s := b.socket("opening a socket in the cell's network", sysabi.AF_INET, sysabi.SOCK_DGRAM, true)
	lo := make([]byte, 40) // struct ifreq, netdevice(7): 16 bytes of name, then the flags
	copy(lo, "lo")
	lo[16] = sysabi.IFF_UP | sysabi.IFF_RUNNING
	b.do("bringing up lo", "ioctl", table.FD(s), table.Flags(sysabi.SIOCSIFFLAGS, "SIOCSIFFLAGS"), table.Struct(lo, `{"lo", IFF_UP|IFF_RUNNING}`))
	if n.Device {
		p.link(s)
	}
	b.close(s)
	if len(n.IPv6) > 0 {
		p.link6()
	}
	for i := range p.p.Network.Sockets {
		p.listen(&p.p.Network.Sockets[i])
	}
	p.hostname()
}

func (p *planner) hostname() {
	b := &p.b
	b.in(LayerUTS)
	name := p.a.Command.Hostname
	b.do("naming the host "+name, "sethostname", table.Path(name), table.Num(uint64(len(name))))
}

func (b *builder) socket(name string, family, kind uint64, cloexec bool) int {
	flags, text := kind, map[uint64]string{sysabi.SOCK_DGRAM: "SOCK_DGRAM", sysabi.SOCK_STREAM: "SOCK_STREAM"}[kind]
	if cloexec {
		flags, text = flags|sysabi.SOCK_CLOEXEC, text+"|SOCK_CLOEXEC"
	}
	return b.opens(name, "socket", table.Flags(family, map[uint64]string{sysabi.AF_INET: "AF_INET", sysabi.AF_INET6: "AF_INET6"}[family]), table.Flags(flags, text), table.Num(0))
}

// link gives the device its address and the default route.
func (p *planner) link(s int) {
	b := &p.b
	set := func(what string, call uint64, text string, fill func(union []byte), shown string) {
		req := ifreq()
		fill(req[16:])
		b.do(what, "ioctl", table.FD(s), table.Flags(call, text), table.Struct(req, fmt.Sprintf("{%q, %s}", DeviceName, shown)))
	}
	addr := func(a netip.Addr) func([]byte) {
		return func(u []byte) { copy(u, sockaddr(netip.AddrPortFrom(a, 0))) }
	}
	mask := netip.AddrFrom4([4]byte{255, 255, 255, 252})
	set("giving the link its address", sysabi.SIOCSIFADDR, "SIOCSIFADDR", addr(CellAddress()), CellAddress().String())
	set("giving the link its mask", sysabi.SIOCSIFNETMASK, "SIOCSIFNETMASK", addr(mask), mask.String())
	set("sizing the link's packets", sysabi.SIOCSIFMTU, "SIOCSIFMTU", func(u []byte) { binary.LittleEndian.PutUint32(u, uint32(p.p.Network.MTU)) }, fmt.Sprint(p.p.Network.MTU))
	set("bringing up the link", sysabi.SIOCSIFFLAGS, "SIOCSIFFLAGS", func(u []byte) { u[0] = sysabi.IFF_UP | sysabi.IFF_RUNNING }, "IFF_UP|IFF_RUNNING")
	// struct rtentry, include/uapi/linux/route.h: 0.0.0.0/0 by the gate.
	route := make([]byte, 120)
	copy(route[8:], sockaddr(netip.AddrPortFrom(netip.IPv4Unspecified(), 0)))
	copy(route[24:], sockaddr(netip.AddrPortFrom(GateAddress(), 0)))
	copy(route[40:], sockaddr(netip.AddrPortFrom(netip.IPv4Unspecified(), 0)))
	route[56] = sysabi.RTF_UP | sysabi.RTF_GATEWAY
	b.do("routing everything into the link", "ioctl", table.FD(s), table.Flags(sysabi.SIOCADDRT, "SIOCADDRT"),
		table.Struct(route, fmt.Sprintf("{0.0.0.0/0, %s, RTF_UP|RTF_GATEWAY}", GateAddress())))
}

// link6 gives the device an IPv6 address and a route to each granted one.
func (p *planner) link6() {
	b := &p.b
	s := b.socket("opening a socket for IPv6", sysabi.AF_INET6, sysabi.SOCK_DGRAM, true)
	// struct in6_ifreq, include/uapi/linux/ipv6.h.
	req := append(CellAddress6().AsSlice(), make([]byte, 8)...)
	binary.LittleEndian.PutUint32(req[16:], 128)
	binary.LittleEndian.PutUint32(req[20:], deviceIndex)
	b.do("giving the link its IPv6 address", "ioctl", table.FD(s), table.Flags(sysabi.SIOCSIFADDR, "SIOCSIFADDR"), table.Struct(req, fmt.Sprintf("{%s/128, %d}", CellAddress6(), deviceIndex)))
	for _, a := range p.p.Network.IPv6 {
		// struct in6_rtmsg, include/uapi/linux/ipv6_route.h.
		route := append(a.AsSlice(), make([]byte, 64)...)
		binary.LittleEndian.PutUint16(route[52:], 128)
		binary.LittleEndian.PutUint32(route[56:], 1) // metric
		binary.LittleEndian.PutUint32(route[72:], sysabi.RTF_UP)
		binary.LittleEndian.PutUint32(route[76:], deviceIndex)
		b.do(fmt.Sprintf("routing %s into the link", a), "ioctl", table.FD(s), table.Flags(sysabi.SIOCADDRT, "SIOCADDRT"),
			table.Struct(route, fmt.Sprintf("{%s/128, %d, RTF_UP}", a, deviceIndex))).Tolerate = []sysabi.Errno{sysabi.EEXIST}
	}
	b.close(s)
}

// listen makes a socket of the gate in the cell.
func (p *planner) listen(s *Socket) {
	b := &p.b
	family, kind, proto := uint64(sysabi.AF_INET), uint64(sysabi.SOCK_DGRAM), "UDP"
	if s.At.Addr().Is6() {
		family = sysabi.AF_INET6
	}
	if s.TCP {
		kind, proto = sysabi.SOCK_STREAM, "TCP"
	}
	s.FD = b.socket(fmt.Sprintf("opening a resolver's socket for %s", proto), family, kind, false)
	addr := sockaddr(s.At)
	b.do("binding it", "bind", table.FD(s.FD), table.Struct(addr, "{"+s.At.String()+"}"), table.Num(uint64(len(addr))))
	if s.TCP {
		b.do("listening on it", "listen", table.FD(s.FD), table.Num(8))
	}
}
