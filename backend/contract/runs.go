//go:build linux

package contract

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/evidence/verify"
	"cellos.io/cellos/stream"
	"cellos.io/cellos/supervisor"
)

var runs = []test{
	{"the evidence of a run", evidenceOfRun},
	{"the evidence of a run that failed", evidenceOfFailure},
	{"the time limit", timeLimit},
	{"the time limit and a command that ignores it", timeLimitIgnored},
	{"the lifetime", lifetime},
	{"the output limit", outputLimit},
	{"a signal to the supervisor", signalled},
	{"a command that is not there", notThere},
	{"files are exported", exported},
}

// A lived run is what a run left behind.
type lived struct {
	end    supervisor.End
	out    string
	types  []string
	events map[string]map[string]any // the data of the last event of each type
	report verify.Report
}

// run lives a run with its evidence. What onLine does, it does when the command printed its first line.
func (s Subject) run(t testing.TB, a ask, signals chan os.Signal, onLine func()) lived {
	return s.runWith(t, a, signals, onLine, nil)
}

func (s Subject) runWith(t testing.TB, a ask, signals chan os.Signal, onLine func(), exports supervisor.Exports) lived {
	t.Helper()
	doc, data := a.document(t)
	auth, p := s.planned(t, a)
	key, err := keys.New()
	must(t, err)
	state := t.TempDir()
	r, w, err := os.Pipe()
	must(t, err)
	text := make(chan string, 1)
	go func() {
		var all bytes.Buffer
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			if all.Write(b[:n]); bytes.IndexByte(b[:n], '\n') >= 0 && onLine != nil {
				onLine()
				onLine = nil
			}
			if err != nil {
				break
			}
		}
		r.Close()
		text <- all.String()
	}()
	end := supervisor.Run{
		Document: doc, Bytes: data, Authority: auth, Plan: p, Backend: s.Backend,
		Streams: stream.Ends{Out: w, Err: w}, State: state, Signer: key, Signals: signals,
		Exports: exports,
		Trust:   supervisor.Trust{KeysetID: evidence.DefaultKeysetID, ResolverKid: evidence.DefaultResolverKid},
	}.Do(t.Context())
	w.Close()
	l := lived{end: end, out: <-text, events: map[string]map[string]any{}}
	f, err := os.Open(filepath.Join(end.Record, record.EventsFile))
	must(t, err)
	defer f.Close()
	l.report, err = verify.Verify(f, verify.Keys{key.KeyID(): key.Public()})
	must(t, err)
	if v := l.report.Verdict(); v != verify.Good {
		t.Errorf("the evidence is %v: %v", v, l.report.Findings)
	}
	_, err = f.Seek(0, io.SeekStart)
	must(t, err)
	all, err := io.ReadAll(f)
	must(t, err)
	for line := range bytes.Lines(all) {
		var e struct {
			Type string
			Data map[string]any
		}
		must(t, json.Unmarshal(line, &e))
		name := e.Type[strings.LastIndex(e.Type, ".v1.")+4:]
		l.types = append(l.types, name)
		l.events[name] = e.Data
	}
	return l
}

// order is that of docs/events.md.
var order = []string{"network_scope", "dns_target_set", "started", "plan", "boundary", "container_security", "process_spawned", "completed", "command", "files", "usage", "residue", "summary", "homeostasis", "destroyed"}

func (l lived) inOrder(t testing.TB) {
	t.Helper()
	if !slices.Equal(l.types, order) {
		t.Errorf("events %v, want %v", l.types, order)
	}
	if r := l.events["destroyed"]; r["residueClass"] != "none" {
		t.Errorf("the end: %v", r)
	}
}

// digestOfMade is what sha256sum says of "made\n".
const digestOfMade = "9ccbd3f1b19a1cdfd8d7c6ae48e9e822e2345f5be1a6187b19e41486c6941004"

func evidenceOfRun(t *testing.T, s Subject) {
	l := s.run(t, sh("echo hello; echo made >made"), nil, nil)
	if l.end.Code != 0 || l.end.Err != nil || l.out != "hello\n" {
		t.Errorf("%+v, %q", l.end, l.out)
	}
	l.inOrder(t)
	if c := l.events["completed"]; c["exitCode"] != 0.0 {
		t.Errorf("completed: %v", c)
	}
	if c := l.events["command"]; c["outcome"] != "exited" {
		t.Errorf("command: %v", c)
	}
	changes, _ := json.Marshal(l.events["files"])
	if !strings.Contains(string(changes), `"path":"made"`) || !strings.Contains(string(changes), digestOfMade) {
		t.Errorf("files: %s", changes)
	}
	layers, _ := l.events["boundary"]["layers"].([]any)
	if len(layers) < 5 {
		t.Errorf("boundary: %v", l.events["boundary"])
	}
}

func evidenceOfFailure(t *testing.T, s Subject) {
	l := s.run(t, sh("exit 9"), nil, nil)
	l.inOrder(t)
	if l.end.Code != 9 || l.events["completed"]["exitCode"] != 9.0 || l.events["destroyed"]["reason"] != "command exited with status 9" {
		t.Errorf("%+v, %v", l.end, l.events["destroyed"])
	}
	l = s.run(t, sh("kill -SEGV $$"), nil, nil)
	l.inOrder(t)
	if l.end.Code != 128+11 || l.events["completed"]["exitCode"] != -1.0 || l.events["command"]["outcome"] != "signaled" || l.events["command"]["signal"] != "SIGSEGV" {
		t.Errorf("%+v, %v", l.end, l.events["command"])
	}
}

func timeLimit(t *testing.T, s Subject) {
	l := s.run(t, ask{argv: []string{"/bin/sh", "-c", "echo begun; sleep 1000; echo not reached"}, run: `"timeoutMs":700`}, nil, nil)
	l.inOrder(t)
	if l.end.Code != supervisor.ExitTime || l.out != "begun\n" || l.events["command"]["outcome"] != "timeout" {
		t.Errorf("%+v, %q, %v", l.end, l.out, l.events["command"])
	}
}

func timeLimitIgnored(t *testing.T, s Subject) {
	l := s.run(t, ask{argv: []string{"/bin/sh", "-c", "trap '' TERM; (trap '' TERM; setsid sleep 1000) & echo begun; while :; do sleep 1; done"}, run: `"timeoutMs":700,"limits":{"gracefulShutdownSeconds":1}`}, nil, nil)
	l.inOrder(t)
	if l.end.Code != supervisor.ExitTime || l.events["command"]["outcome"] != "timeout" {
		t.Errorf("%+v, %v", l.end, l.events["command"])
	}
}

func lifetime(t *testing.T, s Subject) {
	l := s.run(t, ask{argv: []string{"/bin/sleep", "1000"}, ttl: 1}, nil, nil)
	l.inOrder(t)
	if l.end.Code != supervisor.ExitTime || !strings.Contains(l.end.Err.Error(), "ttl_seconds=1") {
		t.Errorf("%+v", l.end)
	}
}

func outputLimit(t *testing.T, s Subject) {
	l := s.run(t, ask{argv: []string{"/usr/bin/yes"}, run: `"limits":{"outputBytes":100000}`}, nil, nil)
	l.inOrder(t)
	if len(l.out) != 100000 || l.end.Code == 0 || l.end.Err == nil || !strings.Contains(l.end.Err.Error(), "printed more than 100000 bytes") {
		t.Errorf("%+v, %d bytes", l.end, len(l.out))
	}
}

func signalled(t *testing.T, s Subject) {
	signals := make(chan os.Signal, 1)
	began := time.Now()
	l := s.run(t, sh("trap 'echo bye; exit 3' TERM; echo begun; while :; do sleep 0.05; done"), signals, func() { signals <- syscall.SIGTERM })
	l.inOrder(t)
	said := strings.Replace(l.out, "Terminated\n", "", 1) // the shell of its sleep, which got the signal too
	if l.end.Code != supervisor.ExitSignal+int(syscall.SIGTERM) || said != "begun\nbye\n" || time.Since(began) > time.Minute {
		t.Errorf("%+v, %q", l.end, l.out)
	}
}

func notThere(t *testing.T, s Subject) {
	l := s.run(t, ask{argv: []string{"/nothing/there"}}, nil, nil)
	if l.end.Code != supervisor.ExitNotFound || l.events["command"]["outcome"] != "notStarted" {
		t.Errorf("%+v, %v", l.end, l.events["command"])
	}
	l.inOrder(t)
}
