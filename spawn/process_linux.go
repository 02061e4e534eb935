//go:build amd64 || arm64

package spawn

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// Process is a started process. It owns the pidfd, the read end of the exec pipe, and the memory of the table. Its methods
// may be called concurrently.
type Process struct {
	pid   int
	pidfd int
	file  *os.File // the pidfd, non-blocking, so that waiting costs no thread
	conn  syscall.RawConn
	table table.Table
	ahead table.Table // steps before those of table, of a prepared process

	exec     sync.Mutex // held by Executed
	executed bool
	execErr  error
	arena    arena
	pipe     int
	restore  bool  // the dumpable flag must be put back
	late     error // what went wrong between the clone and the return of Start

	end    sync.Mutex // held while reaping
	reaped bool
	status Status
	endErr error
}

// adopt takes the descriptors of the new process over.
func (p *Process) adopt(pid, pidfd, pipe int) error {
	p.pid, p.pidfd, p.pipe = pid, pidfd, pipe
	if err := sysabi.SetNonblock(pidfd, true); err != nil {
		return err
	}
	p.file = os.NewFile(uintptr(pidfd), "pidfd")
	var err error
	p.conn, err = p.file.SyscallConn()
	return err
}

// Pid returns the number of the process as this program sees it. Do not signal it: use Kill or PidFD.
func (p *Process) Pid() int { return p.pid }

// PidFD returns the pidfd. It stays the Process's, is open until Close, and is non-blocking: waitid(2) on it answers EAGAIN.
func (p *Process) PidFD() int { return p.pidfd }

// Executed waits until execve happened and returns nil, or until the table failed and returns a *StepError. After any error
// the process has ended and is reaped. It may be called any number of times.
//
// It blocks a thread for as long as the table takes. Kill ends a table that does not end by itself.
func (p *Process) Executed() error {
	p.exec.Lock()
	defer p.exec.Unlock()
	if p.executed {
		return p.execErr
	}
	p.executed = true
	var b [1]byte
	_, err := sysabi.ReadFD(p.pipe, b[:]) // nothing is ever written: it returns at the end of the pipe
	sysabi.CloseFD(p.pipe)
	p.pipe = -1
	if err == nil {
		err = p.judge()
	}
	// The child has left this memory: it executed another program, or it ended.
	after := errors.Join(p.late, p.leaveGuard(), p.arena.release())
	p.arena = arena{}
	if after != nil {
		err = errors.Join(err, after)
	}
	if err != nil {
		p.Kill()
		p.wait()
	}
	p.execErr = err
	return err
}

// judge draws the conclusions of the table in the package comment.
func (p *Process) judge() error {
	step, outcome, value := p.arena.outcome()
	if step < len(p.ahead) {
		return p.judgeAhead(step, outcome, value)
	}
	step -= len(p.ahead)
	if step >= len(p.table) {
		return fmt.Errorf("spawn bug: the report names step %d of %d", step+1, len(p.table))
	}
	e := &StepError{Index: step, Step: p.table[step]}
	switch outcome {
	case outcomeErrno:
		e.Errno = sysabi.Errno(value)
		return e
	case outcomeResult:
		e.Got = int64(value)
		return e
	}
	if step == len(p.table)-1 {
		ok, err := executed(p.pid)
		if err != nil || ok {
			return err
		}
	}
	s, err := p.wait()
	if err != nil {
		return err
	}
	e.Signal, e.Got = s.Signal, int64(s.Code)
	return e
}

// executed reports whether the process, which may be a zombie but is not reaped, ever executed a program: the kernel clears
// PF_FORKNOEXEC before it closes the descriptors that are close-on-exec (fs/exec.c: begin_new_exec), and shows it in
// field 9 of /proc/PID/stat.
func executed(pid int) (bool, error) {
	const forkNoExec = 0x40 // PF_FORKNOEXEC, include/linux/sched.h
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false, fmt.Errorf("looking whether the process was executed: %w", err)
	}
	// The name of the program, field 2, may contain anything, parentheses too.
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 7 {
		return false, fmt.Errorf("looking whether the process was executed: strange /proc/%d/stat", pid)
	}
	flags, err := strconv.ParseUint(f[6], 10, 64)
	if err != nil {
		return false, fmt.Errorf("looking whether the process was executed: %v", err)
	}
	return flags&forkNoExec == 0, nil
}

// Wait waits until the process ends, reaps it, and returns how it ended. It calls Executed first, whose error it does not
// repeat. It may be called any number of times.
func (p *Process) Wait() (Status, error) {
	p.Executed()
	return p.wait()
}

func (p *Process) wait() (Status, error) {
	var ended bool
	var err error
	if e := p.conn.Read(func(fd uintptr) bool {
		p.end.Lock()
		defer p.end.Unlock()
		if p.reaped {
			ended = true
		} else if ended, err = sysabi.PidfdEnded(int(fd)); ended {
			p.reap()
		}
		return ended || err != nil
	}); e != nil && err == nil && !ended {
		err = e // closed
	}
	p.end.Lock()
	defer p.end.Unlock()
	if p.reaped {
		return p.status, p.endErr
	}
	return Status{}, fmt.Errorf("waiting for process %d: %w", p.pid, err)
}

func (p *Process) reap() {
	p.reaped = true
	ws, u, err := sysabi.Reap(p.pid)
	if err != nil {
		p.endErr = fmt.Errorf("reaping process %d: %w", p.pid, err)
		return
	}
	w := syscall.WaitStatus(ws)
	p.status = Status{Code: w.ExitStatus(), CoreDumped: w.CoreDump(), Usage: Usage{
		User:      time.Duration(u.User) * time.Microsecond,
		System:    time.Duration(u.System) * time.Microsecond,
		MaxRSS:    u.MaxRSS * 1024,
		InBlocks:  u.InBlock,
		OutBlocks: u.OutBlock, Voluntary: u.Voluntary, Involuntary: u.Involuntary,
	}}
	if w.Signaled() {
		p.status.Signal = int(w.Signal())
	}
}

// Kill sends SIGKILL. To a process that has ended it does nothing.
func (p *Process) Kill() error {
	err := os.ErrClosed
	if e := p.conn.Control(func(fd uintptr) { err = sysabi.PidfdKill(int(fd), sysabi.SIGKILL) }); e != nil {
		err = e
	}
	if err == nil || errors.Is(err, sysabi.ESRCH) {
		return nil
	}
	return fmt.Errorf("killing process %d: %w", p.pid, err)
}

// Close ends the process if it has not ended, reaps it, and closes the descriptors. It is safe to call twice.
func (p *Process) Close() error {
	p.end.Lock()
	reaped := p.reaped
	p.end.Unlock()
	if !reaped {
		if err := p.Kill(); err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return err
		}
		p.Executed()
		if _, err := p.wait(); err != nil && !errors.Is(err, os.ErrClosed) {
			return errors.Join(err, p.file.Close())
		}
	}
	if err := p.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// leaveGuard puts the dumpable flag back, once.
func (p *Process) leaveGuard() error {
	if !p.restore {
		return nil
	}
	p.restore = false
	return dumpable.leave()
}
