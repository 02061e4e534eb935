package e2e

import (
	"strings"
	"syscall"
	"testing"
)

const refusedCalls = `
import socket, ctypes, threading, os, signal, sys
def tries(f):
    try: f(); return "done"
    except OSError as e: return e.errno
libc = ctypes.CDLL(None, use_errno=True)
def call(f, *a):
    ctypes.set_errno(0); f(*a); return ctypes.get_errno()
print(tries(lambda: socket.socket(40, 1, 0)), tries(lambda: socket.socket(16, 3, 15)), tries(lambda: socket.socket(2, 3, 1)))
print([call(libc.ptrace, 0, 0, 0, 0) for i in range(5)], call(libc.unshare, 0x10000000), call(libc.syscall, 435, 0, 0))
n = []
ts = [threading.Thread(target=lambda: n.append(call(libc.keyctl if hasattr(libc, "keyctl") else libc.unshare, 0x10000000))) for i in range(4)]
for t in ts: t.start()
for t in ts: t.join()
print(len(n), os.path.exists("/tmp"))
`

// TestRefusalsAreReported: the same answers as without, and the record and the person learn which they were.
func TestRefusalsAreReported(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		needs(t, "python3")
		b := newBench(t, u)
		b.write("t.py", refusedCalls, 0o644)
		plain := b.cell(nil, "/usr/bin/python3", "t.py")
		r := b.cell([]string{"--report-refusals"}, "/usr/bin/python3", "t.py")
		if plain.out != r.out || r.code != 0 || !strings.HasPrefix(r.out, "97 93 93\n[1, 1, 1, 1, 1] 1 38\n") {
			t.Errorf("the answers differ:\n%s\n%s\n%s", plain.out, r.out, r.err)
		}
		for _, want := range []string{
			"cellos: note: refused: socket(40, 0x80001, 0): answered with EAFNOSUPPORT, by the profile hardened; nothing allows it",
			"socket(16, 0x80003, 15): answered with EPROTONOSUPPORT",
			"cellos: note: refused: ptrace, 5 times: answered with EPERM, by the profile hardened; --seccomp hardened+debug allows it",
			"refused: unshare",
		} {
			if !strings.Contains(r.err, want) {
				t.Errorf("standard error does not say %q:\n%s", want, r.err)
			}
		}
		if strings.Contains(plain.err, "refused") {
			t.Errorf("without being asked: %s", plain.err)
		}
		events := b.cellos("show", "--events", "last").ok(t)
		for _, want := range []string{`{"count":5,"grant":"--seccomp hardened+debug","name":"ptrace","what":"syscall"}`, `"name":"socket(40, 0x80001, 0)"`} {
			if !strings.Contains(events, want) {
				t.Errorf("the record does not have %s", want)
			}
		}
		b.cellos("verify", "last").ok(t)
		// What its advice says, works.
		if out := b.cell([]string{"--seccomp", "hardened+debug"}, "/usr/bin/python3", "t.py").ok(t); !strings.Contains(out, "[0, ") {
			t.Errorf("hardened+debug: %q", out)
		}
	})
}

func TestRefusalsUnderFilters(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		needs(t, "python3")
		b := newBench(t, u)
		// A call that ends the process still does, and is named; also when the process would rather not hear of it.
		b.write("k.py", "import ctypes\nctypes.CDLL(None).mount(None, None, None, 0, None)\nprint('alive')\n", 0o644)
		r := b.cell([]string{"--seccomp", "strict", "--report-refusals"}, "/usr/bin/python3", "k.py")
		r.fails(t, 128+int(syscall.SIGSYS), "refused: mount: the process was ended, by the profile strict")
		b.write("i.py", "import ctypes, signal\nsignal.signal(signal.SIGSYS, signal.SIG_IGN)\nctypes.CDLL(None).mount(None, None, None, 0, None)\nprint('alive')\n", 0o644)
		r = b.cell([]string{"--seccomp", "strict", "--report-refusals"}, "/usr/bin/python3", "i.py")
		r.fails(t, 128+int(syscall.SIGKILL), "refused: mount: the process was ended")
		if strings.Contains(r.out, "alive") {
			t.Error("the process lives on")
		}
		// execve works once, through the watching filter too.
		r = b.sh("echo a; exec /bin/echo b", "--seccomp", "strict", "--report-refusals")
		r.fails(t, 126, "refused: execve")
		if r.out != "a\n" {
			t.Errorf("output %q", r.out)
		}
		b.sh("(true)", "--seccomp", "strict", "--report-refusals").fails(t, 2, "by the profile strict; --seccomp hardened+net-none allows it")
		// A document's filter, and the operator's.
		b.write("own.yaml", ownPolicy, 0o644)
		b.write("mkdir.bpf", string(denies(t, "mkdir")), 0o600)
		c := b.command("run", "--seccomp", "own.yaml", "--report-refusals", "--workdir", ".:write", "--", "sh", "-c", "uname; mkdir x; touch y; chmod 4755 y; true")
		c.Env = append(c.Env, "CELLOS_SECCOMP_BPF_PATH=mkdir.bpf")
		r = b.run(c)
		r.fails(t, 0, "refused: uname: answered with EPERM, by the filter "+b.dir+"/own.yaml; a rule in "+b.dir+"/own.yaml allows it",
			"by the filter mkdir.bpf of CELLOS_SECCOMP_BPF_PATH; another filter than mkdir.bpf allows it", "by the filter set-id; nothing allows it")
		// Other verdicts cannot be given by somebody else.
		b.write("log.yaml", "default: log\n", 0o644)
		b.cell([]string{"--seccomp", "log.yaml", "--report-refusals"}, "true").fails(t, 125, "--report-refusals: ", "only allow, errno and kill_process can be watched")
	})
}

// TestRefusalsInNumbers: a command that is refused without end is counted, and does not fill the record.
func TestRefusalsInNumbers(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		needs(t, "python3")
		b := newBench(t, u)
		b.write("t.py", `
import ctypes
libc = ctypes.CDLL(None)
for i in range(3000): libc.socket(1000 + i, 0, 0)
for i in range(2000): libc.unshare(0x10000000)
print("done")
`, 0o644)
		r := b.cell([]string{"--report-refusals"}, "/usr/bin/python3", "t.py")
		if r.out != "done\n" || strings.Count(r.err, "\n") > 12 || !strings.Contains(r.err, "more calls: cellos show --events last") {
			t.Errorf("%q\n%s", r.out, r.err)
		}
		events := b.cellos("show", "--events", "last").ok(t)
		if n := strings.Count(events, `"what":"syscall"`); n != 257 || !strings.Contains(events, `"name":"further system calls"`) || len(events) > 100000 {
			t.Errorf("%d entries, %d bytes", n, len(events))
		}
	})
}
