package plan

import (
	"fmt"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// Inside ids of a cell that root starts, unless the document names others. 1000 is what most images call their first user; any
// number but 0 and 65534 (which stands for every unmapped owner) would do.
const insideID = 1000

func (p *planner) identity() {
	ids := IDs{UID: p.h.UID, GID: p.h.GID, HostUID: p.h.UID, HostGID: p.h.GID}
	if p.h.Root() {
		ids = IDs{UID: insideID, GID: insideID, HostUID: p.h.CellID, HostGID: p.h.CellID, ByParent: true}
	} else if p.h.GID == 0 {
		p.refuse("", "the supervisor's group is the host's root group, which a cell may not have", "start cellos with another primary group")
	}
	if u := p.a.Command.User; u != nil {
		ids.UID, ids.GID = u.UID, u.GID
	}
	p.p.IDs = ids
	p.p.Namespaces = AllNamespaces
	if p.a.OnHost {
		p.p.Namespaces &^= sysabi.CLONE_NEWNET
	}
	if p.a.Clocks {
		p.p.Namespaces |= sysabi.CLONE_NEWTIME
	}
}

// maps lets the child be who it will be. An ordinary user maps its own id, which user_namespaces(7) allows without help; the
// maps of root are written by the supervisor while the child waits, because they name an id that is not root's own.
func (p *planner) maps() {
	b := &p.b
	b.in(LayerIdentity)
	ids := p.p.IDs
	if p.sandbox != nil {
		ids.UID, ids.GID = 0, 0 // as runsc wants to be started; the command's ids are made inside
	}
	if !ids.ByParent {
		for _, f := range []struct{ path, text string }{
			{"/proc/self/setgroups", "deny"},
			{"/proc/self/uid_map", fmt.Sprintf("%d %d 1\n", ids.UID, ids.HostUID)},
			{"/proc/self/gid_map", fmt.Sprintf("%d %d 1\n", ids.GID, ids.HostGID)},
		} {
			b.writeFile("writing "+f.path, sysabi.AT_FDCWD, f.path, sysabi.O_WRONLY, "O_WRONLY", 0, []byte(f.text))
		}
		return
	}
	b.do("waiting for the identity maps", "read", table.FD(p.fd(Maps)), table.Struct(make([]byte, 8), "&byte"), table.Num(1)).Want = table.Exactly(1)
	b.do("leaving the supplementary groups", "setgroups", table.Num(0), table.Null())
	uid, gid := table.Num(uint64(ids.UID)), table.Num(uint64(ids.GID))
	b.do(fmt.Sprintf("becoming group %d", ids.GID), "setresgid", gid, gid, gid)
	b.do(fmt.Sprintf("becoming user %d", ids.UID), "setresuid", uid, uid, uid)
}

// privileges takes away every capability for good. Those that the child holds, it holds in its own user namespace; they were
// needed for the mounts.
func (p *planner) privileges() {
	b := &p.b
	if p.sandbox != nil {
		p.noNewPrivs() // runsc has yet to make the sandbox, and gives them up by itself then
		return
	}
	b.in(LayerIdentity)
	b.do("locking the securebits", "prctl", table.Flags(sysabi.PR_SET_SECUREBITS, "PR_SET_SECUREBITS"),
		table.Flags(sysabi.SECUREBITS_LOCKED, "NOROOT|NO_SETUID_FIXUP|NO_CAP_AMBIENT_RAISE, all locked"))
	for c := range uint64(p.h.LastCap) + 1 {
		b.do("dropping a capability from the bounding set", "prctl", table.Flags(sysabi.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"), table.Num(c))
	}
	b.do("clearing the ambient capabilities", "prctl", table.Flags(sysabi.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"),
		table.Flags(sysabi.PR_CAP_AMBIENT_CLEAR_ALL, "PR_CAP_AMBIENT_CLEAR_ALL"), table.Num(0), table.Num(0), table.Num(0))
	// struct __user_cap_header_struct {version 3, pid 0}; two struct __user_cap_data_struct of zeros.
	header := []byte{0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0}
	b.do("dropping every capability", "capset", table.Struct(header, "{_LINUX_CAPABILITY_VERSION_3, 0}"), table.Struct(make([]byte, 24), "{}"))
	p.noNewPrivs()
}

func (p *planner) noNewPrivs() {
	b := &p.b
	b.in(LayerNNP)
	b.do("setting no_new_privs", "prctl", table.Flags(sysabi.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), table.Num(1), table.Num(0), table.Num(0), table.Num(0))
}
