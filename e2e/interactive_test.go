package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A console is a terminal with a program on it: what a person has in front of them.
type console struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	cmd    *exec.Cmd

	mu   sync.Mutex
	cond *sync.Cond
	seen []byte
	from int // what expect has not passed yet
}

// onConsole starts a command on a new terminal of 24 by 80, as its session's leader, which is what a login shell is.
func (b *bench) onConsole(cmd *exec.Cmd) *console {
	b.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { master.Close() })
	var n int
	conn, err := master.SyscallConn()
	if err != nil {
		b.t.Fatal(err)
	}
	conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { slave.Close() })
	c := &console{t: b.t, master: master, slave: slave, cmd: cmd}
	c.cond = sync.NewCond(&c.mu)
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		b.t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = true, true, 0
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			c.mu.Lock()
			c.seen = append(c.seen, buf[:n]...)
			c.cond.Broadcast()
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

// expect waits until a text appeared behind what was expected before.
func (c *console) expect(text string) {
	c.t.Helper()
	late := false
	timer := time.AfterFunc(time.Minute, func() {
		c.mu.Lock()
		late = true
		c.cond.Broadcast()
		c.mu.Unlock()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if i := bytes.Index(c.seen[c.from:], []byte(text)); i >= 0 {
			c.from += i + len(text)
			return
		}
		if late {
			c.cmd.Process.Kill()
			c.t.Fatalf("no %q on the terminal, only\n%s", text, c.seen)
		}
		c.cond.Wait()
	}
}

func (c *console) keys(text string) {
	c.t.Helper()
	if _, err := c.master.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

// canonical reports whether the terminal collects lines, which a raw one does not.
func (c *console) canonical() bool {
	c.t.Helper()
	m, err := unix.IoctlGetTermios(int(c.slave.Fd()), unix.TCGETS)
	if err != nil {
		c.t.Fatal(err)
	}
	return m.Lflag&unix.ICANON != 0
}

// until polls for what no event tells, with a deadline.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// processState is the letter of proc_pid_stat(5), 0 for a process that is gone.
func processState(pid int) byte {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if i := bytes.LastIndexByte(text, ')'); i >= 0 && i+2 < len(text) {
		return text[i+2]
	}
	return 0
}

// A shell in a cell is as good as one outside: jobs stop, go on in front, and are interrupted.
func TestJobControlInACell(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		c := b.onConsole(b.command("run", "--quiet", "--tty", "--env", "PS1=prompt> ", "--", "bash", "--norc", "-i"))
		c.expect("prompt> ")
		if c.canonical() {
			t.Error("the caller's terminal is not raw")
		}
		c.keys("sh -c 'echo up; exec cat'\r")
		c.expect("\nup\r\n") // the shell has let go of the terminal, and what is typed now is the command's
		c.keys("echoed\r")
		c.expect("echoed\r\nechoed\r\n")
		c.keys("\x1a")
		c.expect("Stopped")
		c.expect("prompt> ")
		c.keys("jobs\r")
		c.expect("Stopped")
		c.expect("prompt> ")
		c.keys("fg\r")
		c.expect("cat'\r\n")
		c.keys("again\r")
		c.expect("again\r\nagain\r\n")
		c.keys("\x03")
		c.expect("prompt> ")
		c.keys("echo status $?\r")
		c.expect("status 130")
		c.keys("sleep 1000 & jobs -p | wc -l; exit 9\r")
		if code := exitCode(c.cmd.Wait()); code != 9 {
			t.Errorf("exit status %d", code)
		}
		if !c.canonical() {
			t.Error("the terminal stayed raw")
		}
	})
}

// The shell around cellos stops it and takes it up again; the cell stops and goes on with it.
func TestStoppingACellFromItsShell(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, flags := range [][]string{{"--tty"}, nil} {
			b := newBench(t, u)
			marker := fmt.Sprintf("stopping-%d-%d-%d", os.Getpid(), u.uid, len(flags))
			c := b.onConsole(b.command(append(append([]string{"run", "--quiet"}, flags...), "--", "sh", "-c", "trap 'echo poked' USR1; echo ready; while :; do sleep 0.05; done; : "+marker)...))
			c.expect("ready")
			c.cmd.Process.Signal(syscall.SIGTSTP)
			until(t, "the supervisor has stopped", func() bool { return processState(c.cmd.Process.Pid) == 'T' })
			if !c.canonical() {
				t.Error("a stopped cell leaves the terminal raw")
			}
			stopped := func() bool {
				// Looked up each time: a shell that is just starting a program waits in vfork(2), and its child is what stops.
				for _, p := range cellProcesses(marker, c.cmd.Process.Pid) {
					if processState(p) == 'T' {
						return true
					}
				}
				return false
			}
			until(t, "the command has stopped", stopped)
			c.cmd.Process.Signal(syscall.SIGCONT)
			until(t, "the command goes on", func() bool { return !stopped() })
			c.cmd.Process.Signal(syscall.SIGUSR1)
			c.expect("poked")
			if len(flags) > 0 && c.canonical() {
				t.Error("the terminal is not raw again")
			}
			c.cmd.Process.Signal(syscall.SIGTERM)
			if code := exitCode(c.cmd.Wait()); code != 128+15 {
				t.Errorf("exit status %d", code)
			}
			if !c.canonical() {
				t.Error("the terminal stayed raw")
			}
			gone(t, marker)
		}
	})
}

// cellProcesses are the processes with a marker among their arguments, but for the supervisor.
func cellProcesses(marker string, supervisor int) (pids []int) {
	for _, line := range alive(marker) {
		var pid int
		if _, err := fmt.Sscanf(line, "/proc/%d/", &pid); err == nil && pid != supervisor {
			pids = append(pids, pid)
		}
	}
	return pids
}

// With a terminal inside and a file as input, the end of the file is the end of the input, wherever its last line ends.
func TestTheEndOfInputReachesATerminal(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, input := range []string{"", "line\n", "unfinished", "line\nunfinished"} {
			b := newBench(t, u)
			cmd := b.command("run", "--quiet", "--tty", "--time", "60s", "--", "sh", "-c", "cat > /tmp/got; cat /tmp/got | od -An -c")
			cmd.Stdin = strings.NewReader(input)
			want := b.outsideOD(input)
			out := b.run(cmd).ok(t)
			if !strings.HasSuffix(strings.ReplaceAll(out, "\r", ""), want) {
				t.Errorf("%q came as %q, want %q", input, out, want)
			}
		}
	})
}

func (b *bench) outsideOD(input string) string {
	b.t.Helper()
	cmd := exec.Command("od", "-An", "-c")
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatal(err)
	}
	return string(out)
}
