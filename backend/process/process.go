//go:build linux && (amd64 || arm64)

// Package process is the backend that makes a cell of Linux processes: namespaces, an own root, Landlock, seccomp, rlimits.
//
//	c, err := process.Backend{}.Build(ctx, p, streams)
//
// It carries out a plan and decides nothing: what is built, and what must be seen when it stands, is in the plan. It works the same
// for root and for an ordinary user; only who writes the identity maps and who opens the granted trees differs.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/cgroup"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/spawn"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// Backend builds cells of Linux processes. The zero value is ready.
type Backend struct {
	// Files are handed over besides what every cell is given, by the names of the plan. They stay the caller's.
	Files map[string]*os.File
	// Ahead, when given, is used for the first cell that fits it. It stays the caller's to close.
	Ahead *Ahead
	// Calls, when given, is told of every system call that the supervisor answers, before it does; see authority.Watch. It is called
	// by one goroutine at a time, and the command waits meanwhile.
	Calls func(cell.Call)
}

var _ cell.Backend = Backend{}

// Build builds the cell and returns when its first process stands, before anything is measured. Cancelling the context ends it.
func (b Backend) Build(ctx context.Context, p *plan.Plan, s cell.Streams) (cell.Cell, error) {
	c := &processCell{plan: p, watch: watch{tell: b.Calls}}
	if err := c.start(s, b); err != nil {
		c.Destroy()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.proc.Kill() })
	own, ownErr := ownNamespaces(p.Namespaces) // while the child executes the table
	c.own = own
	err := errors.Join(c.proc.Executed(), ownErr)
	if !stop() {
		err = context.Cause(ctx) // what was killed says only that it was
	}
	if err == nil {
		err = c.takeLink()
	}
	if err != nil {
		c.Destroy()
		return nil, explain(err)
	}
	return c, nil
}

// A processCell is one cell.
type processCell struct {
	plan *plan.Plan
	proc child
	conn *cellinit.Conn

	answers []int64 // of the probes; nil: they were not heard yet
	foreign bool    // PID 1 is the child of another process, which reaps it

	watch watch // where the plan asks for it

	changes, terminal *os.File
	link              cell.Link
	state             *os.File
	started           time.Time
	own               map[string]string // the supervisor's namespaces
	namespace         *os.File          // of the cell's processes, for the look for leftovers
	identity          identity
	lastPID           atomic.Int64 // the last process number that the cell gave out; 0: unknown

	group *cgroup.Group // nil: none
	opens []*opens      // of granted mounts, where they are counted
	view  view          // for exports; empty: there are none

	destroy sync.Once
	residue cell.Residue
}

// start hands everything over and makes the child.
func (c *processCell) start(s cell.Streams, b Backend) (err error) {
	var h handing
	ahead := b.Ahead
	for name, f := range b.Files {
		h.give(name, int(f.Fd()))
	}
	defer h.close()
	if c.conn, err = h.control(c.plan.LateFilters() > 0); err != nil {
		return err
	}
	start, err := c.boot()
	if err != nil {
		return err
	}
	if err := c.conn.Send(start); err != nil {
		return fmt.Errorf("telling the cell's first process what to do: %w", err)
	}
	if err := h.streams(s, c.plan.Boot.Terminal); err != nil {
		return err
	}
	if err := h.init(c.plan.Arch); err != nil {
		return err
	}
	var mapped *os.File
	if c.plan.IDs.ByParent {
		if mapped, err = h.maps(); err != nil {
			return err
		}
		defer mapped.Close()
	}
	if err := h.trees(c.plan, ahead); err != nil {
		return err
	}
	into := 0
	if c.plan.Cgroup != nil {
		if c.group, err = cgroup.Make(c.plan.Cgroup); err != nil {
			return err
		}
		into = c.group.FD()
		ahead = nil // it was born elsewhere
	}
	proc, err := spawned(c.plan, c.plan.WithSecrets(s.Secrets), &h, ahead, into)
	if err != nil {
		return explain(err)
	}
	c.proc = proc
	if err := c.join(); err != nil {
		return err
	}
	if mapped == nil {
		return nil
	}
	if err := writeMaps(c.proc.Pid(), c.plan.IDs); err != nil {
		return err
	}
	if _, err := mapped.Write([]byte{1}); err != nil {
		return fmt.Errorf("telling the child that its identity maps are written: %w", err)
	}
	return nil
}

// spawned makes the child, or gives the one that was made ahead what it waits for.
func spawned(p *plan.Plan, t table.Table, h *handing, ahead *Ahead, cgroup int) (*spawn.Process, error) {
	if waiting := ahead.take(p.Namespaces); waiting != nil {
		return waiting.Start(t, h.fds)
	}
	form := table.Shared
	if p.Namespaces&sysabi.CLONE_NEWTIME != 0 {
		form = table.Fork // kernel/nsproxy.c: no time namespace for a process that shares memory
	}
	return spawn.Start(spawn.Request{Table: t, Form: form, Namespaces: uint64(p.Namespaces), Handed: h.fds, Cgroup: cgroup})
}

// A hinted error knows a remedy.
type hinted struct {
	error
	hint string
}

// Hint returns the remedy.
func (h hinted) Hint() string { return h.hint }

func (h hinted) Unwrap() error { return h.error }

// explain adds the remedy where the kernel's answer has a usual reason.
func explain(err error) error {
	hint := ""
	var clone *spawn.CloneError
	var un *spawn.Unsupported
	var step *spawn.StepError
	switch {
	case errors.As(err, &clone):
		switch clone.Errno {
		case sysabi.EACCES, sysabi.EBUSY:
			if clone.Cgroup {
				hint = "the folder of control groups must be cellos' own with all that lies between it and cellos' own group, and hold no processes itself (cgroups(7))"
			}
		case sysabi.EPERM:
			hint = "user namespaces are refused here; in a container, its seccomp profile must allow clone3 and unshare"
		case sysabi.ENOSPC, sysabi.EUSERS:
			hint = "too many namespaces or too deeply nested: see sysctl user.max_user_namespaces and its neighbours"
		case sysabi.EAGAIN:
			hint = "the limit of processes is reached: see ulimit -u and pids.max of the cgroup"
		}
	case errors.As(err, &un):
		hint = "run a newer kernel, or let the container's seccomp profile allow the call"
	case errors.As(err, &step):
		switch {
		case step.Step.Call == "execveat" && step.Errno == sysabi.E2BIG:
			hint = "the kernel takes arguments and environment of up to a quarter of the stack limit, and 128 KiB for one string (execve(2))"
		case step.Step.Call == "execveat" && step.Errno == sysabi.EACCES:
			hint = "executable memory files may be forbidden: sysctl vm.memfd_noexec"
		case step.Step.Call == "fsmount" || step.Step.Call == "fsconfig":
			if step.Errno == sysabi.EPERM {
				hint = "in a container, /proc must be fully visible for a new one to be mounted (mount it unmasked)"
			}
		case step.Step.Layer == plan.LayerNet && step.Errno == sysabi.EACCES:
			hint = "chmod 0666 /dev/net/tun, as most distributions do: it grants nothing by itself"
		case step.Step.Call == "openat2" && step.Errno == sysabi.ELOOP:
			hint = "a component of the path has become a symbolic link"
		}
	}
	if hint == "" {
		return fmt.Errorf("building the cell: %w", err)
	}
	return hinted{fmt.Errorf("building the cell: %w", err), hint}
}
