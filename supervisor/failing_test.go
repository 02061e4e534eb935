package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/sysabi"
)

// TestFailsAtEachStage: what has begun is ended, the record says what happened, and the exit code whether anything ran.
func TestFailsAtEachStage(t *testing.T) {
	broken := errors.New("it broke")
	doesNotHold := newFake().boundary
	doesNotHold.Layers = append(slices.Clone(doesNotHold.Layers), cell.Layer{Name: "seccomp", Promised: "a filter", Inside: "ptrace: success instead of EPERM"})
	const refused = "network_scope dns_target_set started plan completed command files usage residue summary homeostasis destroyed"
	const unmeasured = "network_scope dns_target_set started plan boundary container_security completed command files usage residue summary homeostasis destroyed"
	for _, c := range []struct {
		name   string
		set    func(f *fake)
		asked  string
		events string
		code   int
		text   string // of the error
		cmd    string // in the event command
		exit   string // in the event completed
	}{
		{"build", func(f *fake) { f.build = broken }, "build", refused, 125, "it broke", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"measure", func(f *fake) { f.measure = broken }, "build measure destroy", refused, 125, "it broke", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"boundary", func(f *fake) { f.boundary = doesNotHold }, "build measure destroy", unmeasured, 125,
			"the boundary does not hold: seccomp: promised a filter; from inside: ptrace: success instead of EPERM", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"release", func(f *fake) { f.release = broken }, "build measure release destroy", whole, 125, "it broke", `"outcome":"cancelled"`, `"exitCode":-1`},
		{"not found", func(f *fake) { f.release = &cell.StartError{Path: "/bin/x", Err: sysabi.ENOENT} }, "build measure release destroy", whole, 127, "executing /bin/x: ", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"not a folder", func(f *fake) { f.release = &cell.StartError{Path: "/bin/x/y", Err: sysabi.ENOTDIR} }, "build measure release destroy", whole, 127, "executing /bin/x/y: ", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"not executable", func(f *fake) { f.release = &cell.StartError{Path: "/bin/x", Err: sysabi.EACCES} }, "build measure release destroy", whole, 126, "executing /bin/x: ", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"another architecture", func(f *fake) { f.release = &cell.StartError{Path: "/bin/x", Err: sysabi.ENOEXEC} }, "build measure release destroy", whole, 126, "executing /bin/x: ", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"too many arguments", func(f *fake) { f.release = &cell.StartError{Path: "/bin/x", Err: sysabi.E2BIG} }, "build measure release destroy", whole, 125, "executing /bin/x: ", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"no terminal", func(f *fake) {
			f.release = &cell.StartError{Path: "/bin/x", Stage: "opening the terminal", Err: sysabi.EIO}
		}, "build measure release destroy", whole, 125, "opening the terminal for /bin/x: ", `"outcome":"notStarted"`, `"exitCode":-1`},
		{"wait", func(f *fake) { f.wait = broken }, "build measure release wait destroy", whole, 123, "it broke", `"outcome":"cancelled"`, `"exitCode":-1`},
		{"residue", func(f *fake) { f.residue.Checks[0].Found = []string{"process 7"} }, "build measure release wait destroy", whole, 123, "something was left of the cell", `"outcome":"exited"`, `"exitCode":0`},
		{"residue of a failure", func(f *fake) { f.outcome.Code = 3; f.residue.Checks[0].Found = []string{"process 7"} }, "build measure release wait destroy", whole, 3, "something was left of the cell", `"outcome":"exited"`, `"exitCode":3`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			c.set(f)
			end := do(t, newRun(t, f, plain))
			if end.Code != c.code || end.Err == nil || !strings.Contains(end.Err.Error(), c.text) {
				t.Errorf("exit %d, want %d: %v", end.Code, c.code, end.Err)
			}
			if got := strings.Join(f.log, " "); got != c.asked {
				t.Errorf("the cell was asked: %s, want %s", got, c.asked)
			}
			list := recorded(t, end)
			if got := short(list); got != c.events {
				t.Errorf("events %s\nwant   %s", got, c.events)
			}
			if d := data(t, list, evidence.TypeCommand); !strings.Contains(d, c.cmd) {
				t.Errorf("command: %s", d)
			}
			if d := data(t, list, evidence.TypeCompleted); !strings.Contains(d, c.exit) {
				t.Errorf("completed: %s", d)
			}
			last := data(t, list, evidence.TypeDestroyed)
			if !strings.Contains(last, `"outcome":"failed"`) || strings.Contains(last, `"residueClass"`) == strings.HasPrefix(c.name, "residue") {
				t.Errorf("destroyed: %s", last)
			}
		})
	}
}

// TestEvidenceThatCannotBeWritten: a sink that takes n events and no more. Without the event process_spawned nothing is released; behind
// it the command has run, and its success is none.
func TestEvidenceThatCannotBeWritten(t *testing.T) {
	types := strings.Fields(whole)
	spawned := slices.Index(types, "process_spawned")
	for n := range len(types) + 1 {
		for _, code := range []int{0, 7} {
			f := newFake()
			f.outcome.Code = code
			r := newRun(t, f, plain)
			r.Outputs = []evidence.Output{{Name: "event stream", Sink: &failing{n, errDisk}}}
			end := do(t, r)
			want := 125
			switch {
			case n == len(types) || n > spawned && code != 0:
				want = code
			case n > spawned:
				want = 123
			}
			if end.Code != want {
				t.Errorf("after %d events: exit %d, want %d (%v)", n, end.Code, want, end.Err)
			}
			if released := f.did("release"); released != (n > spawned) {
				t.Errorf("after %d events the command was released: %v", n, released)
			}
			if !f.did("destroy") {
				t.Errorf("after %d events the cell is still there", n)
			}
			if (end.Err == nil) != (n == len(types)) || end.Err != nil && (!errors.Is(end.Err, errDisk) || !strings.Contains(end.Err.Error(), "event stream emit: ")) {
				t.Errorf("after %d events: %v", n, end.Err)
			}
		}
	}
	f := newFake() // a best-effort sink stops nothing
	r := newRun(t, f, plain)
	r.Outputs = []evidence.Output{{Name: "copy", Sink: &failing{0, errDisk}, BestEffort: true}}
	if end := do(t, r); end.Code != 0 || end.Err != nil || short(recorded(t, end)) != whole {
		t.Errorf("with a best-effort sink: %+v", end)
	}
}

// TestNoRecord: without a place for the record nothing is released, and the cell goes.
func TestNoRecord(t *testing.T) {
	f := newFake()
	r := newRun(t, f, plain)
	r.State = filepath.Join(r.State, "file")
	if err := os.WriteFile(r.State, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	end := do(t, r)
	if end.Code != 125 || end.Err == nil || f.did("release") || !f.did("destroy") || end.Record != "" {
		t.Errorf("%+v; asked %v", end, f.log)
	}
	// Not even the pipes of the outputs are left.
	r.Streams, _ = output(t)
	descriptors := func() int { d, _ := os.ReadDir("/proc/self/fd"); return len(d) }
	before := descriptors()
	for range 5 {
		f = newFake()
		f.build = errDisk
		r.Backend = f
		do(t, r)
	}
	if n := descriptors(); n != before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
	f = newFake()
	f.build = errors.New("it broke")
	r.Backend = f
	if end := do(t, r); end.Code != 125 || end.Err == nil || f.did("destroy") {
		t.Errorf("%+v; asked %v", end, f.log)
	}
}

// badKey signs a few times.
type badKey struct{ n int }

func (k *badKey) KeyID() string { return "bad" }

func (k *badKey) Sign(m []byte) ([]byte, error) {
	if k.n--; k.n < 0 {
		return nil, errDisk
	}
	return make([]byte, 64), nil
}

// TestSignerFails: what cannot be signed counts as not written.
func TestSignerFails(t *testing.T) {
	types := strings.Fields(whole)
	spawned := slices.Index(types, "process_spawned")
	for n := range len(types) {
		f := newFake()
		r := newRun(t, f, plain)
		r.Signer = &badKey{n}
		end := do(t, r)
		if f.did("release") != (n > spawned) || !errors.Is(end.Err, errDisk) || end.Code != map[bool]int{true: 123, false: 125}[n > spawned] {
			t.Errorf("after %d signatures: %+v; asked %v", n, end, f.log)
		}
	}
}
