//go:build amd64 || arm64

package spawn

import (
	"errors"
	"testing"

	"cellos.io/cellos/table"
)

func prctl(name string, args ...uint64) table.Step {
	s := table.Step{Name: name, Call: "prctl"}
	for _, a := range args {
		s.Args = append(s.Args, table.Num(a))
	}
	return s
}

var (
	noNewPrivs = prctl("giving up new privileges", 38, 1, 0, 0, 0)
	strict     = prctl("entering strict mode", 22, 1) // SECCOMP_MODE_STRICT: only read, write and exit are left
)

func TestKilledInAStep(t *testing.T) {
	eachForm(t, func(t *testing.T, form table.Form) {
		for _, c := range []struct {
			steps table.Table
			index int
			text  string
		}{
			{table.Table{noNewPrivs, strict, strict, unfinished}, 2, "step 3 (entering strict mode): killed by signal 9"},
			// In the last step only PF_FORKNOEXEC tells this from a program that dies at once.
			{table.Table{noNewPrivs, strict, unfinished}, 2, "step 3 (executing /bin/true): killed by signal 9"},
		} {
			err := start(t, Request{Form: form, Table: c.steps}).Executed()
			var e *StepError
			if !errors.As(err, &e) || e.Index != c.index || e.Signal != 9 || e.Errno != 0 || err.Error() != c.text || e.Unwrap() != nil {
				t.Errorf("got %v", err)
			}
		}
		for range 20 {
			p := start(t, Request{Form: form, Table: table.Table{unblock(), executing("/bin/sh", "-c", "kill -9 $$")}})
			if err := p.Executed(); err != nil {
				t.Errorf("a program that dies at once: %v", err)
			}
			if s, err := p.Wait(); err != nil || s.Signal != 9 {
				t.Errorf("got %v, %v", s, err)
			}
		}
	})
}

var unfinished = executing("/bin/true")

// TestKillEndsAWaitingTable: a table that waits for something that never comes is ended by Kill, and by Close.
func TestKillEndsAWaitingTable(t *testing.T) {
	requireClone3(t)
	for _, form := range []table.Form{table.Fork, table.Shared} {
		waiting := table.Table{{Name: "waiting", Call: "ppoll", Args: []table.Arg{table.Null(), table.Num(0), table.Null(), table.Null(), table.Num(0)}}, unfinished}
		p := start(t, Request{Form: form, Table: waiting})
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := p.Executed(); err == nil || err.Error() != "step 1 (waiting): killed by signal 9" {
			t.Errorf("%v: %v", form, err)
		}
		p = start(t, Request{Form: form, Table: waiting})
		for range 2 {
			if err := p.Close(); err != nil {
				t.Errorf("%v: Close: %v", form, err)
			}
		}
		if err := p.Executed(); err == nil {
			t.Errorf("%v: executed after Close", form)
		}
	}
}
