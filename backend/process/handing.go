//go:build linux && (amd64 || arm64)

package process

import (
	"fmt"
	"os"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// A handing collects the descriptors that a child is given. Those that it opened itself it closes again when the child
// has its copies.
type handing struct {
	fds  map[string]int
	mine []int
}

func (h *handing) give(name string, fd int) {
	if h.fds == nil {
		h.fds = map[string]int{}
	}
	h.fds[name] = fd
}

func (h *handing) giveOwn(name string, fd int) {
	h.give(name, fd)
	h.mine = append(h.mine, fd)
}

func (h *handing) close() {
	for _, fd := range h.mine {
		sysabi.CloseFD(fd)
	}
	h.mine = nil
}

// control makes the channel between supervisor and PID 1. It is also the lifeline: whoever dies, the other side of it ends too. A
// parent-death signal (prctl(2)) would add nothing: a child that still executes the table ends at PID 1's first look at the channel, and
// the signal is about the thread that made the child, which a Go program does not choose.
// With senders each message tells which process sent it.
func (h *handing) control(senders bool) (*cellinit.Conn, error) {
	ours, theirs, err := sysabi.SocketPair()
	if err == nil && senders {
		if err = sysabi.PassCredentials(ours); err != nil {
			sysabi.CloseFD(ours)
			sysabi.CloseFD(theirs)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("making the control channel: %w", err)
	}
	h.giveOwn(plan.Control, theirs)
	return cellinit.NewConn(ours)
}

// streams hands over the standard streams. A stream that is nil, or is replaced by the cell's own terminal, is /dev/null.
func (h *handing) streams(s cell.Streams, terminal bool) error {
	null := -1
	for _, x := range []struct {
		name string
		f    *os.File
	}{{plan.Stdin, s.In}, {plan.Stdout, s.Out}, {plan.Stderr, s.Err}} {
		if x.f != nil && !terminal {
			h.give(x.name, int(x.f.Fd()))
			continue
		}
		if null < 0 {
			f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
			if err != nil {
				return fmt.Errorf("opening the cell's empty streams: %w", err)
			}
			defer f.Close()
			if null, err = sysabi.DupAbove(int(f.Fd()), 3); err != nil {
				return fmt.Errorf("opening the cell's empty streams: %w", err)
			}
			h.mine = append(h.mine, null)
		}
		h.give(x.name, null)
	}
	return nil
}

// init puts the program of PID 1 into a sealed file in memory: the cell can execute it, and nobody can change it.
func (h *handing) init(arch string) error {
	program, err := cellinit.Binary(arch)
	if err != nil {
		return err
	}
	fd, err := sysabi.SealedFile("cellos-init", program)
	if err != nil {
		err = fmt.Errorf("making the program of the cell's first process: %w", err)
		return hinted{err, "executable memory files may be forbidden: sysctl vm.memfd_noexec"}
	}
	h.giveOwn(plan.Init, fd)
	return nil
}

// maps makes the pipe on which the child waits for its identity maps, and returns the end to write to.
func (h *handing) maps() (*os.File, error) {
	r, w, err := sysabi.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making the pipe for the identity maps: %w", err)
	}
	h.giveOwn(plan.Maps, r)
	return os.NewFile(uintptr(w), "maps"), nil
}
