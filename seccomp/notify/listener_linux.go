package notify

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// An Answer is what happens to a call. The zero value refuses it with ENOSYS.
type Answer struct {
	errno sysabi.Errno
	kind  int
}

const (
	refuse = iota
	proceed
	kill
)

// Refuse lets the call fail with an error number; 0 stands for ENOSYS.
func Refuse(e sysabi.Errno) Answer { return Answer{errno: e} }

// Continue has the call made, unless another filter refuses it. Only a decision on registers may lead to it.
func Continue() Answer { return Answer{kind: proceed} }

// Kill ends the process, with SIGSYS if it has not taken that signal over, and with SIGKILL otherwise. The call is not made.
func Kill() Answer { return Answer{kind: kill} }

// A Listener is the supervisor's end of a filter with a listener.
type Listener struct {
	file   *os.File
	closed atomic.Bool
	ended  map[int]bool // processes that were sent SIGSYS
}

// New takes over the descriptor of a listener.
func New(fd int) (*Listener, error) {
	if err := sysabi.SetNonblock(fd, true); err != nil {
		sysabi.CloseFD(fd)
		return nil, fmt.Errorf("using the listener of a filter: %w", err)
	}
	sysabi.NotifySync(fd) // older kernels are slower, and no worse
	return &Listener{file: os.NewFile(uintptr(fd), "listener"), ended: map[int]bool{}}, nil
}

// Serve answers calls, one at a time, until every process under the filter is gone or the listener is closed; then it returns nil.
func (l *Listener) Serve(answer func(Call) Answer) error {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return nil // closed
	}
	for {
		var n sysabi.Notification
		var got, over bool
		rerr := raw.Read(func(fd uintptr) bool {
			var ready bool
			if ready, over, err = sysabi.NotifyReady(int(fd)); err != nil || over && !ready {
				return true
			}
			if !ready {
				return false
			}
			err = sysabi.NotifyReceive(int(fd), &n)
			got = err == nil
			return true
		})
		switch {
		case rerr != nil && l.closed.Load():
			return nil
		case rerr != nil:
			return fmt.Errorf("listening to a filter: %w", rerr)
		case errors.Is(err, sysabi.ENOENT):
			continue // the thread was killed meanwhile
		case err != nil:
			return fmt.Errorf("listening to a filter: %w", err)
		case !got && over:
			return nil
		}
		c := Call{Data: seccomp.Data{NR: n.NR, Arch: n.Arch, IP: n.IP, Args: n.Args}, TID: int(n.TID)}
		if err := l.answer(raw, n, answer(c)); err != nil {
			return err
		}
	}
}

type control interface{ Control(func(uintptr)) error }

func (l *Listener) answer(raw control, n sysabi.Notification, a Answer) error {
	var err error
	cerr := raw.Control(func(fd uintptr) {
		switch a.kind {
		case kill:
			err = l.kill(int(fd), n)
		case proceed:
			err = sysabi.NotifyAnswer(int(fd), n.ID, 0)
		default:
			e := a.errno
			if e == 0 {
				e = sysabi.ENOSYS
			}
			err = sysabi.NotifyAnswer(int(fd), n.ID, e)
		}
	})
	if cerr != nil || errors.Is(err, sysabi.ENOENT) {
		return nil // closed, or nobody waits any more
	}
	if err != nil {
		return fmt.Errorf("answering a call: %w", err)
	}
	return nil
}

// kill ends the process of a call that waits: it does not get an answer, and so cannot go on. The process is the right one, because the
// call is found waiting after the process was looked up.
func (l *Listener) kill(fd int, n sysabi.Notification) error {
	text, err := sysabi.ReadKernelFile("/proc/" + strconv.Itoa(int(n.TID)) + "/status")
	pid, pidfd := 0, -1
	if err == nil {
		pid, _ = strconv.Atoi(field(string(text), "Tgid"))
		pidfd, err = sysabi.PidfdOpen(pid)
	}
	if err != nil || !sysabi.NotifyValid(fd, n.ID) {
		if pidfd >= 0 {
			sysabi.CloseFD(pidfd)
		}
		return sysabi.NotifyAnswer(fd, n.ID, sysabi.EPERM) // it is gone, or cannot be found: the call is refused in any case
	}
	defer sysabi.CloseFD(pidfd)
	signal := sysabi.SIGSYS
	if l.ended[pid] || takes(string(text), sysabi.SIGSYS) {
		signal = sysabi.SIGKILL
	}
	if len(l.ended) < 1<<16 {
		l.ended[pid] = true
	}
	return sysabi.PidfdKill(pidfd, signal)
}

// takes reports whether a process has a handler for a signal, ignores it or blocks it, from the text of /proc/PID/status.
func takes(status string, signal int) bool {
	for _, name := range []string{"SigCgt", "SigIgn", "SigBlk"} {
		set, err := strconv.ParseUint(field(status, name), 16, 64)
		if err != nil || set>>(signal-1)&1 != 0 {
			return true
		}
	}
	return false
}

func field(status, name string) string {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// Close ends Serve. Calls that wait, and calls that are still made, get ENOSYS.
func (l *Listener) Close() error {
	l.closed.Store(true)
	return l.file.Close()
}
