package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/eventtest"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/evidence/verify"
)

// whole is the order of the events of a run whose command ran.
const whole = "network_scope dns_target_set started plan boundary container_security process_spawned completed command files usage residue summary homeostasis destroyed"

// TestPlainRun compares with what the documented supervisor writes, field by field.
func TestPlainRun(t *testing.T) {
	c, err := eventtest.Load(os.DirFS("../evidence/testdata/streams"), "plain-success")
	if err != nil {
		t.Fatal(err)
	}
	f := newFake()
	text := c.DocumentBytes(nil)
	r := newRun(t, f, string(text))
	end := do(t, r)
	if end.Code != c.Expect.Exit || end.Err != nil {
		t.Fatalf("%+v", end)
	}
	b, err := os.ReadFile(filepath.Join(end.Record, record.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Compare(b, eventtest.Options{Dir: t.TempDir(), Document: text, AllowOwn: true}) {
		t.Error(d)
	}
	if got := short(recorded(t, end)); got != whole {
		t.Errorf("events %s\nwant   %s", got, whole)
	}
	if got := strings.Join(f.log, " "); got != "build measure release wait destroy" {
		t.Errorf("the cell was asked: %s", got)
	}
	for name, want := range map[string]string{record.DocumentFile: string(text), record.PlanText: string(r.Plan.Text())} {
		if b, err := os.ReadFile(filepath.Join(end.Record, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		outcome cell.Outcome
		code    int
		cmd     string
		last    string
	}{
		{cell.Outcome{}, 0, `"exitCode":0,`, `"outcome":"succeeded"`},
		{cell.Outcome{Code: 1}, 1, `"exitCode":1,`, `"outcome":"failed","reason":"command exited with status 1"`},
		{cell.Outcome{Code: 255}, 255, `"exitCode":255,`, "command exited with status 255"},
		{cell.Outcome{Code: -1, Signal: 11}, 139, `"signal":"SIGSEGV"`, "command exited with status -1"},
		{cell.Outcome{Code: -1, Signal: 9}, 137, `"signal":"SIGKILL"`, "command exited with status -1"},
		{cell.Outcome{Code: -1, Signal: 40}, 168, `"signal":"signal 40"`, "command exited with status -1"},
	} {
		f := newFake()
		f.outcome = c.outcome
		end := do(t, newRun(t, f, plain))
		if end.Code != c.code || end.Err != nil {
			t.Errorf("%+v: exit %d, %v", c.outcome, end.Code, end.Err)
		}
		list := recorded(t, end)
		if d := data(t, list, evidence.TypeCommand); !strings.Contains(d+",", c.cmd) {
			t.Errorf("%+v: command %s", c.outcome, d)
		}
		if d := data(t, list, evidence.TypeDestroyed); !strings.Contains(d, c.last) {
			t.Errorf("%+v: destroyed %s", c.outcome, d)
		}
	}
}

// TestNoCommand: a document without run has its cell built and measured, and nothing released.
func TestNoCommand(t *testing.T) {
	f := newFake()
	end := do(t, newRun(t, f, `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"it","authority":{},"lifetime":{"ttlSeconds":60}}}`))
	if end.Code != 0 || end.Err != nil || strings.Join(f.log, " ") != "build measure destroy" {
		t.Errorf("%+v; asked %v", end, f.log)
	}
	if got, want := short(recorded(t, end)), "network_scope dns_target_set started plan boundary container_security files usage residue summary homeostasis destroyed"; got != want {
		t.Errorf("events %s", got)
	}
}

// TestChain: the events of every kind of run are signed, chained to the document, complete and closed.
func TestChain(t *testing.T) {
	key, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(f *fake){
		"success": func(*fake) {}, "failure": func(f *fake) { f.outcome.Code = 1 }, "build": func(f *fake) { f.build = errDisk }, "measure": func(f *fake) { f.measure = errDisk },
		"release": func(f *fake) { f.release = errDisk }, "wait": func(f *fake) { f.wait = errDisk }, "residue": func(f *fake) { f.residue.Checks[0].Found = []string{"x"} },
	} {
		f := newFake()
		set(f)
		r := newRun(t, f, plain)
		r.Signer, r.Durable = key, name == "success"
		end := do(t, r)
		file, err := os.Open(filepath.Join(end.Record, record.EventsFile))
		if err != nil {
			t.Fatal(err)
		}
		report, err := verify.Verifier{Keys: verify.Keys{key.KeyID(): key.Public()}, Document: evidence.DocumentDigest([]byte(plain))}.Verify(file)
		file.Close()
		if err != nil || report.Verdict() != verify.Good {
			t.Errorf("%s: %v, %v", name, report.Findings, err)
		}
	}
}

// TestChangedFiles are listed, and a folder that cannot be read is no silent empty list.
func TestChangedFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "made"), []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f := newFake()
	f.changes = func() *os.File { return d }
	end := do(t, newRun(t, f, plain))
	if got := data(t, recorded(t, end), evidence.TypeFiles); end.Code != 0 || !strings.Contains(got, `"path":"made"`) || !strings.Contains(got, `"change":"created"`) {
		t.Errorf("%+v: %s", end, got)
	}
	closed, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	f = newFake()
	f.changes = func() *os.File { return closed }
	if end := do(t, newRun(t, f, plain)); end.Code != 123 || end.Err == nil || !strings.Contains(end.Err.Error(), "opening the folder of changes") {
		t.Errorf("%+v", end)
	}
}

// TestCancelledContext: a caller that gives up has the command killed.
func TestCancelledContext(t *testing.T) {
	f := newFake()
	f.runs = true
	r := newRun(t, f, plain)
	ctx, cancel := context.WithCancel(t.Context())
	f.onRelease = cancel
	end := r.Do(ctx)
	if end.Code != 137 || end.Err == nil || end.Err.Error() != "the run was cancelled" || !f.did("signal 9 true") {
		t.Errorf("%+v; asked %v", end, f.log)
	}
	if d := data(t, recorded(t, end), evidence.TypeCommand); !strings.Contains(d, `"outcome":"cancelled"`) {
		t.Errorf("command: %s", d)
	}
}

func TestSignalName(t *testing.T) {
	for n, want := range map[int]string{1: "SIGHUP", 9: "SIGKILL", 15: "SIGTERM", 19: "SIGSTOP", 31: "SIGSYS", 0: "signal 0", 32: "signal 32", 64: "signal 64", -1: "signal -1"} {
		if got := signalName(sig(n)); got != want {
			t.Errorf("signal %d is %s, want %s", n, got, want)
		}
	}
	if fmt.Sprint(ExitAfter, ExitTime, ExitRefused, ExitCannot, ExitNotFound) != "123 124 125 126 127" {
		t.Error("the documented exit codes changed")
	}
}
