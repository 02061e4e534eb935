package table

import (
	"errors"
	"fmt"
	"strings"
)

// MaxSteps is the largest number of steps: a plan has about 12 of its own and 6 for each granted file, so this is room for
// 248 grants. A linked table of that many steps takes 106 KiB of records.
const MaxSteps = 1500

// Numbers of the kernel's interface that the rules look at. They are the same on every architecture.
const (
	prSetPdeathsig  = 1       // include/uapi/linux/prctl.h
	prSetDumpable   = 4       //
	prSetSeccomp    = 22      //
	prSetMM         = 35      //
	prSetNoNewPrivs = 38      //
	prSetTHPDisable = 41      //
	prSetMDWE       = 65      //
	oCloexec        = 1 << 19 // O_CLOEXEC, asm-generic/fcntl.h
	closeRangeExec  = 1 << 2  // CLOSE_RANGE_CLOEXEC, include/uapi/linux/close_range.h
)

// Validate reports every reason why the table may not be started in form f, joined into one error. It is pure: it does not
// know the architecture, nor which descriptors are handed over; Link does.
//
// That the child starts with every signal blocked, and that execve keeps the mask, is no rule here: a table that means to
// start a program has an rt_sigprocmask step, best just before the seccomp steps.
//
// The rules:
//   - 1 to MaxSteps steps; the last one, and no other, is execve or execveat; no step makes or ends a process.
//   - Every step has a name on one line, a call, at most 6 arguments and 4 tolerated errors; strings have no NUL.
//   - Credentials are changed in the order groups, gid, uid, capabilities: each needs the privilege that the next removes.
//   - PR_SET_PDEATHSIG comes after all of them: commit_creds (kernel/cred.c) clears it.
//   - PR_SET_NO_NEW_PRIVS comes before landlock_restrict_self and seccomp.
//   - After a seccomp step there are only further seccomp steps and the exec, so a filter has to allow no more than that.
//   - dup3 targets are below FirstHanded; dup3 of the exec pipe is close-on-exec.
//   - A close_range that closes handed descriptors comes after the pipe was moved out of its way, and after their last use.
//   - In VFork and Shared, no step acts on the memory, because it is the parent's. In VFork, no step blocks.
func (t Table) Validate(f Form) error {
	if f > Shared {
		return fmt.Errorf("table: unknown %s", f)
	}
	if len(t) == 0 {
		return errors.New("table: no steps")
	}
	if len(t) > MaxSteps {
		return fmt.Errorf("table: %d steps; at most %d", len(t), MaxSteps)
	}
	c := checker{table: t, form: f}
	for i := range t {
		c.i, c.s = i, &t[i]
		c.shape()
		c.order()
		c.descriptors()
		c.allowed()
	}
	if !isExec(c.s.Call) {
		c.bad("the last step is not execve or execveat")
	}
	return errors.Join(c.errs...)
}

// checker walks over a table once and carries what earlier steps did.
type checker struct {
	table Table
	form  Form
	i     int
	s     *Step
	errs  []error

	rank      int    // of the last credential step
	rankCall  string //
	pdeathsig bool
	noNew     bool
	filtered  bool
	pipeAt    int64 // where dup3 moved the exec pipe; 0 before
	closedAt  int   // 1 + index of the first close_range that closed handed descriptors
}

func (c *checker) bad(format string, a ...any) {
	c.errs = append(c.errs, fmt.Errorf("step %d (%s): %s", c.i+1, printable(c.s.Name), fmt.Sprintf(format, a...)))
}

// num returns argument i where it is a number, or all ones: no rule has that value.
func (c *checker) num(i int) uint64 {
	if i < len(c.s.Args) {
		if n, ok := c.s.Args[i].number(); ok {
			return n
		}
	}
	return ^uint64(0)
}

func isExec(call string) bool { return call == "execve" || call == "execveat" }

// isSeccomp reports a step that adds a filter or enters strict mode; seccomp also has operations that only ask.
func (c *checker) isSeccomp() bool {
	return c.s.Call == "seccomp" && c.num(0) <= 1 || c.s.Call == "prctl" && uint32(c.num(0)) == prSetSeccomp
}

func (c *checker) shape() {
	s := c.s
	if s.Name == "" {
		c.bad("the step has no name")
	} else if printable(s.Name) != s.Name {
		c.bad("the name is not one printable line")
	}
	if s.Call == "" {
		c.bad("no system call is named")
	}
	if len(s.Args) > maxArgs {
		c.bad("%d arguments; at most %d", len(s.Args), maxArgs)
	}
	if len(s.Tolerate) > maxTolerate {
		c.bad("%d tolerated errors; at most %d", len(s.Tolerate), maxTolerate)
	}
	for _, e := range s.Tolerate {
		if e < 1 || e > 4095 {
			c.bad("tolerated error %d is not from 1 to 4095", e)
		}
	}
	if s.Want.set && s.Want.n < 0 {
		c.bad("the wanted result %d is negative", s.Want.n)
	}
	for j, a := range s.Args {
		c.arg(j+1, a)
	}
}

func (c *checker) arg(j int, a Arg) {
	switch a.kind {
	case kindHanded:
		if a.text == "" {
			c.bad("argument %d: a handed descriptor without a name", j)
		}
		if c.closedAt > 0 {
			c.bad("argument %d: step %d has closed <%s>", j, c.closedAt, a.text)
		}
	case kindPath:
		if strings.IndexByte(a.text, 0) >= 0 {
			c.bad("argument %d: a NUL in %q", j, a.text)
		}
	case kindStrings:
		for _, s := range a.v {
			if strings.IndexByte(s, 0) >= 0 {
				c.bad("argument %d: a NUL in %q", j, s)
			}
		}
	case kindFilter:
		if n := len(a.b); n == 0 || n%sockFilterSize != 0 || n > maxFilterProgram {
			c.bad("argument %d: a filter of %d bytes; 8 each for 1 to 4096 instructions", j, n)
		}
	}
}

// printable returns s with everything that is not printable replaced, so that it stays on one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
			return '?'
		}
		return r
	}, s)
}
