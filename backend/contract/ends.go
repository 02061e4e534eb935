//go:build linux

package contract

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/sysabi"
)

var ends = []test{
	{"exit statuses arrive", exitStatuses},
	{"signals that end a command arrive", endSignals},
	{"a command that cannot be started", cannotStart},
	{"a signal to the command", signalOne},
	{"a signal to every process", signalEvery},
	{"SIGKILL to every process", killEvery},
	{"stopping and going on", stopAndContinue},
	{"children that stay behind end with the command", orphans},
	{"orphans are reaped", reaped},
	{"the cell's first process is out of reach", firstProcess},
	{"usage is counted", usageCounted},
}

func exitStatuses(t *testing.T, s Subject) {
	for _, n := range few(s, 0, 1, 3, 125, 126, 127, 255) {
		if o, _ := s.out(t, sh(fmt.Sprintf("exit %d", n))); o.Code != n || o.Signal != 0 || o.Started.IsZero() || o.Duration <= 0 {
			t.Errorf("exit %d: %+v", n, o)
		}
	}
}

func endSignals(t *testing.T, s Subject) {
	for _, n := range few(s, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGHUP) {
		if o, _ := s.out(t, sh(fmt.Sprintf("kill -%d $$", n))); o.Signal != int(n) || o.Code != -1 {
			t.Errorf("%v: %+v", n, o)
		}
	}
}

func cannotStart(t *testing.T, s Subject) {
	dir := workdir(t)
	must(t, os.WriteFile(dir+"/text", []byte("hello"), 0o644), os.WriteFile(dir+"/noise", []byte("\x01\x02\x03"), 0o755),
		os.WriteFile(dir+"/script", []byte("#!/nothing/there\n"), 0o755))
	type failing struct {
		argv, path string
		err        error
	}
	for _, c := range few(s, []failing{
		{"/nothing/there", "/nothing/there", sysabi.ENOENT},
		{"nothing-there", "/usr/local/bin/nothing-there", sysabi.ENOENT},
		{"/usr", "/usr", sysabi.EACCES},
		{"./text", "./text", sysabi.EACCES},
		{"./noise", "./noise", sysabi.ENOEXEC},
		{"./script", "./script", sysabi.ENOENT},
		{"/bin/sh/x", "/bin/sh/x", sysabi.ENOTDIR},
	}...) {
		_, p := s.planned(t, ask{argv: []string{c.argv}, dir: dir})
		x := s.built(t, p, cell.Streams{})
		measured(t, x)
		err := x.Release(t.Context())
		var e *cell.StartError
		if !errors.As(err, &e) || !errors.Is(err, c.err) || e.Stage != "" || e.Path != c.path {
			t.Errorf("%s: %v", c.argv, err)
		}
		clean(t, x)
	}
}

// ready starts a script that prints a line when it is ready.
func (s Subject) ready(t testing.TB, script string) (cell.Cell, *os.File) {
	t.Helper()
	_, p := s.planned(t, sh(script))
	out := pipe(t)
	c := s.started(t, p, cell.Streams{Out: out.w})
	out.w.Close()
	if l := line(t, out.r); l != "ready" {
		t.Fatalf("%q instead of ready", l)
	}
	return c, out.r
}

func signalOne(t *testing.T, s Subject) {
	c, _ := s.ready(t, "trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done")
	must(t, c.Signal(int(syscall.SIGUSR1), false))
	if o := waited(t, c); o.Code != 7 {
		t.Errorf("%+v", o)
	}
	clean(t, c)
}

// signalEvery reaches a process that left the command's group.
func signalEvery(t *testing.T, s Subject) {
	c, r := s.ready(t, `setsid sh -c 'trap "echo other; exit" TERM; echo ready; while :; do sleep 0.05; done' & trap 'wait $!; exit 8' TERM; while :; do sleep 0.05; done`)
	must(t, c.Signal(int(syscall.SIGTERM), true))
	if l := line(t, r); l != "other" {
		t.Errorf("%q", l)
	}
	if o := waited(t, c); o.Code != 8 {
		t.Errorf("%+v", o)
	}
	clean(t, c)
}

func killEvery(t *testing.T, s Subject) {
	c, _ := s.ready(t, "trap '' TERM INT HUP; setsid sleep 1000 & echo ready; while :; do sleep 1; done")
	must(t, c.Signal(int(syscall.SIGKILL), true))
	if o := waited(t, c); o.Signal != 9 || o.Code != -1 {
		t.Errorf("%+v", o)
	}
	clean(t, c)
}

func stopAndContinue(t *testing.T, s Subject) {
	c, r := s.ready(t, "trap 'echo went on; exit 3' CONT; echo ready; while :; do sleep 0.05; done")
	must(t, c.Signal(int(syscall.SIGSTOP), true), c.Signal(int(syscall.SIGCONT), true))
	if l := line(t, r); l != "went on" {
		t.Errorf("%q", l)
	}
	if o := waited(t, c); o.Code != 3 {
		t.Errorf("%+v", o)
	}
	clean(t, c)
}

func orphans(t *testing.T, s Subject) {
	for _, script := range few(s, "sleep 1000 & exit 4", "(setsid sleep 1000 &) ; exit 4", "trap '' TERM HUP; (setsid sh -c 'trap \"\" TERM HUP; sleep 1000' &); exit 4") {
		_, p := s.planned(t, sh(script))
		c := s.started(t, p, cell.Streams{})
		if o := waited(t, c); o.Code != 4 {
			t.Errorf("%s: %+v", script, o)
		}
		clean(t, c)
	}
}

// reaped: PID 1 takes what nobody else waits for, while the command still runs.
func reaped(t *testing.T, s Subject) {
	s.prints(t, sh(`for i in 1 2 3 4 5; do (sh -c : &) ; done
for i in $(seq 400); do
	left=0
	for s in /proc/[0-9]*/stat; do
		{ read -r line <$s; } 2>/dev/null && case $line in *") Z "*) left=$((left+1));; esac
	done
	[ $left = 0 ] && break
	sleep 0.05
done
echo $left`), "0\n")
}

func usageCounted(t *testing.T, s Subject) {
	o, _ := s.out(t, sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; /bin/true"))
	if o.Code != 0 || o.User+o.System <= 0 || o.Duration <= 0 || o.Tasks != 0 && o.Tasks < 2 {
		t.Errorf("%+v", o)
	}
}

// firstProcess: no signal of the command ends or stops PID 1, whether it is refused or ignored: the end is told as ever.
func firstProcess(t *testing.T, s Subject) {
	o, got := s.out(t, sh(`for n in HUP TERM STOP SEGV KILL; do kill -$n 1 2>/dev/null; done; kill -0 1 && echo alive; (: </proc/1/mem) 2>/dev/null && echo open; exit 3`))
	if o.Code != 3 || got != "alive\n" {
		t.Errorf("%+v, %q", o, got)
	}
}
