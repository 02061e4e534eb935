//go:build linux && (amd64 || arm64)

package process

import (
	"fmt"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/notify"
	"cellos.io/cellos/sysabi"
)

// A watch answers the calls that the command's last filter hands over.
type watch struct {
	programs []seccomp.Program // of the plan's filters, as they count for this cell
	tell     func(cell.Call)   // may be nil
	listener *notify.Listener
	done     chan error
}

// watching makes the last filter of a watched command: of the filters' programs, or for every call. That one must let pass what the
// command's process does between loading it and execve, which is 8 bytes each way on descriptor 3.
func (w *watch) watching(what authority.Watch, a *sysabi.Arch) (cellinit.LateFilter, error) {
	var prog seccomp.Program
	var err error
	if what == authority.WatchEvery {
		gate := []seccomp.Cond{seccomp.Is(0, seccomp.Bits32, 3), seccomp.Is(2, seccomp.Bits64, 8)}
		prog, err = seccomp.Compile(&seccomp.Policy{Name: "watch", Default: seccomp.Notify, Foreign: seccomp.Notify, X32: seccomp.Notify, Rules: []seccomp.Rule{
			{Names: []string{"read", "write"}, Cases: []seccomp.Case{{All: gate, Then: seccomp.Allow}}, Else: seccomp.Notify},
		}}, a)
	} else {
		prog, err = seccomp.Watch(w.programs...)
	}
	if err != nil {
		return cellinit.LateFilter{}, fmt.Errorf("making the filter that is watched: %w", err)
	}
	return cellinit.LateFilter{Program: prog.Bytes(), Listener: true}, nil
}

// listen takes the listener over from the command's process, which stands still, and begins to answer.
func (w *watch) listen(m cellinit.Loaded) error {
	pidfd, err := sysabi.PidfdOpen(m.PID)
	if err != nil {
		return fmt.Errorf("taking over the listener of the command's filter: %w", err)
	}
	defer sysabi.CloseFD(pidfd)
	fd, err := sysabi.PidfdTake(pidfd, m.Listener)
	if err != nil {
		return fmt.Errorf("taking over the listener of the command's filter: %w", err)
	}
	if w.listener, err = notify.New(fd); err != nil {
		return err
	}
	w.done = make(chan error, 1)
	go func() {
		err := w.listener.Serve(w.answer)
		w.listener.Close() // should it have failed, the kernel refuses in its place
		w.done <- err
	}()
	return nil
}

// answer says what the plan's filters say. They look at nothing but the call's registers, which cannot change while it waits.
func (w *watch) answer(c notify.Call) notify.Answer {
	verdict, by, err := seccomp.Strictest(c.Data, w.programs...)
	if err != nil {
		return notify.Refuse(sysabi.EPERM) // the plan has checked all programs
	}
	if w.tell != nil {
		w.tell(cell.Call{Data: c.Data, TID: c.TID, Verdict: verdict, By: by})
	}
	if errno, ok := verdict.Errno(); ok {
		return notify.Refuse(errno)
	}
	if verdict == seccomp.Allow {
		return notify.Continue()
	}
	return notify.Kill()
}

// close ends the answers. Every process of the cell is gone.
func (w *watch) close() error {
	if w.listener == nil {
		return nil
	}
	w.listener.Close()
	return <-w.done
}

// programs are the filters of a plan, those that allow execve once compiled for these addresses.
func programs(p *plan.Plan, a *sysabi.Arch, exec *[3]uint64) (list []seccomp.Program, err error) {
	for _, f := range p.Filters {
		var prog seccomp.Program
		if f.Once() {
			if *exec == ([3]uint64{}) {
				*exec = secretAddresses()
			}
			prog, err = seccomp.Compile(f.Policy.WithExecOnce(exec[0], exec[1], exec[2]), a)
		} else {
			prog, err = seccomp.ParseProgram(f.Program)
		}
		if err != nil {
			return nil, fmt.Errorf("compiling the filter %s: %w", f.Name, err)
		}
		list = append(list, prog)
	}
	return list, nil
}
