package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// terminalDriver runs its arguments on a terminal of 40 rows and 100 columns, types what the environment variable KEYS says when "ready" was
// printed, makes the terminal 20 by 50, and prints everything that came, the exit status, and whether the terminal's modes are as before.
const terminalDriver = `
import fcntl, os, pty, struct, sys, termios, time, select
master, slave = pty.openpty()
size = lambda r, c: fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", r, c, 0, 0))
size(40, 100)
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid(); fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for i in range(3): os.dup2(slave, i)
    os.closerange(3, 64)
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""; typed = False; deadline = time.monotonic() + 60; status = None
while time.monotonic() < deadline:
    if select.select([master], [], [], 0.05)[0]:
        seen += os.read(master, 65536)
        if b"ready" in seen and not typed:
            typed = True; size(20, 50); os.write(master, os.environ["KEYS"].encode())
        continue
    if status is not None: break
    done, s = os.waitpid(pid, os.WNOHANG)
    if done: status = os.waitstatus_to_exitcode(s)
if status is None: os.kill(pid, 9)
sys.stdout.write(seen.decode(errors="replace").replace("\r", "") + "\nstatus %s, modes %s\n" % (status, "kept" if termios.tcgetattr(slave) == before else "changed"))
`

// onTerminal runs cellos on a terminal.
func (b *bench) onTerminal(keys string, args ...string) string {
	b.t.Helper()
	cmd := b.command()
	cmd.Path, cmd.Args = "/usr/bin/python3", append([]string{"python3", "-c", terminalDriver, binary}, args...)
	cmd.Env = append(cmd.Env, "KEYS="+keys, "TERM=xterm")
	return b.run(cmd).out
}

func TestKeysOnATerminal(t *testing.T) {
	needs(t, "python3")
	each(t, func(t *testing.T, u user) {
		for _, c := range []struct {
			name, keys, script string
			flags              []string
			want               []string
		}{
			{"a line", "typed\r", "echo ready; read x; echo got $x; exit 4", []string{"--tty"}, []string{"got typed", "status 4, modes kept"}},
			{"interrupt", "\x03", "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done", []string{"--tty"}, []string{"caught", "status 5, modes kept"}},
			{"quit", "\x1c", "trap 'echo caught; exit 6' QUIT; echo ready; while :; do sleep 0.05; done", []string{"--tty"}, []string{"caught", "status 6, modes kept"}},
			{"end of file", "\x04", "echo ready; cat; echo end", []string{"--tty"}, []string{"end", "status 0, modes kept"}},
			{"size", "", "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done", []string{"--tty"}, []string{"40 100", "20 50", "status 0, modes kept"}},
			{"its own modes", "x", "stty -echo -icanon min 1; echo ready; head -c 1 >/dev/null; stty raw", []string{"--tty"}, []string{"status 0, modes kept"}},
			{"killed", "", "echo ready; kill -KILL $$", []string{"--tty"}, []string{"status 137, modes kept"}},
			{"TERM and job control", "", "echo $TERM; set -m; sleep 0.01 & wait; tty; echo ready", []string{"--tty"}, []string{"xterm", "/dev/pts/0", "status 0, modes kept"}},
			{"no terminal", "", "for i in 0 1 2; do test -t $i && echo terminal $i; done; tty; (: < /dev/tty) 2>&1; echo ready", nil, []string{"not a tty", "status 0, modes kept"}},
			{"interrupt without a terminal", "\x03", "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done", nil, []string{"caught", "status 130, modes kept"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := newBench(t, u)
				out := b.onTerminal(c.keys, append(append([]string{"run"}, c.flags...), "--", "sh", "-c", c.script)...)
				for _, want := range c.want {
					if !strings.Contains(out, want) {
						t.Errorf("no %q in\n%s", want, out)
					}
				}
				if len(c.flags) == 0 && strings.Contains(out, "terminal ") {
					t.Errorf("a terminal without --tty:\n%s", out)
				}
			})
		}
	})
}

// TestATerminalIsNotTheCallers: the device inside is another one, and input can not be put into the caller's.
func TestATerminalIsNotTheCallers(t *testing.T) {
	needs(t, "python3")
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		script := `echo ready; /usr/bin/python3 -c '
import fcntl, termios
try:
    fcntl.ioctl(0, termios.TIOCSTI, b"i")
    print("put in")
except OSError as e: print("refused", e.errno)'; ls -1 /dev/pts`
		out := b.onTerminal("", "run", "--tty", "--", "sh", "-c", script)
		if !strings.Contains(out, "refused") || strings.Contains(out, "put in") || !strings.Contains(out, "0\nptmx\n") {
			t.Errorf("output\n%s", out)
		}
		if _, err := os.Stat(filepath.Join(b.state, "runs")); err != nil {
			t.Errorf("no record: %v", err)
		}
	})
}
