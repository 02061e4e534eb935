//go:build linux && (amd64 || arm64)

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Boot is what the PID 1 of a plan is told first, where it runs in a kernel of its own.
func Boot(p *plan.Plan) (cellinit.Boot, error) { return (&processCell{plan: p}).boot() }

// boot is what PID 1 is told first.
func (c *processCell) boot() (cellinit.Boot, error) {
	p := c.plan
	a, _ := sysabi.ArchByName(p.Arch)
	b := cellinit.Boot{TTY: p.Boot.Terminal, Candidates: p.Boot.Candidates, KeepFirst: p.Boot.Keep, KeepCount: p.Boot.Kept, Arguments: p.Sandbox != nil,
		// gVisor does not let its first session go of a terminal (TIOCNOTTY leaves it bound there).
		Foreground: p.Sandbox != nil && p.Boot.Terminal}
	for _, x := range p.Boot.Probes {
		nr, ok := a.Number(x.Call)
		if !ok {
			nr = unknownCall
		}
		q := cellinit.Probe{Number: uint64(nr)}
		for _, o := range x.Args {
			switch {
			case o.Back > 0:
				q.Args = append(q.Args, cellinit.Result(o.Back))
			case o.Filter != nil:
				q.Args = append(q.Args, cellinit.Filter(o.Filter))
			case o.Data != nil:
				q.Args = append(q.Args, cellinit.Data(o.Data))
			default:
				q.Args = append(q.Args, cellinit.Immediate(o.Value))
			}
		}
		b.Probes = append(b.Probes, q)
	}
	return b, c.lateFilters(&b)
}

// unknownCall is a number that no kernel knows yet: between the last one in use and the x32 bit.
const unknownCall = 1000

// Release starts the command.
func (c *processCell) Release(ctx context.Context) error {
	err := c.conn.Start(ctx)
	if err == nil {
		c.started = time.Now()
		return nil
	}
	return StartError(c.plan, err)
}

// StartError puts into words of every backend why PID 1 did not start a plan's command.
func StartError(p *plan.Plan, err error) error {
	var f *cellinit.CommandError
	if !errors.As(err, &f) {
		return fmt.Errorf("releasing the command: %w", err)
	}
	e := &cell.StartError{Path: p.Boot.Candidates[0], Err: f.Errno}
	if f.Candidate < len(p.Boot.Candidates) {
		e.Path = p.Boot.Candidates[f.Candidate]
	}
	if f.Stage != cellinit.StageExec {
		e.Stage = f.Stage.String()
	}
	return e
}

// Signal tells PID 1 to send a signal.
func (c *processCell) Signal(n int, every bool) error { return c.conn.Signal(n, every) }

// Wait returns how the command ended. When it returns, every process of the cell but PID 1 has ended.
func (c *processCell) Wait() (cell.Outcome, error) {
	msg, err := c.conn.Await(context.Background())
	if errors.Is(err, cellinit.ErrGone) {
		return c.gone()
	}
	if err != nil {
		return cell.Outcome{}, fmt.Errorf("waiting for the command: %w", err)
	}
	end, ok := msg.(cellinit.Exit)
	if !ok {
		return cell.Outcome{}, fmt.Errorf("waiting for the command: unexpected answer %T", msg)
	}
	// Nothing is left to do in the cell: it goes while its end is written down.
	c.conn.Send(cellinit.End{})
	return c.outcome(end), nil
}

// gone is the outcome when PID 1 was killed: by a memory limit, by an operator, or with the kernel's pid namespace.
func (c *processCell) gone() (cell.Outcome, error) {
	s, err := c.proc.Wait()
	if err != nil {
		return cell.Outcome{}, fmt.Errorf("waiting for the command: %w", err)
	}
	o := cell.Outcome{Code: -1, Signal: s.Signal, Started: c.started, Duration: time.Since(c.started),
		User: s.Usage.User, System: s.Usage.System, MaxRSS: s.Usage.MaxRSS, Read: s.Usage.InBlocks, Written: s.Usage.OutBlocks, Group: c.counted()}
	if s.Signal == 0 {
		o.Signal = sysabi.SIGKILL // what the kernel does to all others when PID 1 ends
		return o, fmt.Errorf("waiting for the command: the cell's first process ended with %s", s)
	}
	return o, nil
}

// Terminal returns the master side of the cell's terminal.
func (c *processCell) Terminal() cell.Terminal { return cell.MasterOf(c.terminal) }

// State returns the folder in which another kernel, which the cell runs, keeps its notes; nil if it runs none.
func (c *processCell) State() *os.File { return c.state }

// Changes returns the folder of changes.
func (c *processCell) Changes() *os.File { return c.changes }

// PID returns the host's number of PID 1.
func (c *processCell) PID() int { return c.proc.Pid() }

// outcome puts what PID 1 saw into the words of every backend.
func (c *processCell) outcome(e cellinit.Exit) cell.Outcome {
	o := cell.Outcome{
		Code: e.Code, Signal: e.Signal, Started: c.started, Duration: time.Since(c.started),
		User: e.All.User, System: e.All.System, MaxRSS: e.All.MaxRSS, Read: e.All.InBlocks, Written: e.All.OutBlocks, Group: c.counted(),
	}
	if e.LastPID > 1 {
		c.lastPID.Store(int64(e.LastPID))
		o.Tasks = int64(e.LastPID) - 1
	}
	return o
}
