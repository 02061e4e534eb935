package filters

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/analyze"
	"cellos.io/cellos/sysabi"
)

// exitFound is the exit status of check and diff when they found something.
const exitFound = 1

// A checkReport is what check found in one filter.
type checkReport struct {
	programReport
	Valid    bool              `json:"valid"` // the kernel takes it
	Error    string            `json:"error,omitempty"`
	Cost     int               `json:"cost"` // what it counts for the kernel's limit on all filters together
	Findings []analyze.Finding `json:"findings"`
}

func (t *filterTool) check(args []string) error {
	if len(args) == 0 {
		return t.count(args, 1)
	}
	var reports []checkReport
	var failed cli.Failure
	found := false
	for _, name := range args {
		l, err := t.load(name)
		var f cli.Failure
		if errors.As(err, &f) {
			failed.Code, failed.Errs = f.Code, append(failed.Errs, f.Errs...)
			continue
		}
		r := t.checked(l)
		found = found || !r.Valid
		for _, x := range r.Findings {
			found = found || x.Severity != analyze.Info
		}
		reports = append(reports, r)
		if !t.json {
			t.printCheck(r, len(args) > 1)
		}
	}
	if t.json && len(reports) > 0 {
		if err := cli.WriteJSON(t.env.Out, reports); err != nil {
			return err
		}
	}
	switch {
	case len(failed.Errs) > 0:
		return failed
	case found:
		return cli.Status(exitFound)
	}
	return nil
}

func (t *filterTool) checked(l *loaded) checkReport {
	r := checkReport{programReport: t.report(l), Findings: []analyze.Finding{}}
	if err := l.program.Check(); err != nil {
		r.Error = err.Error()
		return r
	}
	x, err := analyze.Program(l.program, t.arch)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Valid, r.Cost = true, l.program.FilterCost()
	r.Findings = append(r.Findings, x.Lint()...)
	return r
}

func (t *filterTool) printCheck(r checkReport, named bool) {
	prefix := ""
	if named {
		prefix = r.Name + ": "
	}
	if !r.Valid {
		fmt.Fprintf(t.env.Out, "%serror: the kernel would not take it: %s\n", prefix, r.Error)
		return
	}
	for _, f := range r.Findings {
		fmt.Fprintf(t.env.Out, "%s%s\n", prefix, f)
	}
	fmt.Fprintf(t.env.Out, "%sthe kernel takes it: %d instructions, which count %d of %d for all filters of a process together\n", prefix, r.Instructions, r.Cost, seccomp.MaxStack)
}

func (t *filterTool) diff(args []string) error {
	if err := t.count(args, 2); err != nil {
		return err
	}
	a, err := t.valid(args[0])
	if err != nil {
		return err
	}
	b, err := t.valid(args[1])
	if err != nil {
		return err
	}
	c, err := analyze.Compare(a.program, b.program, t.arch)
	if err != nil {
		return err
	}
	if t.json {
		err = cli.WriteJSON(t.env.Out, c)
	} else {
		_, err = fmt.Fprint(t.env.Out, c)
	}
	if err == nil && !c.Equal {
		return cli.Status(exitFound)
	}
	return err
}

// simulate runs a program for one call.
func (t *filterTool) simulate(args []string) error {
	switch {
	case len(args) == 0:
		return t.count(args, 1)
	case len(args) == 1:
		return t.mistake("the system call is missing", "a name or a number, and its arguments: cellos seccomp simulate "+args[0]+" socket 2 1 0")
	case len(args) > 8:
		return t.mistake("a system call has at most 6 arguments", "")
	}
	d := seccomp.Data{Arch: t.arch.Audit()}
	var err error
	if d.NR, err = t.callNumber(args[1]); err != nil {
		return err
	}
	for i, s := range args[2:] {
		if d.Args[i], err = argument(s); err != nil {
			return t.mistake(fmt.Sprintf("argument %d, %s: %v", i, cli.Quote(cli.Brief(s)), err), "")
		}
	}
	l, err := t.valid(args[0])
	if err != nil {
		return err
	}
	out, path, err := l.program.Trace(d)
	if err != nil {
		return err
	}
	if t.json {
		return cli.WriteJSON(t.env.Out, struct {
			programReport
			Call     string    `json:"call"`
			Number   uint32    `json:"number"`
			Args     [6]uint64 `json:"args"`
			Action   string    `json:"action"`
			Decided  int       `json:"decidedBy"`
			Executed []int     `json:"executed"`
			Cached   bool      `json:"cached"`
		}{t.report(l), args[1], d.NR, d.Args, out.Action.String(), out.PC, path, l.program.ConstantAllow(d.NR, d.Arch)})
	}
	fmt.Fprintf(t.env.Out, "%s(%s): %s\n", args[1], strings.Join(args[2:], ", "), out.Action)
	if l.program.ConstantAllow(d.NR, d.Arch) {
		fmt.Fprintln(t.env.Out, "whatever the arguments are; the kernel does not run the filter for it")
	}
	lines := strings.Split(l.program.Disassemble(t.arch), "\n")
	for _, pc := range path {
		fmt.Fprintln(t.env.Out, lines[pc])
	}
	return nil
}

// callNumber reads the name or the number of a call.
func (t *filterTool) callNumber(s string) (uint32, error) {
	if nr, ok := t.arch.Number(s); ok {
		return uint32(nr), nil
	}
	if n, err := strconv.ParseInt(s, 0, 64); err == nil && n >= -1<<31 && n < 1<<32 {
		return uint32(n), nil
	}
	if sysabi.KnownCall(s) {
		return 0, t.mistake(t.arch.String()+" has no system call "+cli.Quote(s), "")
	}
	return 0, t.mistake("no system call is called "+cli.Quote(cli.Brief(s)), "")
}

// argument reads the value of an argument: 64 bits, signed or unsigned, as the registers hold them.
func argument(s string) (uint64, error) {
	if v, err := strconv.ParseUint(s, 0, 64); err == nil {
		return v, nil
	}
	if v, err := strconv.ParseInt(s, 0, 64); err == nil {
		return uint64(v), nil
	}
	return 0, errors.New("not a number of 64 bits")
}
