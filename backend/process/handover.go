//go:build linux && (amd64 || arm64)

package process

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/spawn"
	"cellos.io/cellos/sysabi"
)

// A child is the process that is a cell's PID 1: one that this process made, or one that it took over.
type child interface {
	Pid() int
	PidFD() int
	Executed() error
	Kill() error
	Wait() (spawn.Status, error)
	Close() error
}

// A Handover is what another process needs to take over a cell whose command was released. The control channel is also the lifeline
// (docs/adr/0004-lifeline.md): the cell lives as long as somebody holds this end of it.
type Handover struct {
	PID     int     // of PID 1, on the host
	Answers []int64 // of PID 1 to the plan's probes
	Control *os.File
	PidFD   *os.File
	Changes *os.File // nil: the plan collects none
}

// Files are the descriptors, in the order in which TakeOver wants them.
func (h Handover) Files() []*os.File {
	files := []*os.File{h.Control, h.PidFD}
	if h.Changes != nil {
		files = append(files, h.Changes)
	}
	return files
}

// HandOver gives a cell of this package away, which was measured and released; a Wait for it fails. The descriptors are the
// cell's; when somebody else has copies of them, Leave closes these. A cell with a terminal, exports, a link, a watch or late filters keeps
// more than can be handed over.
func HandOver(c cell.Cell) (Handover, error) {
	p, ok := c.(*processCell)
	if !ok || p.answers == nil || p.terminal != nil || p.state != nil || p.group != nil || p.plan.Exports || p.plan.LateFilters() > 0 || p.link.Device != nil || len(p.link.Sockets) > 0 || len(p.opens) > 0 {
		return Handover{}, errors.New("handing the cell over: it is not measured, or keeps what cannot be handed over")
	}
	pidfd, err := sysabi.DupAbove(p.proc.PidFD(), 3)
	if err == nil {
		err = p.conn.SetDeadline(time.Unix(1, 0)) // what it says from now on somebody else hears
	}
	if err != nil {
		return Handover{}, fmt.Errorf("handing the cell over: %w", err)
	}
	return Handover{PID: p.proc.Pid(), Answers: p.answers, Control: p.conn.File(), PidFD: os.NewFile(uintptr(pidfd), "pidfd"), Changes: p.changes}, nil
}

// Leave lets go of a cell that was handed over, without ending it: this process keeps only the duty to reap PID 1, which it does whenever
// that ends.
func Leave(c cell.Cell, h Handover) {
	p := c.(*processCell)
	p.destroy.Do(func() {}) // nobody ends it here any more
	h.PidFD.Close()
	p.conn.Close()
	for _, f := range []*os.File{p.changes, p.namespace} {
		if f != nil {
			f.Close()
		}
	}
	go func() {
		p.proc.Wait()
		p.proc.Close()
	}()
}

// TakeOver makes a cell of what another process handed over. The plan is this process's own: Measure looks at the cell from outside anew, and
// judges the answers that PID 1 gave when it was built. It owns the descriptors, also when it fails.
func TakeOver(p *plan.Plan, h Handover) (cell.Cell, error) {
	fail := func(err error) (cell.Cell, error) {
		for _, f := range h.Files() {
			f.Close()
		}
		return nil, fmt.Errorf("taking the cell over: %w", err)
	}
	if len(h.Answers) != len(p.Boot.Probes) || (h.Changes == nil) != (p.Held.Changes < 0) {
		return fail(fmt.Errorf("it has %d answers to %d probes, or another folder of changes than planned", len(h.Answers), len(p.Boot.Probes)))
	}
	own, err := ownNamespaces(p.Namespaces)
	if err != nil {
		return fail(err)
	}
	// A number may be another process's by now, but not where the descriptor still says that it has not ended.
	if err := sysabi.PidfdKill(int(h.PidFD.Fd()), 0); err != nil {
		return fail(fmt.Errorf("its first process: %w", err))
	}
	fd, err := sysabi.DupAbove(int(h.Control.Fd()), 3)
	if err != nil {
		return fail(err)
	}
	conn, err := cellinit.NewConn(fd)
	if err != nil {
		return fail(err)
	}
	h.Control.Close()
	return &processCell{plan: p, own: own, conn: conn, answers: h.Answers, changes: h.Changes, started: time.Now(), foreign: true,
		proc: &foreign{pid: h.PID, file: h.PidFD}}, nil
}

// A foreign child is one of another process: it can be waited for and killed, but not reaped. Its methods may be called concurrently.
type foreign struct {
	pid  int
	file *os.File     // the pidfd
	used sync.RWMutex // for reading while the descriptor is in use: Close waits
}

func (f *foreign) Pid() int        { return f.pid }
func (f *foreign) PidFD() int      { return int(f.file.Fd()) }
func (f *foreign) Executed() error { return nil }

func (f *foreign) Kill() error {
	f.used.RLock()
	defer f.used.RUnlock()
	if err := sysabi.PidfdKill(f.PidFD(), sysabi.SIGKILL); err != nil && !errors.Is(err, sysabi.ESRCH) {
		return fmt.Errorf("killing process %d: %w", f.pid, err)
	}
	return nil
}

// Wait returns when the process has ended. How, only its parent is told.
func (f *foreign) Wait() (spawn.Status, error) {
	f.used.RLock()
	defer f.used.RUnlock()
	if err := sysabi.PidfdWait(f.PidFD()); err != nil {
		return spawn.Status{}, fmt.Errorf("waiting for process %d: %w", f.pid, err)
	}
	return spawn.Status{Signal: sysabi.SIGKILL}, nil // what a cell's PID 1 that does not say its end met
}

// Close must not be called before Kill: it waits for everybody who waits.
func (f *foreign) Close() error {
	f.used.Lock()
	defer f.used.Unlock()
	return f.file.Close()
}
