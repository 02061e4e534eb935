package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLearn: the policy that is learnt from a command lets the command do the same, and not much more.
func TestLearn(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		for _, c := range []struct {
			name, needs, script string
			also                string // another script, which the policy refuses
			code                int
		}{
			{"builtins", "", "echo hello > /tmp/x; read l < /tmp/x; echo $l", "(true)", 2},
			{"a pipe", "", "printf '3\n1\n2\n' | sort | head -n 1", "mkfifo /tmp/f", 2},
			{"threads", "python3", `exec /usr/bin/python3 -c '
import threading, hashlib
n = []
t = [threading.Thread(target=lambda: n.append(hashlib.sha256(b"x").hexdigest()[:4])) for i in range(4)]
for x in t: x.start()
for x in t: x.join()
print(set(n))'`, `exec /usr/bin/python3 -c 'import socket; socket.socket()'`, 1},
			{"a local server", "python3", `exec /usr/bin/python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname()); a = s.accept()[0]; c.send(b"hello"); print(a.recv(9))'`,
				`exec /usr/bin/python3 -c 'import socket; socket.socket(16, 3, 0)'`, 1},
			{"sqlite3", "sqlite3", `sqlite3 /tmp/d.db 'create table t(x); insert into t values(1),(2); select sum(x) from t;'`, "ln -s a /tmp/l", 1},
			{"gcc", "gcc", "echo 'int main(void) { return 0; }' > /tmp/a.c; gcc -o /tmp/a /tmp/a.c && /tmp/a && echo built", "ln -s a /tmp/l", 1},
		} {
			t.Run(c.name, func(t *testing.T) {
				needs(t, strings.Fields(c.needs)...)
				b := newBench(t, u)
				plain := b.sh(c.script)
				r := b.seccomp("learn", "--", "sh", "-c", c.script)
				if r.code != 0 || !strings.Contains(r.err, plain.out) || !strings.Contains(r.out, "\nextends: strict\n") {
					t.Fatalf("learning: %d\n%s\n%s", r.code, r.out, r.err)
				}
				b.write("learnt.yaml", r.out, 0o644)
				if out := b.sh(c.script, "--seccomp", "learnt.yaml").ok(t); out != plain.out {
					t.Errorf("%q instead of %q", out, plain.out)
				}
				b.sh(c.also, "--seccomp", "learnt.yaml", "--report-refusals").fails(t, c.code, "refused: ", "a rule in "+filepath.Join(b.dir, "learnt.yaml")+" allows it")
				// On top of hardened it cannot be wider; by itself it is not either.
				if r := b.seccomp("diff", "hardened", "learnt.yaml"); !strings.HasPrefix(r.out, "The second is at least as strict as the first.\n") {
					t.Errorf("%s", r.out)
				}
			})
		}
		// What hardened refuses is not learnt, and what the program took for an answer it gets again.
		needs(t, "python3")
		b.write("t.py", "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nl.mount(None, None, None, 0, None)\nprint(ctypes.get_errno())\nl.umount2(None, 0)\nl.getppid()\n", 0o644)
		r := b.seccomp("learn", "--policy", "m.yaml", "--json", "--", "/usr/bin/python3", "t.py")
		v := parsed(t, r.out)
		b.cell([]string{"--seccomp", "m.yaml"}, "/usr/bin/python3", "t.py").ok(t)
		if v["status"] != 0.0 || !strings.Contains(v["policy"].(string), "[mount]\n    action: errno EPERM") || !strings.Contains(r.err, "refused: mount: answered with EPERM, by the profile hardened; nothing allows it") {
			t.Errorf("%v\n%s", v, r.err)
		}
		seen := map[string]string{}
		for _, c := range v["calls"].([]any) {
			c := c.(map[string]any)
			seen[c["call"].(string)] = c["verdict"].(string)
		}
		if seen["mount"] != "refused" || seen["getppid"] != "strict allows it" || seen["execve"] != "" || seen["exit_group"] == "" {
			t.Errorf("%v", seen)
		}
		// The command's status is learn's; what does not start teaches nothing.
		r = b.seccomp("learn", "-q", "--", "sh", "-c", "exit 7")
		if r.code != 7 || !strings.Contains(r.out, "extends: strict\n") {
			t.Errorf("%d, %s", r.code, r.out)
		}
		if r := b.seccomp("learn", "--", "sh", "-c", "kill -9 $$"); r.code != 128+int(syscall.SIGKILL) || !strings.Contains(r.out, "extends: strict\n") {
			t.Errorf("%d, %s", r.code, r.out)
		}
		if r := b.seccomp("learn", "--", "no-such-program"); r.code != 127 || r.out != "" {
			t.Errorf("%d, %s", r.code, r.out)
		}
		b.seccomp("learn", "--seccomp", "baseline", "--", "true").fails(t, 2, "what is learnt is what hardened lets pass, never more")
		b.seccomp("learn", "--seccomp", "strict", "--", "true").fails(t, 2, "what a narrower filter refuses cannot be learnt")
		b.seccomp("learn", "true").fails(t, 2, "the command goes behind --")
		b.seccomp("learn").fails(t, 2, "a command or a document is missing")
	})
}
