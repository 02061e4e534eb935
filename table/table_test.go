package table

import (
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
)

func exec() Step {
	return Step{Name: "starting true", Call: "execve", Args: []Arg{Path("/bin/true"), Strings([]string{"true", `a"b`}), Strings(nil)}}
}

func step(call string, args ...Arg) Step { return Step{Name: "step", Call: call, Args: args} }

func prctl(option uint64) Step { return step("prctl", Num(option), Num(1)) }

var moved = step("dup3", Handed(ExecPipe), FD(3), Flags(oCloexec, "O_CLOEXEC"))

func TestString(t *testing.T) {
	steps := Table{
		{Name: "starting a session", Call: "setsid"},
		{Name: `mounting proc on "/proc"`, Layer: "mounts", Call: "mount", Args: []Arg{Path("proc"), Path("/proc"), Path("proc"), Flags(2, "MS_NOSUID"), Null()}},
		{Name: "making /tmp", Layer: "mounts", Call: "mkdirat", Args: []Arg{FD(ATFDCWD), Path("/tmp"), Flags(0o700, "0700")}, Tolerate: []sysabi.Errno{sysabi.EEXIST, sysabi.EROFS}},
		{Name: "opening /dev/null", Call: "openat", Args: []Arg{FD(ATFDCWD), Path("/dev/null"), Num(2)}, Want: Exactly(4)},
		{Name: "both", Call: "openat", Args: []Arg{Handed("root"), Path("a\n"), Num(2)}, Want: Exactly(0), Tolerate: []sysabi.Errno{sysabi.ENOENT}},
		moved, moved, moved,
		{Call: "seccomp", Args: []Arg{Num(1), Num(0), Filter(make([]byte, 8), "{hardened, 1 instruction}")}},
		{Name: "starting PID 1", Call: "execve", Args: []Arg{Struct(nil, "&x"), Strings([]string{"true", `a"b`}), Strings(nil)}},
	}
	want := ` 1  setsid()  # starting a session
 2  mount("proc", "/proc", "proc", MS_NOSUID, NULL)  # mounts: mounting proc on "/proc"
 3  mkdirat(AT_FDCWD, "/tmp", 0700) = ok|EEXIST|EROFS  # mounts: making /tmp
 4  openat(AT_FDCWD, "/dev/null", 2) = 4  # opening /dev/null
 5  openat(<root>, "a\n", 2) = 0|ENOENT  # both
 6  dup3(<exec>, 3, O_CLOEXEC)  # step
 7  dup3(<exec>, 3, O_CLOEXEC)  # step
 8  dup3(<exec>, 3, O_CLOEXEC)  # step
 9  seccomp(1, 0, {hardened, 1 instruction})
10  execve(&x, ["true", "a\"b"], [])  # starting PID 1
`
	if got := steps.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestValidate has, for each rule, a table that breaks it, and what has to be said. No forms: all of them.
func TestValidate(t *testing.T) {
	all := []Form{VFork, Fork, Shared}
	for _, c := range []struct {
		steps Table
		forms []Form
		want  string // empty: valid
	}{
		{Table{exec()}, all, ""},
		{Table{step("setsid"), moved, step("close_range", Num(4), Num(0xffffffff), Num(0)), exec()}, all, ""},
		{Table{prctl(prSetNoNewPrivs), step("landlock_restrict_self", FD(4)), step("seccomp", Num(1), Num(0), Filter(make([]byte, 8), "")), step("seccomp", Num(1)), exec()}, all, ""},
		{Table{step("setgroups"), step("setresgid"), step("setresuid"), step("capset"), prctl(prSetPdeathsig), exec()}, all, ""},
		{Table{step("seccomp", Num(2)), step("setsid"), exec()}, all, ""}, // SECCOMP_GET_ACTION_AVAIL only asks
		{Table{step("close_range", Num(3), Num(0xffffffff), Num(closeRangeExec)), exec()}, all, ""},
		{Table{step("close_range", Num(3), Num(10), Num(0)), exec()}, all, ""},

		{nil, all, "table: no steps"},
		{make(Table, MaxSteps+1), all, "table: 1501 steps; at most 1500"},
		{Table{exec(), step("setsid")}, all, "step 1 (starting true): execve is not the last step\nstep 2 (step): the last step is not execve or execveat"},
		{Table{{Call: "setsid"}, exec()}, all, "step 1 (): the step has no name"},
		{Table{{Name: "a\nb", Call: "setsid"}, exec()}, all, "step 1 (a?b): the name is not one printable line"},
		{Table{{Name: "a"}, exec()}, all, "step 1 (a): no system call is named"},
		{Table{step("setsid", make([]Arg, 7)...), exec()}, all, "step 1 (step): 7 arguments; at most 6"},
		{Table{{Name: "a", Call: "setsid", Tolerate: make([]sysabi.Errno, 5)[:]}, exec()}, all, "step 1 (a): 5 tolerated errors; at most 4\n" + strings.TrimSpace(strings.Repeat("step 1 (a): tolerated error 0 is not from 1 to 4095\n", 5))},
		{Table{{Name: "a", Call: "setsid", Want: Exactly(-1)}, exec()}, all, "step 1 (a): the wanted result -1 is negative"},
		{Table{step("chdir", Path("a\x00b")), exec()}, all, `step 1 (step): argument 1: a NUL in "a\x00b"`},
		{Table{{Name: "a", Call: "execve", Args: []Arg{Path("a"), Strings([]string{"b", "\x00"})}}}, all, `step 1 (a): argument 2: a NUL in "\x00"`},
		{Table{step("chdir", Handed("")), exec()}, all, "step 1 (step): argument 1: a handed descriptor without a name"},
		{Table{prctl(prSetNoNewPrivs), step("seccomp", Num(1), Num(0), Filter(make([]byte, 9), "")), exec()}, all, "step 2 (step): argument 3: a filter of 9 bytes; 8 each for 1 to 4096 instructions"},

		{Table{step("setresuid"), step("setresgid"), exec()}, all, "step 2 (step): setresgid after setresuid; the order is groups, gid, uid, capabilities"},
		{Table{step("capset"), step("setgroups"), exec()}, all, "step 2 (step): setgroups after capset; the order is groups, gid, uid, capabilities"},
		{Table{prctl(prSetPdeathsig), step("setresuid"), exec()}, all, "step 2 (step): setresuid after PR_SET_PDEATHSIG, which it clears"},
		{Table{step("landlock_restrict_self"), exec()}, all, "step 1 (step): landlock_restrict_self before PR_SET_NO_NEW_PRIVS"},
		{Table{step("seccomp", Num(1)), exec()}, all, "step 1 (step): seccomp before PR_SET_NO_NEW_PRIVS"},
		{Table{prctl(prSetSeccomp), exec()}, all, "step 1 (step): seccomp before PR_SET_NO_NEW_PRIVS"},
		{Table{prctl(prSetNoNewPrivs), step("seccomp", Num(0)), step("setsid"), exec()}, all, "step 3 (step): setsid after a seccomp step; only the exec may follow"},

		{Table{step("clone3"), exec()}, all, "step 1 (step): clone3: the new process would execute the rest of the table too"},
		{Table{step("exit_group"), exec()}, all, "step 1 (step): exit_group ends the process before the exec"},
		{Table{step("dup2"), exec()}, all, "step 1 (step): dup2: use dup3, which both architectures have"},
		{Table{step("mmap"), exec()}, []Form{VFork, Shared}, "step 1 (step): mmap acts on the memory, which in %s form is the parent's"},
		{Table{step("mmap"), prctl(prSetDumpable), step("read"), exec()}, []Form{Fork}, ""},
		{Table{prctl(prSetDumpable), exec()}, []Form{VFork, Shared}, "step 1 (step): prctl acts on the memory, which in %s form is the parent's"},
		{Table{step("read"), exec()}, []Form{VFork}, "step 1 (step): read may block, and in vfork form the parent's thread and its collector wait"},
		{Table{step("read"), exec()}, []Form{Shared, Fork}, ""},

		{Table{step("dup3", Handed("a"), FD(64), Num(0)), exec()}, all, "step 1 (step): dup3 needs three arguments and a target from 0 to 63"},
		{Table{step("dup3", Handed(ExecPipe), FD(5), Num(0)), exec()}, all, "step 1 (step): the exec pipe must be moved with O_CLOEXEC"},
		{Table{moved, step("dup3", Handed("a"), FD(3), Num(0)), exec()}, all, "step 2 (step): dup3 overwrites the exec pipe, which is descriptor 3"},
		{Table{moved, step("close", FD(3)), exec()}, all, "step 2 (step): close of the exec pipe, which is descriptor 3"},
		{Table{step("close_range", Num(3), Num(0xffffffff), Num(0)), exec()}, all, "step 1 (step): close_range closes the exec pipe: move it first with dup3(<exec>, …, O_CLOEXEC)"},
		{Table{moved, step("close_range", Num(3), Num(0xffffffff), Num(0)), exec()}, all, "step 2 (step): close_range closes the exec pipe, which is descriptor 3"},
		{Table{moved, step("close_range", Num(4), Num(0xffffffff), Num(0)), step("fchdir", Handed("a")), exec()}, all, "step 3 (step): argument 1: step 2 has closed <a>"},
	} {
		for _, f := range c.forms {
			got, want := "", strings.ReplaceAll(c.want, "%s", f.String())
			if err := c.steps.Validate(f); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s form:\n%.2000sgot  %s\nwant %s", f, c.steps, got, want)
			}
		}
	}
	if err := (Table{exec()}).Validate(3); err == nil || err.Error() != "table: unknown form 3" {
		t.Errorf("form 3: %v", err)
	}
}

func TestChangesCredentials(t *testing.T) {
	for call, want := range map[string]bool{"setresuid": true, "capset": true, "setgroups": false, "setsid": false} {
		if got := (Table{step(call), exec()}).ChangesCredentials(); got != want {
			t.Errorf("%s: %v", call, got)
		}
	}
}
