package spawn

import (
	"errors"
	"fmt"
	"time"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// Request says what to start.
type Request struct {
	// Table is what the child executes. It must pass Table.Validate(Form).
	Table table.Table
	// Form is how the process comes into being. The zero value is VFork.
	Form table.Form
	// Namespaces are the CLONE_NEW* flags of the new namespaces; zero makes none. CLONE_NEWTIME needs the form Fork.
	Namespaces uint64
	// Handed are the descriptors that the table names with table.Handed. In the child each has a number from
	// table.FirstHanded up, and is close-on-exec; the table places it with dup3. They stay the caller's. The name
	// table.ExecPipe is not free.
	Handed map[string]int
	// Cgroup is the descriptor of a cgroup v2 directory that the process is born in; zero or negative: the caller's cgroup.
	Cgroup int
}

// Status is how a process ended.
type Status struct {
	// Code is the exit status, 0 to 255; -1 if a signal ended the process.
	Code int
	// Signal is the number of the signal that ended the process, or 0.
	Signal int
	// CoreDumped says that the signal left a core dump.
	CoreDumped bool
	// Usage is what the process, and the children that it waited for, used.
	Usage Usage
}

// Usage is the part of getrusage(2) that Linux fills in.
type Usage struct {
	User, System           time.Duration
	MaxRSS                 int64 // largest resident set of one process, in bytes
	InBlocks, OutBlocks    int64 // blocks of 512 bytes from and to file systems
	Voluntary, Involuntary int64 // context switches
}

// String returns "exit status 3" or "killed by signal 9".
func (s Status) String() string {
	if s.Signal == 0 {
		return fmt.Sprintf("exit status %d", s.Code)
	}
	return fmt.Sprintf("killed by signal %d", s.Signal)
}

// StepError is the step of a table that stopped the start. Exactly one of three things happened: the call failed (Errno), the
// process was killed in the call (Signal), or the call had another result than the table wanted (Got instead of Want).
type StepError struct {
	Index  int // in the table, from 0; the message counts from 1, as Table.String does
	Step   table.Step
	Errno  sysabi.Errno
	Signal int
	Got    int64
}

// Error returns, for instance, `step 12 (mounting proc on "/proc"): operation not permitted`.
func (e *StepError) Error() string {
	at := fmt.Sprintf("step %d (%s): ", e.Index+1, e.Step.Name)
	if e.Errno != 0 {
		return at + e.Errno.Error()
	}
	if e.Signal != 0 {
		return at + fmt.Sprintf("killed by signal %d", e.Signal)
	}
	if n, ok := e.Step.Want.Value(); ok {
		return at + fmt.Sprintf("the result is %d instead of %d", e.Got, n)
	}
	return at + fmt.Sprintf("ended with result %d", e.Got)
}

// Unwrap returns the error number, or nil.
func (e *StepError) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// CloneError is the kernel's refusal to make the process, with the namespaces and the cgroup that were asked for.
type CloneError struct {
	Namespaces uint64
	Cgroup     bool
	Errno      sysabi.Errno
}

// Error returns, for instance, "making a process with new namespaces (user, pid): no space left on device".
func (e *CloneError) Error() string {
	s := "making a process"
	if e.Namespaces != 0 {
		s += " with new namespaces (" + namespaces(e.Namespaces) + ")"
	}
	if e.Cgroup {
		s += " in a cgroup"
	}
	return s + ": " + e.Errno.Error()
}

// Unwrap returns the error number.
func (e *CloneError) Unwrap() error { return e.Errno }

// Unsupported is a feature that this system does not have. It matches errors.ErrUnsupported.
type Unsupported struct {
	Feature string // what is missing: "clone3"
	Since   string // what has it: "Linux 5.3, and a container that does not filter it"
	Errno   sysabi.Errno
}

// Error returns the feature and what it needs.
func (e *Unsupported) Error() string {
	s := e.Feature + " needs " + e.Since
	if e.Errno != 0 {
		s += " (" + e.Errno.Error() + ")"
	}
	return s
}

// Is reports whether t is errors.ErrUnsupported.
func (e *Unsupported) Is(t error) bool { return t == errors.ErrUnsupported }

// Unwrap returns the error number that told, or nil.
func (e *Unsupported) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

const namespaceFlags = sysabi.CLONE_NEWTIME | sysabi.CLONE_NEWNS | sysabi.CLONE_NEWCGROUP | sysabi.CLONE_NEWUTS |
	sysabi.CLONE_NEWIPC | sysabi.CLONE_NEWUSER | sysabi.CLONE_NEWPID | sysabi.CLONE_NEWNET

func namespaces(flags uint64) string {
	s := ""
	for _, n := range []struct {
		flag uint64
		name string
	}{
		{sysabi.CLONE_NEWUSER, "user"}, {sysabi.CLONE_NEWPID, "pid"}, {sysabi.CLONE_NEWNS, "mnt"},
		{sysabi.CLONE_NEWNET, "net"}, {sysabi.CLONE_NEWIPC, "ipc"}, {sysabi.CLONE_NEWUTS, "uts"},
		{sysabi.CLONE_NEWCGROUP, "cgroup"}, {sysabi.CLONE_NEWTIME, "time"},
	} {
		if flags&n.flag == 0 {
			continue
		}
		if s != "" {
			s += ", "
		}
		s += n.name
	}
	return s
}

// check reports what is wrong with the request itself; everything here is a mistake of the caller.
func (r *Request) check() error {
	var errs []error
	if err := r.Table.Validate(r.Form); err != nil {
		errs = append(errs, err)
	}
	if err := r.checkNamespaces(); err != nil {
		errs = append(errs, err)
	}
	if _, taken := r.Handed[table.ExecPipe]; taken {
		errs = append(errs, fmt.Errorf("request: the descriptor name %q is reserved", table.ExecPipe))
	}
	return errors.Join(errs...)
}

func (r *Request) checkNamespaces() error {
	var errs []error
	if bad := r.Namespaces &^ namespaceFlags; bad != 0 {
		errs = append(errs, fmt.Errorf("request: flags %#x are not namespaces", bad))
	}
	// kernel/nsproxy.c: copy_namespaces refuses a time namespace for a process that shares memory.
	if r.Namespaces&sysabi.CLONE_NEWTIME != 0 && r.Form != table.Fork {
		errs = append(errs, fmt.Errorf("request: a time namespace needs the form fork, not %s", r.Form))
	}
	return errors.Join(errs...)
}
