//go:build amd64 || arm64

package spawn

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// Prepared is a process that has its namespaces already and waits for its table. To make namespaces takes the kernel longer than most
// callers need to know what is to happen in them.
//
//	p, err := spawn.Prepare(sysabi.CLONE_NEWUSER | sysabi.CLONE_NEWNET)
//	defer p.Close()
//	… // decide
//	process, err := p.Start(t, handed)
//
// Its form is table.Shared. Until Start it does nothing and holds no descriptor of its maker's but two of its own; it ends with its maker.
// Its current directory, its umask and its resource limits are the maker's at the time of Prepare.
type Prepared struct {
	process *Process
	channel int // our end of a socket pair, on which the descriptors go over
	theirs  int // the number of the other end in the child
	exec    int // the number of the exec pipe in the child
}

// preparedSize bounds a linked table of a prepared process, in bytes: the largest that can be, 1500 steps with filters and paths, has
// a quarter of it. Memory that is not used costs nothing.
const preparedSize = 1 << 20

// Prepare makes a process in new namespaces, given as flags CLONE_NEW*. CLONE_NEWTIME is not possible (kernel/nsproxy.c: copy_namespaces
// refuses a time namespace for a process that shares memory). It may be called concurrently.
func Prepare(namespaces uint64) (*Prepared, error) {
	r := &Request{Form: table.Shared, Namespaces: namespaces}
	if err := r.checkNamespaces(); err != nil {
		return nil, err
	}
	a, err := newArena(preparedSize, false)
	if err != nil {
		return nil, fmt.Errorf("mapping memory for a table: %w", err)
	}
	p := &Prepared{process: &Process{arena: a, pipe: -1, pidfd: -1}, channel: -1}
	if err := p.make(r); err != nil {
		return nil, errors.Join(err, a.release())
	}
	return p, nil
}

func (p *Prepared) make(r *Request) (err error) {
	read, write, err := sysabi.Pipe()
	if err != nil {
		return fmt.Errorf("making the exec pipe: %w", err)
	}
	defer sysabi.CloseFD(write)
	ours, theirs, err := sysabi.SocketPair()
	if err != nil {
		sysabi.CloseFD(read)
		return fmt.Errorf("making the channel to a prepared process: %w", err)
	}
	defer sysabi.CloseFD(theirs)
	defer func() {
		if err != nil {
			sysabi.CloseFD(read)
			sysabi.CloseFD(ours)
		}
	}()
	l := lifted{given: map[string]int{"channel": theirs}, pipe: write}
	defer l.close()
	p.exec, _ = l.number(table.ExecPipe)
	p.theirs, _ = l.number("channel")
	if l.err != nil {
		return l.err
	}
	p.process.ahead = p.waiting()
	image, base := p.process.arena.image()
	if err := p.process.ahead.Link(image, base, sysabi.NativeArch(), l.number); err != nil {
		return err
	}
	// Not the number of steps so far: those of the table come behind them.
	if err := p.process.clone(r, read, table.MaxSteps); err != nil {
		return err
	}
	p.channel = ours
	return nil
}

// waiting are the steps until the message. Every other descriptor goes: as long as the child has a copy of our end of the channel, our
// death does not end it.
func (p *Prepared) waiting() table.Table {
	low, high := min(p.exec, p.theirs), max(p.exec, p.theirs)
	gaps := [][2]uint64{{0, uint64(low - 1)}, {uint64(low + 1), uint64(high - 1)}, {uint64(high + 1), 0xffffffff}}
	var t table.Table
	for _, g := range gaps {
		if g[0] <= g[1] {
			t = append(t, table.Step{Name: "closing other descriptors", Call: "close_range", Args: []table.Arg{table.Num(g[0]), table.Num(g[1]), table.Num(0)}})
		}
	}
	return append(t, table.Step{Name: "waiting for descriptors", Call: "recvmsg", Want: table.Exactly(1),
		Args: []table.Arg{table.FD(p.theirs), table.Num(p.process.arena.message()), table.Flags(sysabi.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC")}})
}

// arriving are the steps behind the message. The kernel gave the descriptors the lowest numbers, in order; they go above everything that
// a table places.
func (p *Prepared) arriving(n int) table.Table {
	t := make(table.Table, 0, n+2)
	for i := range n {
		to := p.first() + i
		t = append(t, table.Step{Name: "lifting a descriptor", Call: "fcntl", Want: table.Exactly(to),
			Args: []table.Arg{table.FD(i), table.Flags(sysabi.F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"), table.Num(uint64(to))}})
	}
	if n > 0 {
		t = append(t, table.Step{Name: "closing the descriptors as they came", Call: "close_range", Args: []table.Arg{table.Num(0), table.Num(uint64(n - 1)), table.Num(0)}})
	}
	return append(t, table.Step{Name: "closing the channel", Call: "close", Args: []table.Arg{table.FD(p.theirs)}})
}

// first is the number of the first handed descriptor in the child.
func (p *Prepared) first() int { return max(p.exec, p.theirs) + 1 }

// PID returns the number of the process as this program sees it, for its identity maps.
func (p *Prepared) PID() int { return p.process.Pid() }

// Start gives the process its table and its descriptors, as Start of the package does. The Process is the caller's, whatever the error of
// Start; with an error it is nil and the prepared process has ended.
//
// Start is called at most once.
func (p *Prepared) Start(t table.Table, handed map[string]int) (*Process, error) {
	if err := p.start(t, handed); err != nil {
		p.Close()
		return nil, err
	}
	sysabi.CloseFD(p.channel)
	p.channel = -1
	return p.process, nil
}

func (p *Prepared) start(t table.Table, handed map[string]int) error {
	r := Request{Table: t, Form: table.Shared, Handed: handed}
	if err := r.check(); err != nil {
		return err
	}
	if len(handed) > maxLate {
		return fmt.Errorf("handing %d descriptors over; at most %d", len(handed), maxLate)
	}
	names := slices.Sorted(maps.Keys(handed))
	fds := make([]int, len(names))
	for i, n := range names {
		fds[i] = handed[n]
	}
	number := func(name string) (int, bool) {
		if name == table.ExecPipe {
			return p.exec, true
		}
		i, ok := slices.BinarySearch(names, name)
		return p.first() + i, ok
	}
	q := p.process
	link := func(t table.Table) error {
		image, base := q.arena.image()
		skip := len(q.ahead) * table.RecordSize
		return t.Link(image[skip:], base+uint64(skip), sysabi.NativeArch(), number)
	}
	arriving := p.arriving(len(fds)) // it has no data behind its records, so that the table's can follow
	if err := link(arriving); err != nil {
		return err
	}
	q.ahead = append(q.ahead, arriving...)
	if err := link(t); err != nil {
		return err
	}
	q.table = t
	if t.ChangesCredentials() {
		var err error
		if q.restore, err = dumpable.enter(); err != nil {
			return fmt.Errorf("reading the dumpable flag: %w", err)
		}
	}
	if err := sysabi.SendFDs(p.channel, fds); err != nil {
		return fmt.Errorf("handing descriptors to the prepared process: %w", err)
	}
	return nil
}

// Close ends a process that was not started. After Start it does nothing; calling it twice is no error.
func (p *Prepared) Close() error {
	if p.channel < 0 {
		return nil
	}
	sysabi.CloseFD(p.channel)
	p.channel = -1
	return p.process.Close()
}

// judgeAhead says what stopped a prepared process before its table.
func (p *Process) judgeAhead(step int, outcome, value uint64) error {
	name := p.ahead[step].Name
	switch outcome {
	case outcomeErrno:
		return fmt.Errorf("preparing a process: %s: %w", name, sysabi.Errno(value))
	case outcomeResult:
		return fmt.Errorf("preparing a process: %s: the result is %d", name, int64(value))
	}
	s, err := p.wait()
	if err != nil {
		return err
	}
	return fmt.Errorf("preparing a process: %s: %s", name, s)
}
