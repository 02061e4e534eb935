package cellinit

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestSignals(t *testing.T) {
	each(t, func(t *testing.T, o options) {
		for _, every := range []bool{false, true} {
			p := shell(t, o, `trap "exit 9" USR1; echo ready; while :; do sleep 0.01; done`)
			if l := p.line(); l != "ready" {
				t.Fatalf("line %q", l)
			}
			p.send(Signal{Number: 10, All: every})
			if e := receive[Exit](p); e.Code != 9 {
				t.Errorf("every %v: %+v", every, e)
			}
		}
	})
}

// TestSignalReachesWhom tells the command's process group from the whole cell: a process in a session of its own gets only
// what is for all.
func TestSignalReachesWhom(t *testing.T) {
	script := `setsid sh -c 'trap "echo other" USR1; echo ready; while :; do sleep 0.01; done' & trap "echo main" USR1; while :; do sleep 0.01; done`
	p := shell(t, options{pid1: true}, script)
	if l := p.line(); l != "ready" {
		t.Fatalf("line %q", l)
	}
	p.send(Signal{Number: 10})
	if l := p.line(); l != "main" {
		t.Errorf("line %q after a signal to the group", l)
	}
	p.send(Signal{Number: 10, All: true})
	if l := p.line() + " " + p.line(); l != "main other" && l != "other main" {
		t.Errorf("lines %q after a signal to all", l)
	}
	p.send(Signal{Number: 9, All: true})
	if e := receive[Exit](p); e.Signal != 9 {
		t.Errorf("got %+v", e)
	}
}

func TestOrphansAreEndedAndReaped(t *testing.T) {
	p := shell(t, options{pid1: true}, `(setsid sleep 1000 &); (sleep 1000 &); (exit 4 &); exit 3`)
	e := receive[Exit](p)
	if e.Code != 3 || e.LastPID < 6 {
		t.Errorf("got %+v", e)
	}
	if c := p.children(); c != "" {
		t.Errorf("children %s are left", c)
	}
	if out := p.output(); out != "" { // ends: nobody holds it any more
		t.Errorf("output %q", out)
	}
}

// TestOrphansAreReapedMeanwhile: a child whose parent has ended becomes PID 1's, and is no zombie while the command runs.
func TestOrphansAreReapedMeanwhile(t *testing.T) {
	p := shell(t, options{pid1: true}, `for i in 1 2 3 4 5; do (sh -c "exit 1" &); done; echo done; exec sleep 1000`)
	p.line() // here every orphan is PID 1's child, ended or not
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		if c := strings.Fields(p.children()); len(c) == 1 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("children %v", c)
		}
	}
	p.send(Signal{Number: 15})
	if e := receive[Exit](p); e.Signal != 15 {
		t.Errorf("got %+v", e)
	}
}

func TestStreamsAreTheCommandsAlone(t *testing.T) {
	p := shell(t, options{}, `echo closing; exec >&- 2>&-; sleep 1000`)
	if out := p.output(); out != "closing\n" {
		t.Errorf("output %q", out)
	}
	p.send(Signal{Number: 15})
	if e := receive[Exit](p); e.Signal != 15 {
		t.Errorf("got %+v", e)
	}
}

// TestEmulated runs the program of the other architecture as far as emulation goes: the commands are the machine's own, and
// vfork is a fork there, so an execve that fails is seen as exit status 127 and not as Failed.
func TestEmulated(t *testing.T) {
	arch := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	for script, want := range map[string]Exit{"exit 7": {Code: 7}, "kill -9 $$": {Code: -1, Signal: 9}} {
		p := shell(t, options{arch: arch}, script)
		if e := receive[Exit](p); e.Code != want.Code || e.Signal != want.Signal || e.Command.MaxRSS < 100<<10 {
			t.Errorf("%s: %+v", script, e)
		}
		p.send(End{})
		if s := p.exit(); s != 0 {
			t.Errorf("%s: exit status %d", script, s)
		}
	}
	t.Run("signal", func(t *testing.T) {
		p := shell(t, options{arch: arch}, `trap "exit 9" USR1; echo "$CELL"; while :; do sleep 0.01; done`)
		if l := p.line(); l != "yes" {
			t.Errorf("line %q", l)
		}
		p.send(Signal{Number: 10})
		if e := receive[Exit](p); e.Code != 9 {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		p := run(t, options{arch: arch})
		p.send(Release{})
		if s := p.exit(); s != ExitGarbage {
			t.Errorf("exit status %d", s)
		}
	})
	t.Run("supervisor dies", func(t *testing.T) {
		p := shell(t, options{arch: arch}, "read x")
		p.conn.Close()
		if s := p.exit(); s != ExitGone {
			t.Errorf("exit status %d", s)
		}
	})
}
