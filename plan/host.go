package plan

import "fmt"

// A Host describes the machine that a plan is made for. It is data: package host fills it from the running kernel, tests
// fill it by hand.
type Host struct {
	Arch     string  // "amd64" or "arm64"
	Kernel   Version // as uname(2) reports it
	UID, GID uint32  // effective ids of the supervisor
	CellID   uint32  // uid and gid, on the host, of a cell that root starts; owns nothing else
	LastCap  uint8   // /proc/sys/kernel/cap_last_cap
	Landlock int     // Landlock ABI; 0: the kernel has none, or it is off
	Seccomp  bool    // filters can be loaded
	OpenMax  uint64  // hard limit of RLIMIT_NOFILE of the supervisor
	CoreMax  uint64  // hard limit of RLIMIT_CORE of the supervisor
	ProcMax  uint64  // hard limit of RLIMIT_NPROC of the supervisor; 0: none

	// UserNS is empty when user namespaces can be made by this user, else the reason why not.
	UserNS string

	Cgroups Cgroups // filled only where WantsCgroup says so, or an operator named a place
	// ResolvConf and Hosts are the texts of the host's files of these names, for cells on the host's network.
	ResolvConf, Hosts string

	Image   *Root            // what there is in place of the system; nil: the host's own
	Etc     []string         // names in /etc
	Private []string         // folders and files of the supervisor's own, which no cell may have; real paths, in Entries too
	Entries map[string]Entry // what Paths asked for; a path that is not there is missing
}

// Root reports whether the supervisor is the host's root user.
func (h Host) Root() bool { return h.UID == 0 }

// An Entry is what lies at a path of the host.
type Entry struct {
	Kind     Kind
	Mode     uint32 // permission bits, with set-id and sticky
	UID, GID uint32
	Target   string // of a symbolic link, as written
	Real     string // the path with every symbolic link followed; "" if that leads nowhere
	Err      string // why it could not be looked at; Kind is Unknown then
}

// A Kind is a file type.
type Kind uint8

// The kinds that plans tell apart.
const (
	Missing Kind = iota
	Directory
	Regular
	Symlink
	Other // device, socket, FIFO
	Unknown
)

// A Version is a kernel version.
type Version struct{ Major, Minor int }

// AtLeast reports whether v is at least major.minor.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }
