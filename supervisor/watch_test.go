package supervisor

import (
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
)

func sig(n int) syscall.Signal { return syscall.Signal(n) }

// asked returns what the cell was asked between its start and its end.
func asked(f *fake) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s []string
	for _, x := range f.log {
		if strings.HasPrefix(x, "signal") || x == "destroy" {
			s = append(s, x)
		}
	}
	return s
}

func TestTimeLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		grace  time.Duration
		reacts []int
		from   string
		asked  []string
		text   string
	}{
		{"no grace", 0, []int{9}, "spec.run.timeoutMs", []string{"signal 9 true", "destroy"}, "command timed out after 20 ms (spec.run.timeoutMs)"},
		{"grace", time.Minute, []int{15}, "spec.run.timeoutMs", []string{"signal 15 true", "destroy"}, "command timed out after 20 ms (spec.run.timeoutMs)"},
		{"grace without avail", 20 * time.Millisecond, []int{9}, "spec.lifetime.ttlSeconds", []string{"signal 15 true", "signal 9 true", "destroy"},
			"cell killed by TTL watchdog after 20 ms (ttl_seconds=60)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			f.runs, f.reacts = true, map[int]bool{}
			for _, n := range c.reacts {
				f.reacts[n] = true
			}
			r := newRun(t, f, plain)
			p := *r.Plan
			p.Limits.Wall, p.Limits.WallFrom, p.Limits.Grace = 20*time.Millisecond, c.from, c.grace
			r.Plan = &p
			end := do(t, r)
			if end.Code != 124 || end.Err == nil || end.Err.Error() != c.text {
				t.Errorf("%+v", end)
			}
			if got := asked(f); !slices.Equal(got, c.asked) {
				t.Errorf("asked %q, want %q", got, c.asked)
			}
			list := recorded(t, end)
			if d := data(t, list, evidence.TypeCommand); !strings.Contains(d, `"outcome":"timeout"`) {
				t.Errorf("command: %s", d)
			}
			if d := data(t, list, evidence.TypeCompleted); !strings.Contains(d, `"exitCode":-1`) || !strings.Contains(d, c.text) {
				t.Errorf("completed: %s", d)
			}
		})
	}
}

// TestEndsInTime: a command that is faster than its limit is not touched.
func TestEndsInTime(t *testing.T) {
	f := newFake()
	if end := do(t, newRun(t, f, plain)); end.Code != 0 || slices.Contains(f.log, "signal 15 true") {
		t.Errorf("%+v", end)
	}
}

// TestStubborn: PID 1 that does not answer is destroyed.
func TestStubborn(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.runs, f.reacts = true, nil
	r := newRun(t, f, plain)
	p := *r.Plan
	p.Limits.Wall = time.Millisecond
	r.Plan = &p
	end := do(t, r)
	if end.Code != 124 || !slices.Equal(asked(f), []string{"signal 9 true", "destroy"}) {
		t.Errorf("%+v; asked %v", end, asked(f))
	}
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name   string
		send   []syscall.Signal
		reacts []int
		asked  []string
		code   int
		err    string
	}{
		{"interrupt", []syscall.Signal{syscall.SIGINT}, []int{2}, []string{"signal 2 true", "destroy"}, 130, "ended by signal 2 (interrupt) to the supervisor"},
		{"terminate", []syscall.Signal{syscall.SIGTERM}, []int{15}, []string{"signal 15 true", "destroy"}, 143, "ended by signal 15 (terminated) to the supervisor"},
		{"hang up", []syscall.Signal{syscall.SIGHUP}, []int{1}, []string{"signal 1 true", "destroy"}, 129, "ended by signal 1 (hangup) to the supervisor"},
		{"quit", []syscall.Signal{syscall.SIGQUIT}, []int{3}, []string{"signal 3 true", "destroy"}, 131, "ended by signal 3 (quit) to the supervisor"},
		{"twice", []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}, []int{9}, []string{"signal 2 true", "signal 9 true", "destroy"}, 130, "ended by signal 2 (interrupt) to the supervisor"},
		{"passed on", []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2}, []int{12}, []string{"signal 10 false", "signal 12 false", "destroy"}, 140, ""},
		{"stopped", []syscall.Signal{syscall.SIGTSTP, syscall.SIGUSR2}, []int{12}, []string{"signal 19 true", "signal 18 true", "signal 12 false", "destroy"}, 140, ""},
		{"continued", []syscall.Signal{syscall.SIGCONT, syscall.SIGUSR2}, []int{12}, []string{"signal 18 true", "signal 12 false", "destroy"}, 140, ""},
		{"ignored", []syscall.Signal{syscall.SIGWINCH, syscall.SIGPIPE, syscall.SIGUSR2}, []int{12}, []string{"signal 12 false", "destroy"}, 140, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			f.runs, f.reacts = true, map[int]bool{}
			for _, n := range c.reacts {
				f.reacts[n] = true
			}
			signals := make(chan os.Signal, 8)
			f.onRelease = func() {
				for _, s := range c.send {
					signals <- s
				}
			}
			stopped := 0
			r := newRun(t, f, plain)
			r.Signals, r.Stop = signals, func() { stopped++ }
			end := do(t, r)
			if end.Code != c.code || (end.Err == nil) != (c.err == "") || end.Err != nil && end.Err.Error() != c.err {
				t.Errorf("%+v", end)
			}
			if got := asked(f); !slices.Equal(got, c.asked) {
				t.Errorf("asked %q, want %q", got, c.asked)
			}
			if stopped != map[bool]int{true: 1}[c.name == "stopped"] {
				t.Errorf("stopped %d times", stopped)
			}
		})
	}
}

// TestSignalThatEndsNothing: after the grace the command is killed.
func TestSignalThatEndsNothing(t *testing.T) {
	f := newFake()
	f.runs = true
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM // came before the command ran
	r := newRun(t, f, plain)
	p := *r.Plan
	p.Limits.Grace = 10 * time.Millisecond
	r.Plan, r.Signals = &p, signals
	if end := do(t, r); end.Code != 143 || !slices.Equal(asked(f), []string{"signal 15 true", "signal 9 true", "destroy"}) {
		t.Errorf("%+v; asked %v", end, asked(f))
	}
}

func TestOutput(t *testing.T) {
	for _, c := range []struct {
		limit  uint64
		prints int
		code   int
		got    int
	}{{0, 100000, 0, 100000}, {1000, 1000, 0, 1000}, {1000, 1001, 137, 1000}, {1, 300000, 137, 1}} {
		f := newFake()
		f.prints = strings.Repeat("x", c.prints)
		f.runs = c.code != 0
		r := newRun(t, f, plain)
		p := *r.Plan
		p.Limits.Output = c.limit
		r.Plan = &p
		ends, text := output(t)
		r.Streams = ends
		end := do(t, r)
		if end.Code != c.code || len(text()) != c.got {
			t.Errorf("%+v: exit %d, %v; %d bytes", c, end.Code, end.Err, len(text()))
		}
		if c.code != 0 && (end.Err == nil || !strings.Contains(end.Err.Error(), "bytes (spec.run.limits.outputBytes)")) {
			t.Errorf("%+v: %v", c, end.Err)
		}
	}
}

// TestFullWhileTheCommandStarts: the limit may be reached at the very moment when the watch over the command begins. Here the watch has
// begun between the two looks that full takes at the lock.
func TestFullWhileTheCommandStarts(t *testing.T) {
	f := newFake()
	f.runs = true
	l := watching(t, f, evidence.WriterSink(io.Discard))
	l.why.set(byOutput, 0)
	f.onSignal = func() {
		l.why.mu.Lock()
		act := l.why.act
		l.why.mu.Unlock()
		act()
	}
	if err := l.watch(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "printed more than 0 bytes") {
		t.Error(err)
	}
}

// TestFirstReasonCounts: the first reason counts.
func TestFirstReasonCounts(t *testing.T) {
	var e ending
	if !e.set(byTime, 0) || e.set(bySignal, 15) || e.reason() != byTime || e.signal() != 0 {
		t.Errorf("%+v", e.reason())
	}
	e = ending{}
	called := 0
	e.act = func() { called++ }
	e.full()
	e.full()
	if called != 1 || e.reason() != byOutput {
		t.Errorf("called %d times, reason %d", called, e.reason())
	}
}

var _ cell.Backend = (*fake)(nil)
