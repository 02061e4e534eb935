// Package cell is the running thing: the contract that every backend keeps, and the words in which a cell tells
// what it is and how it ended.
//
//	c, err := backend.Build(ctx, p, cell.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
//	defer c.Destroy()
//	b, err := c.Measure(ctx)  // nothing of the command has run yet
//	if !b.Holds() { return b.Err() }
//	err = c.Release(ctx)      // from here on it runs
//	end, err := c.Wait()
//
// A cell is built, measured, released, waited for and destroyed, in this order; Destroy may come at any point and
// always leaves nothing. The package starts nothing itself: the backends are packages beside it.
package cell

import (
	"context"
	"os"
	"time"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/secret"
)

// A Backend builds cells.
type Backend interface {
	// Build builds the cell of a plan up to the point where only the release is missing. On error nothing is left.
	Build(ctx context.Context, p *plan.Plan, s Streams) (Cell, error)
}

// Streams are what a command is given besides its plan: the standard streams, and variables whose values no plan has. The backend takes
// copies of the streams; the caller keeps its own. With a terminal in the plan they are not used. A backend that cannot add the variables
// to the environment refuses plans with secrets.
type Streams struct {
	In, Out, Err *os.File
	Secrets      []secret.Variable // not to be wiped before Build returned
	// Answer answers a request for a secret where the plan has the cell ask by its backend (plan.Machine.Asks), and not on a socket of the host:
	// a line, answered by a line, which is wiped when it was passed on; nil: no answer. It is called concurrently, and does not wait for long.
	Answer func(ctx context.Context, line []byte) []byte
}

// A Cell is one cell of a backend. Its methods may be called concurrently, except where the order above forbids it.
type Cell interface {
	// PID is the process id of the cell's first process on the host, 0 if there is none.
	PID() int
	// Measure looks at the finished cell from inside, by the probes of the plan, and from outside.
	Measure(ctx context.Context) (Boundary, error)
	// Release starts the command. A *StartError means that it could not be executed; the cell is then at its end.
	Release(ctx context.Context) error
	// Terminal is our side of the cell's terminal, nil if the plan has none. The cell owns it.
	Terminal() Terminal
	// Signal sends a signal to the command's process group, or to every process of the cell.
	Signal(n int, every bool) error
	// Wait returns when the command and every other process of the cell has ended. Precondition: Release returned nil.
	Wait() (Outcome, error)
	// Changes is the folder that holds what the command changed in its working directory, nil if the plan collects
	// none. It may be read after Wait and before Destroy. The cell owns it.
	Changes() *os.File
	// Destroy ends the cell if it still runs, gives everything back, and looks for what was left. Calling it again
	// returns the first answer.
	Destroy() Residue
}

// A Call is a system call of the command that the supervisor was asked about: see authority.Watch.
type Call struct {
	seccomp.Data
	TID     int            // thread that makes it, on the host
	Verdict seccomp.Action // what it got: Allow, an errno action, or KillProcess
	By      int            // the filter of the plan that says so
	Claimed bool           // by the guest of a virtual machine: nobody else saw it
}

// An Outcome is how the command ended and what the cell used.
type Outcome struct {
	Code     int           // exit status; -1 if a signal ended it
	Signal   int           // the signal that ended it; 0 if it exited
	Started  time.Time     // when the command was executed
	Duration time.Duration // from then to its end
	User     time.Duration // processor time of all processes of the cell
	System   time.Duration
	MaxRSS   int64 // bytes, of the largest process
	Read     int64 // blocks of 512 bytes, getrusage(2)
	Written  int64
	Tasks    int64  // processes and threads that were started, PID 1 not counted; 0 if unknown
	Group    *Usage // what the cell's control group counted; nil if it has none
}

// Usage is what a control group counted. Zero: nothing, or the kernel does not tell.
type Usage struct {
	Memory        uint64 // the limit in bytes; 0: none
	MemoryPeak    uint64 // bytes, of all processes together
	OOMKills      uint64 // processes that the kernel ended because the memory was used up
	Processes     uint64 // most processes and threads at once
	Throttled     int64  // periods in which the processor time was used up
	ThrottledTime time.Duration
	Claimed       bool  // by the kernel of a virtual machine: nobody else saw it
	Err           error // a limit did not last as long as the command, or cannot be read any more; nil: all did
}

// OutOfMemory reports whether the cell's own limit of memory ended something in it.
func (o Outcome) OutOfMemory() bool { return o.Group != nil && o.Group.OOMKills > 0 }

// A StartError says that the command could not be executed; nothing of it ran.
type StartError struct {
	Path  string // what was executed last
	Stage string // "" for execve itself, else what was being done before
	Err   error  // an Errno
}

func (e *StartError) Error() string {
	if e.Stage != "" {
		return e.Stage + " for " + e.Path + ": " + e.Err.Error()
	}
	return "executing " + e.Path + ": " + e.Err.Error()
}

func (e *StartError) Unwrap() error { return e.Err }
