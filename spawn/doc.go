// Package spawn starts a process that executes a [table.Table]: it makes the system calls of the list one after the other
// and ends in execve(2).
//
//	p, err := spawn.Start(spawn.Request{Table: t, Form: table.VFork, Namespaces: sysabi.CLONE_NEWPID})
//	if err != nil {
//		return err // nothing was started
//	}
//	defer p.Close()
//	if err := p.Executed(); err != nil {
//		return err // step 12 (mounting proc on "/proc"): operation not permitted
//	}
//	status, err := p.Wait()
//
// The child is one assembly routine for each architecture. No Go instruction runs in it, so nothing that the compiler or
// the runtime puts into Go code (stack growth, write barriers, preemption, race and coverage counters) can go wrong there,
// and nothing is linked to the runtime by name:
//
//	parent                               child
//	block all signals
//	clone3 ────────────────────────────▶ report.step = 0; system call 0
//	restore the signal mask              report.step = 1; system call 1
//	…                                    …
//	read(pipe) = EOF ◀────────────────── execve closes the pipe, or the process ends
//	look at the report
//
// The child uses registers only: no stack, no calls. That is why it may share the parent's memory while the parent runs on
// (form Shared).
//
// What the parent concludes at the end of the pipe:
//
//	report            never executed (PF_FORKNOEXEC)   meaning
//	error             –                                StepError with the error
//	step < last       –                                killed in that step; the wait status says by what
//	step = last       yes                              killed inside execve
//	step = last       no                               started
//
// The package needs Linux 5.9, on amd64 or arm64: clone3 5.3, CLONE_CLEAR_SIGHAND 5.5, CLONE_INTO_CGROUP 5.7, and
// close_range, which tables use, 5.9. Elsewhere Start returns an error that matches errors.ErrUnsupported.
//
// It does not decide what the steps are, write identity maps, or supervise the process. It does not undo what a table did
// outside of the process.
package spawn
