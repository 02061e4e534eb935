package plan

import (
	"strconv"
	"strings"

	"cellos.io/cellos/sysabi"
)

// Namespaces is a set of CLONE_NEW* flags; see namespaces(7).
type Namespaces uint64

var namespaces = [...]struct {
	flag        Namespaces
	name, layer string // as /proc/PID/ns names it
}{
	{sysabi.CLONE_NEWUSER, "user", LayerUser},
	{sysabi.CLONE_NEWNS, "mnt", LayerMount},
	{sysabi.CLONE_NEWPID, "pid", LayerPID},
	{sysabi.CLONE_NEWNET, "net", LayerNet},
	{sysabi.CLONE_NEWIPC, "ipc", LayerIPC},
	{sysabi.CLONE_NEWUTS, "uts", LayerUTS},
	{sysabi.CLONE_NEWCGROUP, "cgroup", LayerCgroup},
	{sysabi.CLONE_NEWTIME, "time", LayerTime},
}

// Names returns the names of the set as /proc/PID/ns has them, in a fixed order.
func (n Namespaces) Names() []string {
	var s []string
	for _, x := range namespaces {
		if n&x.flag != 0 {
			s = append(s, x.name)
		}
	}
	return s
}

// Layer returns the boundary's name of a namespace of Names.
func NamespaceLayer(name string) string {
	for _, x := range namespaces {
		if x.name == name {
			return x.layer
		}
	}
	return name + " namespace"
}

// String names every bit, also unknown ones.
func (n Namespaces) String() string {
	s := n.Names()
	for _, x := range namespaces {
		n &^= x.flag
	}
	if n != 0 {
		s = append(s, "0x"+strconv.FormatUint(uint64(n), 16))
	}
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ",")
}

// AllNamespaces are what every cell has; a time namespace comes on request.
const AllNamespaces Namespaces = sysabi.CLONE_NEWUSER | sysabi.CLONE_NEWNS | sysabi.CLONE_NEWPID | sysabi.CLONE_NEWNET |
	sysabi.CLONE_NEWIPC | sysabi.CLONE_NEWUTS | sysabi.CLONE_NEWCGROUP
