package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cellos.io/cellos/evidence/jetstream/natstest"
)

// A mortal is a server for events that dies and comes back on the same port.
type mortal struct {
	t     *testing.T
	addr  string
	mu    sync.Mutex
	lines []string
	serve *http.Server
}

func (m *mortal) live() {
	m.t.Helper()
	addr := m.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		m.t.Fatal(err)
	}
	m.addr = l.Addr().String()
	m.serve = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.lines = append(m.lines, string(body))
	})}
	go m.serve.Serve(l)
}

func (m *mortal) die() { m.serve.Close() }

func (m *mortal) got() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lines)
}

// asking is the script of a started command. It ends when its input does.
const asking = `echo up; read x; i=0; while [ $i -lt 12 ]; do getent hosts n$i.nowhere.test; i=$((i+1)); done; echo asked; cat; echo end`

// lossy prepares a run whose command makes events while it runs.
func (b *bench) lossy(flags ...string) []string {
	return append(append([]string{"run", "--net", "granted.test"}, flags...), "--", "sh", "-c", asking)
}

// TestLossKills: a required sink that dies while the command runs ends the command at its next event: 137, and the record is whole and says why.
func TestLossKills(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		m := &mortal{t: t}
		m.live()
		b := newBench(t, u)
		s := b.upAndAsking(b.command(b.lossy("--sink", "http://"+m.addr+" patience=0s")...))
		m.die()
		io.WriteString(s.in, "go\n")
		_, errs := s.ends(137)
		if !strings.Contains(errs, "the command was ended, because its evidence cannot be written: sink http://"+m.addr+" emit: ") {
			t.Errorf("standard error:\n%s", errs)
		}
		b.cellos("verify", "last").ok(t)
		if events := b.cellos("show", "--events", "last").ok(t); !strings.Contains(events, `"outcome":"cancelled"`) || !strings.Contains(events, "its evidence cannot be written") {
			t.Errorf("the record does not say why:\n%s", events)
		}
		if want := b.record(); len(m.got()) == 0 || len(m.got()) >= len(want) {
			t.Errorf("the server has %d of %d events", len(m.got()), len(want))
		}
	})
}

// TestLossOfBestEffort: best effort is no reason to end anything: the run goes on with a note.
func TestLossOfBestEffort(t *testing.T) {
	m := &mortal{t: t}
	m.live()
	b := newBench(t, users()[len(users())-1])
	s := b.upAndAsking(b.command(b.lossy("--sink", "best-effort http://"+m.addr+" patience=0s")...))
	m.die()
	io.WriteString(s.in, "go\n")
	s.prints("asked")
	s.in.Close()
	if out, errs := s.ends(0); out != "end\n" || !strings.Contains(errs, "does not take the events of this run") {
		t.Errorf("%q, %s", out, errs)
	}
}

// TestLossBlocks: with block the command is stopped when the sink dies, goes on when it is back, and nothing is lost.
func TestLossBlocks(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		m := &mortal{t: t}
		m.live()
		b := newBench(t, u)
		s := b.upAndAsking(b.command(b.lossy("--on-evidence-loss", "block", "--sink", "http://"+m.addr+" patience=0s")...))
		m.die()
		io.WriteString(s.in, "go\n")
		s.says("the command is stopped until its evidence can be written: sink http://" + m.addr)
		s.stopped()
		m.live()
		s.says("the command goes on")
		s.prints("asked")
		s.in.Close()
		if out, _ := s.ends(0); out != "end\n" {
			t.Errorf("%q", out)
		}
		if want := b.record(); !slices.Equal(m.got(), want) {
			t.Errorf("the server has %d events, the record %d", len(m.got()), len(want))
		}
		b.cellos("verify", "last").ok(t)
	})
}

// TestStoppedForASinkAndEnded: who asks for the end of a command that is stopped gets it.
func TestStoppedForASinkAndEnded(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		m := &mortal{t: t}
		m.live()
		b := newBench(t, u)
		b.env = append(b.env, "CELLOS_ON_EVIDENCE_LOSS=block", "CELLOS_SINKS=http://"+m.addr+" patience=0s")
		s := b.upAndAsking(b.command(b.lossy()...))
		m.die()
		io.WriteString(s.in, "go\n")
		s.says("the command is stopped until")
		s.stopped()
		s.cmd.Process.Signal(syscall.SIGTERM)
		if _, errs := s.ends(143); !strings.Contains(errs, "sink http://"+m.addr+" emit: ") {
			t.Errorf("standard error does not tell of the loss:\n%s", errs)
		}
		b.cellos("verify", "last").ok(t)
	})
}

// TestLossOfJetStream: the same with a server that acknowledges.
func TestLossOfJetStream(t *testing.T) {
	for _, choice := range []string{"kill", "block"} {
		t.Run(choice, func(t *testing.T) {
			t.Parallel()
			n := natstest.Start(t)
			n.Stream("EVENTS", "cellos.>")
			b := newBench(t, users()[len(users())-1])
			s := b.upAndAsking(b.command(b.lossy("--on-evidence-loss", choice, "--sink", n.URL()+" patience=0s")...))
			n.Stop()
			io.WriteString(s.in, "go\n")
			if choice == "kill" {
				if _, errs := s.ends(137); !strings.Contains(errs, "its evidence cannot be written: sink nats://") {
					t.Errorf("standard error:\n%s", errs)
				}
				b.cellos("verify", "last").ok(t)
				return
			}
			s.says("the command is stopped until its evidence can be written: sink nats://")
			s.stopped()
			n.Run()
			s.says("the command goes on")
			s.prints("asked")
			s.in.Close()
			s.ends(0)
			want, got := b.record(), n.Messages("EVENTS", "cellos.>")
			if len(got) != len(want) {
				t.Fatalf("%d messages for %d events", len(got), len(want))
			}
			for i, m := range got {
				if string(m.Line) != want[i] {
					t.Errorf("message %d is %s", i, m.Line)
				}
			}
		})
	}
}

// TestFullDisk: the run's own record is a required sink like any other.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	each(t, func(t *testing.T, u user) {
		for _, choice := range []string{"kill", "block"} {
			t.Run(choice, func(t *testing.T) {
				b := newBench(t, u)
				id := strconv.Itoa(u.uid)
				script := `mount -t tmpfs -o size=512k,mode=700,uid=$0,gid=$0 none "$1" && shift && exec setpriv --reuid "$0" --regid "$0" --clear-groups "$@"`
				inner := b.command(b.lossy("--on-evidence-loss", choice)...)
				cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"-m", "sh", "-c", script, id, b.state}, inner.Args...)...)
				cmd.Dir, cmd.Env, cmd.WaitDelay = inner.Dir, inner.Env, inner.WaitDelay
				s := b.upAndAsking(cmd)
				state := fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, b.state) // as the run sees it
				filler := filepath.Join(state, "filler")
				if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err == nil {
					t.Fatal("the disk is not full")
				}
				io.WriteString(s.in, "go\n")
				records, err := filepath.Glob(filepath.Join(state, "runs", "*", "events.jsonl"))
				if err != nil || len(records) != 1 {
					t.Fatal(records, err)
				}
				record, err := os.Open(records[0]) // the file system is gone with the run
				if err != nil {
					t.Fatal(err)
				}
				defer record.Close()
				code, verdict := 137, 6
				if choice == "block" {
					s.says("the command is stopped until its evidence can be written: run record emit: ")
					s.stopped()
					if err := os.Remove(filler); err != nil {
						t.Fatal(err)
					}
					s.says("the command goes on")
					s.prints("asked")
					s.in.Close()
					code, verdict = 0, 0
				}
				if _, errs := s.ends(code); choice == "kill" && !strings.Contains(errs, "its evidence cannot be written: run record emit: ") {
					t.Errorf("standard error:\n%s", errs)
				}
				// What is there is whole lines of a chain: open where it was cut off, complete where it went on.
				verify := b.command("verify", "-")
				verify.Stdin = record
				if r := b.run(verify); r.code != verdict {
					t.Errorf("verify ends with %d, want %d\n%s%s", r.code, verdict, r.out, r.err)
				}
			})
		}
	})
}
