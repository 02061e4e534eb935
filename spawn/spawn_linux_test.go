//go:build amd64 || arm64

package spawn

import (
	"errors"
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// requireClone3 skips where the kernel, such as user-mode emulation, has no clone3.
func requireClone3(t testing.TB) {
	t.Helper()
	if !sysabi.Clone3Answers() {
		t.Skip("this system has no clone3")
	}
}

func unblock() table.Step {
	return table.Step{Name: "unblocking every signal", Call: "rt_sigprocmask", Args: []table.Arg{
		table.Flags(2, "SIG_SETMASK"), table.Struct(make([]byte, 8), "[]"), table.Null(), table.Num(8)}}
}

func executing(argv ...string) table.Step {
	return table.Step{Name: "executing " + argv[0], Call: "execve", Args: []table.Arg{
		table.Path(argv[0]), table.Strings(argv), table.Strings(nil)}}
}

func dup(name string, to int, flags uint64) table.Step {
	return table.Step{Name: "placing " + name, Call: "dup3", Args: []table.Arg{table.Handed(name), table.FD(to), table.Flags(flags, "")}}
}

var forms = []table.Form{table.VFork, table.Fork, table.Shared}

func eachForm(t *testing.T, f func(t *testing.T, form table.Form)) {
	requireClone3(t)
	for _, form := range forms {
		t.Run(form.String(), func(t *testing.T) { f(t, form) })
	}
}

func start(t testing.TB, r Request) *Process {
	t.Helper()
	p, err := Start(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestExitStatus(t *testing.T) {
	eachForm(t, func(t *testing.T, form table.Form) {
		p := start(t, Request{Form: form, Table: table.Table{unblock(), executing("/bin/sh", "-c", "exit 7")}})
		if err := p.Executed(); err != nil {
			t.Fatal(err)
		}
		s, err := p.Wait()
		if err != nil || s.Code != 7 || s.Signal != 0 || s.Usage.MaxRSS < 100<<10 {
			t.Errorf("got %+v, %v", s, err)
		}
		if again, err := p.Wait(); err != nil || again != s {
			t.Errorf("second Wait: %+v, %v", again, err)
		}
		if err := p.Executed(); err != nil {
			t.Errorf("Executed after the end: %v", err)
		}
	})
}

func TestKill(t *testing.T) {
	eachForm(t, func(t *testing.T, form table.Form) {
		p := start(t, Request{Form: form, Table: table.Table{unblock(), executing("/bin/sleep", "100")}})
		if err := p.Executed(); err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if s, err := p.Wait(); err != nil || s.Signal != 9 || s.String() != "killed by signal 9" {
			t.Errorf("got %v, %v", s, err)
		}
		if err := p.Kill(); err != nil {
			t.Errorf("Kill after the end: %v", err)
		}
	})
}

// TestEachFailingStep makes exactly one step of a table fail, each in turn.
func TestEachFailingStep(t *testing.T) {
	good := table.Table{
		{Name: "starting a session", Call: "setsid"},
		{Name: "making a folder", Call: "mkdirat", Args: []table.Arg{table.FD(table.ATFDCWD), table.Path("/tmp"), table.Num(0o700)}, Tolerate: []sysabi.Errno{sysabi.ENOENT, sysabi.EINVAL, sysabi.EBUSY, sysabi.EEXIST}},
		{Name: "changing the folder", Call: "chdir", Args: []table.Arg{table.Path("/")}, Want: table.Exactly(0)},
		unblock(),
		executing("/bin/true"),
	}
	bad := []struct {
		step  table.Step
		errno sysabi.Errno
		text  string
	}{
		{table.Step{Name: "joining a group", Call: "setpgid", Args: []table.Arg{table.Num(0), table.FD(-1)}}, sysabi.EINVAL, "step 1 (joining a group): invalid argument"},
		{table.Step{Name: "making /", Call: "mkdirat", Args: []table.Arg{table.FD(table.ATFDCWD), table.Path("/"), table.Num(0)}, Tolerate: []sysabi.Errno{sysabi.ENOENT, sysabi.EPERM}}, sysabi.EEXIST, "step 2 (making /): file exists"},
		{table.Step{Name: "changing to a file", Call: "chdir", Args: []table.Arg{table.Path("/bin/true")}}, sysabi.ENOTDIR, "step 3 (changing to a file): not a directory"},
		{table.Step{Name: "setting a mask", Call: "rt_sigprocmask", Args: []table.Arg{table.Num(9), table.Struct(make([]byte, 8), ""), table.Null(), table.Num(8)}}, sysabi.EINVAL, "step 4 (setting a mask): invalid argument"},
		{executing("/nonexistent"), sysabi.ENOENT, "step 5 (executing /nonexistent): no such file or directory"},
	}
	eachForm(t, func(t *testing.T, form table.Form) {
		if err := start(t, Request{Form: form, Table: good}).Executed(); err != nil {
			t.Fatalf("the good table: %v", err)
		}
		for i, b := range bad {
			steps := append(table.Table(nil), good...)
			steps[i] = b.step
			err := start(t, Request{Form: form, Table: steps}).Executed()
			var e *StepError
			if !errors.As(err, &e) {
				t.Errorf("step %d: %v", i, err)
				continue
			}
			if e.Index != i || e.Errno != b.errno || e.Step.Name != b.step.Name || !errors.Is(err, b.errno) || err.Error() != b.text {
				t.Errorf("step %d: %+v %q", i, e, err)
			}
		}
	})
}

func TestWantedResult(t *testing.T) {
	eachForm(t, func(t *testing.T, form table.Form) {
		p := start(t, Request{Form: form, Table: table.Table{
			{Name: "setting the file mode mask", Call: "umask", Args: []table.Arg{table.Num(0o27)}},
			{Name: "looking at it", Call: "umask", Args: []table.Arg{table.Num(0o22)}, Want: table.Exactly(0o27)},
			{Name: "looking again", Call: "umask", Args: []table.Arg{table.Num(0)}, Want: table.Exactly(0o77)},
			executing("/bin/true"),
		}})
		err := p.Executed()
		if err == nil || err.Error() != "step 3 (looking again): the result is 18 instead of 63" {
			t.Errorf("got %v", err)
		}
		var e *StepError
		if !errors.As(err, &e) || e.Got != 0o22 || e.Index != 2 || e.Errno != 0 {
			t.Errorf("got %+v", e)
		}
	})
}

func TestRequestErrors(t *testing.T) {
	_, err := Start(Request{
		Table:      table.Table{executing("/bin/true"), unblock()},
		Namespaces: sysabi.CLONE_VM | sysabi.CLONE_NEWTIME,
		Handed:     map[string]int{table.ExecPipe: 1},
	})
	if err == nil {
		t.Fatal("started")
	}
	for _, want := range []string{"execve is not the last step", "the last step is not execve", "flags 0x100", "time namespace needs the form fork, not vfork", `name "exec" is reserved`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %q", want, err)
		}
	}
	if _, err := Start(Request{Table: table.Table{dup("nobody", 3, 0), executing("/bin/true")}}); err == nil || err.Error() != `step 1 (placing nobody): no descriptor "nobody" was handed over` {
		t.Errorf("got %v", err)
	}
	if _, err := Start(Request{Handed: map[string]int{"gone": 63}, Table: table.Table{dup("gone", 3, 0), executing("/bin/true")}}); !errors.Is(err, sysabi.EBADF) {
		t.Errorf("got %v", err)
	}
}
