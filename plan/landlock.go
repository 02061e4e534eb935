package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// Rights of landlock(7), by what a grant allows.
const (
	landRead = sysabi.LANDLOCK_ACCESS_FS_READ_FILE | sysabi.LANDLOCK_ACCESS_FS_READ_DIR
	landFile = sysabi.LANDLOCK_ACCESS_FS_EXECUTE | sysabi.LANDLOCK_ACCESS_FS_WRITE_FILE | sysabi.LANDLOCK_ACCESS_FS_READ_FILE |
		sysabi.LANDLOCK_ACCESS_FS_TRUNCATE | sysabi.LANDLOCK_ACCESS_FS_IOCTL_DEV
	landWrite = sysabi.LANDLOCK_ACCESS_FS_WRITE_FILE | sysabi.LANDLOCK_ACCESS_FS_REMOVE_DIR | sysabi.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		sysabi.LANDLOCK_ACCESS_FS_MAKE_DIR | sysabi.LANDLOCK_ACCESS_FS_MAKE_REG | sysabi.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		sysabi.LANDLOCK_ACCESS_FS_MAKE_FIFO | sysabi.LANDLOCK_ACCESS_FS_MAKE_SYM | sysabi.LANDLOCK_ACCESS_FS_REFER | sysabi.LANDLOCK_ACCESS_FS_TRUNCATE
	landDevice = sysabi.LANDLOCK_ACCESS_FS_READ_FILE | sysabi.LANDLOCK_ACCESS_FS_WRITE_FILE | sysabi.LANDLOCK_ACCESS_FS_TRUNCATE | sysabi.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// landlock repeats the grants as a second wall that does not depend on the mounts: what no rule names cannot be opened, also
// if a mount should turn up in the cell that nobody planned.
func (p *planner) landlock() {
	if p.lacks(LayerLandlock) {
		return
	}
	if p.sandbox != nil {
		return // it forbids every mount (security/landlock/fs.c:hook_sb_mount), and runsc has some to make
	}
	b, abi := &p.b, p.h.Landlock
	b.in(LayerLandlock)
	handled := landHandled(abi)
	attr := words(handled)
	text := fmt.Sprintf("{handled_access_fs=0x%x", handled)
	if abi >= 6 {
		attr = append(words(handled, 0), words(sysabi.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET|sysabi.LANDLOCK_SCOPE_SIGNAL)...)
		text += ", scoped=ABSTRACT_UNIX_SOCKET|SIGNAL"
	}
	set := b.opens("making the Landlock ruleset", "landlock_create_ruleset", table.Struct(attr, text+"}"), table.Num(uint64(len(attr))), noFlags)
	for _, r := range p.landRules() {
		access := r.access & handled
		if r.file {
			access &= landFile
		}
		f := b.opens("opening "+r.at, "openat", table.FD(sysabi.AT_FDCWD), table.Path(r.at), table.Flags(sysabi.O_PATH|sysabi.O_CLOEXEC, "O_PATH|O_CLOEXEC"), table.Num(0))
		rule := make([]byte, 12) // struct landlock_path_beneath_attr, packed
		binary.LittleEndian.PutUint64(rule, access)
		binary.LittleEndian.PutUint32(rule[8:], uint32(f))
		b.do("allowing "+r.at, "landlock_add_rule", table.FD(set), table.Flags(sysabi.LANDLOCK_RULE_PATH_BENEATH, "LANDLOCK_RULE_PATH_BENEATH"),
			table.Struct(rule, fmt.Sprintf("{allowed_access=%s, parent_fd=%d}", landText(access), f)), noFlags)
		b.close(f)
	}
	b.do("confining the process to the ruleset", "landlock_restrict_self", table.FD(set), noFlags)
	b.close(set)
}

// lacks reports whether the cell goes without a layer that the host does not have.
func (p *planner) lacks(layer string) bool { return slices.Contains(p.p.Missing, layer) }

type landRule struct {
	at     string
	access uint64
	file   bool
}

func (p *planner) landRules() []landRule {
	rules := []landRule{
		{at: "/", access: sysabi.LANDLOCK_ACCESS_FS_READ_DIR},
		// Opening for writing is allowed in /proc: a process may set its own oom_score_adj and comm.
		{at: "/proc", access: landRead | sysabi.LANDLOCK_ACCESS_FS_WRITE_FILE | sysabi.LANDLOCK_ACCESS_FS_TRUNCATE},
		{at: "/dev", access: landDevice | sysabi.LANDLOCK_ACCESS_FS_READ_DIR},
		{at: "/dev/shm", access: landRead | landWrite},
	}
	if p.ownEtc() {
		rules = append(rules, landRule{at: "/etc", access: landRead | sysabi.LANDLOCK_ACCESS_FS_EXECUTE})
	}
	for _, t := range p.trees {
		r := landRule{at: t.at, file: t.kind == Regular}
		if t.access.Has(authority.CanRead) {
			r.access |= landRead
		}
		if t.access.Has(authority.CanWrite) {
			r.access |= landRead | landWrite
		}
		if t.access.Has(authority.CanExec) {
			r.access |= landRead | sysabi.LANDLOCK_ACCESS_FS_EXECUTE
		}
		rules = append(rules, r)
	}
	return rules
}

// landHandled is what an ABI of Landlock can restrict of the file system.
func landHandled(abi int) uint64 {
	all := uint64(1<<13 - 1)
	for _, x := range []struct {
		since int
		bit   uint64
	}{{2, sysabi.LANDLOCK_ACCESS_FS_REFER}, {3, sysabi.LANDLOCK_ACCESS_FS_TRUNCATE}, {5, sysabi.LANDLOCK_ACCESS_FS_IOCTL_DEV}} {
		if abi >= x.since {
			all |= x.bit
		}
	}
	return all
}

func landText(access uint64) string {
	names := [...]string{"EXECUTE", "WRITE_FILE", "READ_FILE", "READ_DIR", "REMOVE_DIR", "REMOVE_FILE", "MAKE_CHAR", "MAKE_DIR", "MAKE_REG",
		"MAKE_SOCK", "MAKE_FIFO", "MAKE_BLOCK", "MAKE_SYM", "REFER", "TRUNCATE", "IOCTL_DEV"}
	var s []string
	for i, n := range names {
		if access&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, "|")
}
