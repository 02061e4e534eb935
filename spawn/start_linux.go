//go:build amd64 || arm64

package spawn

import (
	"errors"
	"fmt"
	"syscall"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// sysClone3 is the number of clone3(2), the same on every architecture.
const sysClone3 = 435

// Start makes the process. It returns when the process exists: in VFork form that is after execve or after the table's
// failure, in Fork and Shared form at once. An error means that nothing was started; whether the table succeeded is what
// Executed tells, in every form.
//
// It may be called concurrently. The handed descriptors and the cgroup must stay open until it returns.
//
// A table with PR_SET_PDEATHSIG ties the process to the thread that calls Start, not to the program: lock the goroutine to
// a thread that lives as long (prctl(2); go.dev/issue/27505).
//
// In VFork form the thread cannot be preempted until execve, so the collector waits for the table. Do not start with
// VFork in a frozen or throttled cgroup.
func Start(r Request) (*Process, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	a, err := newArena(r.Table.Size(), r.Form == table.Fork)
	if err != nil {
		return nil, fmt.Errorf("mapping memory for a table of %d steps: %w", len(r.Table), err)
	}
	p := &Process{table: r.Table, arena: a, pipe: -1, pidfd: -1}
	if err := p.start(&r); err != nil {
		return nil, errors.Join(err, a.release())
	}
	return p, nil
}

func (p *Process) start(r *Request) (err error) {
	read, write, err := sysabi.Pipe()
	if err != nil {
		return fmt.Errorf("making the exec pipe: %w", err)
	}
	defer sysabi.CloseFD(write)
	defer func() {
		if err != nil {
			sysabi.CloseFD(read)
		}
	}()

	l := lifted{given: r.Handed, pipe: write}
	defer l.close()
	image, base := p.arena.image()
	if err := r.Table.Link(image, base, sysabi.NativeArch(), l.number); err != nil {
		return errors.Join(err, l.err)
	}

	if r.Form != table.Fork && r.Table.ChangesCredentials() {
		if p.restore, err = dumpable.enter(); err != nil {
			return fmt.Errorf("reading the dumpable flag: %w", err)
		}
	}

	if err := p.clone(r, read, len(r.Table)); err != nil {
		return errors.Join(err, p.leaveGuard())
	}
	if r.Form == table.VFork {
		p.late = errors.Join(p.late, p.leaveGuard()) // the child has left this memory
	}
	return nil
}

// clone makes the process, which executes the steps of the arena.
func (p *Process) clone(r *Request, pipe, steps int) error {
	c := &p.arena.head.clone
	c.flags = sysabi.CLONE_PIDFD | sysabi.CLONE_CLEAR_SIGHAND | r.Namespaces
	c.exitSignal = sysabi.SIGCHLD
	if r.Cgroup > 0 {
		c.flags |= sysabi.CLONE_INTO_CGROUP
		c.cgroup = uint64(r.Cgroup)
	}
	switch r.Form {
	case table.VFork:
		c.flags |= sysabi.CLONE_VM | sysabi.CLONE_VFORK
	case table.Shared:
		c.flags |= sysabi.CLONE_VM
	}
	// Descriptors that others make without O_CLOEXEC, and mark afterwards, must not be caught in between.
	syscall.ForkLock.Lock()
	pid, errno := p.arena.clone(steps)
	syscall.ForkLock.Unlock()
	if errno != 0 {
		return refusal(r, errno)
	}
	p.late = p.adopt(pid, int(p.arena.head.pidfd), pipe)
	return nil
}

// refusal says what the kernel, or a filter in its place, refused.
func refusal(r *Request, errno sysabi.Errno) error {
	into := r.Cgroup > 0
	switch {
	case errno == sysabi.ENOSYS, errno == sysabi.EPERM && !sysabi.Clone3Answers():
		return &Unsupported{Feature: "clone3", Since: "Linux 5.3, and a container or filter that does not refuse it", Errno: errno}
	case errno == sysabi.E2BIG:
		return &Unsupported{Feature: "starting a process in a cgroup", Since: "Linux 5.7", Errno: errno}
	case errno == sysabi.EINVAL && r.Namespaces == 0 && !into:
		return &Unsupported{Feature: "starting a process with cleared signal handlers", Since: "Linux 5.5", Errno: errno}
	}
	return &CloneError{Namespaces: r.Namespaces, Cgroup: into, Errno: errno}
}

// lifted gives handed descriptors numbers from table.FirstHanded up, duplicating those that are below.
//
// The duplicates are close-on-exec from the beginning, so no lock is needed; they are closed after the clone, which copied
// the descriptor table.
type lifted struct {
	given map[string]int
	pipe  int
	done  []liftedFD
	err   error
}

type liftedFD struct {
	name string
	fd   int
	own  bool
}

// number returns the number of a handed descriptor in the child.
func (l *lifted) number(name string) (int, bool) {
	for _, d := range l.done {
		if d.name == name {
			return d.fd, true
		}
	}
	fd, ok := l.given[name]
	if name == table.ExecPipe {
		fd, ok = l.pipe, true
	}
	if !ok {
		return -1, false
	}
	d := liftedFD{name: name, fd: fd}
	if fd < table.FirstHanded {
		n, err := sysabi.DupAbove(fd, table.FirstHanded)
		if err != nil {
			l.err = fmt.Errorf("duplicating descriptor %d (%s): %w", fd, name, err)
			return -1, false
		}
		d.fd, d.own = n, true
	}
	l.done = append(l.done, d)
	return d.fd, true
}

func (l *lifted) close() {
	for _, d := range l.done {
		if d.own {
			sysabi.CloseFD(d.fd)
		}
	}
}
