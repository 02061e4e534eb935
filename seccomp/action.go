package seccomp

import (
	"fmt"
	"strconv"
	"strings"

	"cellos.io/cellos/sysabi"
)

// Action is what a filter returns for a call: SECCOMP_RET_* in the high half, data in the low half. See seccomp(2).
type Action uint32

// The actions, include/uapi/linux/seccomp.h. When several filters are loaded the first of this order that any of them
// returns wins.
const (
	KillProcess Action = 0x80000000
	KillThread  Action = 0x00000000
	Trap        Action = 0x00030000
	Notify      Action = 0x7fc00000
	Trace       Action = 0x7ff00000
	Log         Action = 0x7ffc0000
	Allow       Action = 0x7fff0000

	errnoAction Action = 0x00050000
)

// MaxErrno is the largest error number that a filter can return; the kernel lowers greater ones to it
// (kernel/seccomp.c:__seccomp_filter).
const MaxErrno = 4095

// Errno is the action that refuses the call with an error number.
func Errno(e sysabi.Errno) Action { return errnoAction | Action(e) }

// Kind is the action without its data, as the kernel reads it: an unknown one acts as KillProcess.
func (a Action) Kind() Action { return a & 0xffff0000 }

// Data is the low half: the error number of an errno action.
func (a Action) Data() uint16 { return uint16(a) }

// Known reports whether the kernel knows the action. An unknown one kills the process.
func (a Action) Known() bool {
	switch a.Kind() {
	case KillProcess, KillThread, Trap, errnoAction, Notify, Trace, Log, Allow:
		return true
	}
	return false
}

// Errno returns the error number of an errno action, lowered to MaxErrno as the kernel does.
func (a Action) Errno() (sysabi.Errno, bool) {
	if a.Kind() != errnoAction {
		return 0, false
	}
	return sysabi.Errno(min(a.Data(), MaxErrno)), true
}

// Permits reports whether the call is made: Allow and Log. Notify and Trace leave it to another process, and are not it.
func (a Action) Permits() bool { return a.Kind() == Allow || a.Kind() == Log }

// Stricter reports whether a wins over b when both are returned for one call: lower as a signed number
// (kernel/seccomp.c:seccomp_run_filters). Data does not count.
func (a Action) Stricter(b Action) bool { return int32(a.Kind()) < int32(b.Kind()) }

// String returns the notation that ParseAction reads: "allow", "errno EPERM", "kill_process".
func (a Action) String() string {
	name := ""
	switch a.Kind() {
	case errnoAction:
		if a.Data() == 0 {
			return "errno 0"
		}
		if s := sysabi.Errno(a.Data()).Name(); !strings.HasPrefix(s, "errno ") {
			return "errno " + s
		}
		return "errno " + strconv.Itoa(int(a.Data()))
	case KillProcess:
		name = "kill_process"
	case KillThread:
		name = "kill_thread"
	case Trap:
		name = "trap"
	case Notify:
		name = "notify"
	case Trace:
		name = "trace"
	case Log:
		name = "log"
	case Allow:
		name = "allow"
	default:
		return "0x" + strconv.FormatUint(uint64(a), 16)
	}
	if a.Data() != 0 {
		name += " " + strconv.Itoa(int(a.Data()))
	}
	return name
}

// ParseAction reads what String writes: allow, log, notify, kill_process, kill_thread, "errno NAME", "errno NUMBER", trap and trace, the
// last two with a number after them if need be.
func ParseAction(s string) (Action, error) {
	word, rest, more := strings.Cut(s, " ")
	plain := map[string]Action{"allow": Allow, "log": Log, "notify": Notify, "kill_process": KillProcess, "kill_thread": KillThread, "trap": Trap, "trace": Trace}
	if a, ok := plain[word]; ok && !more {
		return a, nil
	} else if ok {
		if n, err := strconv.ParseUint(rest, 10, 16); err == nil {
			return a | Action(n), nil
		}
	}
	if word == "errno" {
		if n, err := strconv.ParseUint(rest, 10, 16); err == nil && n <= MaxErrno {
			return errnoAction | Action(n), nil
		}
		for e := sysabi.Errno(1); e < 200; e++ {
			if e.Name() == rest {
				return Errno(e), nil
			}
		}
		switch rest {
		case "EWOULDBLOCK":
			return Errno(sysabi.EAGAIN), nil
		case "EDEADLK":
			return Errno(sysabi.EDEADLOCK), nil
		case "EOPNOTSUPP":
			return Errno(sysabi.ENOTSUP), nil
		}
		return 0, fmt.Errorf("%q is no error number: it must be a name such as EPERM, or 0 to %d", rest, MaxErrno)
	}
	return 0, fmt.Errorf("%q is no action: it must be allow, \"errno NAME\", kill_process, kill_thread, trap, notify, trace or log", s)
}
