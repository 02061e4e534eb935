package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// start runs a script in a cell and returns when its first line was printed.
func (b *bench) start(script string, flags ...string) (*exec.Cmd, *bufio.Reader) {
	b.t.Helper()
	cmd := b.command(append(append([]string{"run"}, flags...), "--", "sh", "-c", script)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
		b.t.Fatalf("the cell did not start: %q, %v", line, err)
	}
	return cmd, r
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return -1
}

func TestSignalsEndTheCellInOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		for _, c := range []struct {
			sig  syscall.Signal
			name string
		}{{syscall.SIGINT, "INT"}, {syscall.SIGTERM, "TERM"}, {syscall.SIGHUP, "HUP"}, {syscall.SIGQUIT, "QUIT"}} {
			b := newBench(t, u)
			cmd, r := b.start(fmt.Sprintf("trap 'echo got %s; exit 7' %s; echo ready; while :; do sleep 0.02; done", c.name, c.name))
			cmd.Process.Signal(c.sig)
			rest, _ := io.ReadAll(r)
			if code := exitCode(cmd.Wait()); code != 128+int(c.sig) || string(rest) != "got "+c.name+"\n" {
				t.Errorf("%s: exit status %d, output %q", c.name, code, rest)
			}
			if out := b.cellos("show", "last").ok(t); !strings.Contains(out, "nothing missing or changed") || !strings.Contains(out, "left over  nothing") {
				t.Errorf("%s: the record says\n%s", c.name, out)
			}
		}
	})
}

func TestACommandThatIgnoresSignalsIsKilled(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		cmd, r := b.start("trap '' TERM; echo ready; while :; do sleep 1; done", "--grace", "1s")
		cmd.Process.Signal(syscall.SIGTERM)
		go io.Copy(io.Discard, r)
		if code := exitCode(cmd.Wait()); code != 128+15 {
			t.Errorf("exit status %d", code)
		}
		second, r2 := b.start("trap '' TERM; echo ready; while :; do sleep 1; done", "--grace", "100s")
		go io.Copy(io.Discard, r2)
		second.Process.Signal(syscall.SIGTERM)
		second.Process.Signal(syscall.SIGINT)
		began := time.Now()
		if code := exitCode(second.Wait()); code != 128+15 && code != 128+2 || time.Since(began) > 50*time.Second {
			t.Errorf("exit status %d after %v", code, time.Since(began))
		}
	})
}

func TestTimeLimit(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		r := b.sh("trap 'echo late; exit 0' TERM; while :; do sleep 0.02; done", "--time", "200ms", "--grace", "20s")
		if r.code != 124 || r.out != "late\n" {
			t.Errorf("with grace: exit status %d, output %q\n%s", r.code, r.out, r.err)
		}
		b.sh("trap '' TERM; while :; do sleep 1; done", "--time", "200ms").fails(t, 124, "timed out after 200 ms")
	})
}

func TestStopAndContinue(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		in, hold, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer hold.Close()
		defer in.Close()
		cmd := b.command("run", "--", "sh", "-c", "echo ready; read x; echo went on")
		cmd.Stdin = in
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(out)
		if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatalf("%q, %v", line, err)
		}
		cmd.Process.Signal(syscall.SIGTSTP)
		state := func(want string) {
			deadline := time.Now().Add(20 * time.Second)
			for time.Now().Before(deadline) {
				s, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
				if f := strings.Fields(string(s[max(0, strings.LastIndexByte(string(s), ')')):])); len(f) > 1 && strings.Contains(want, f[1]) {
					return
				}
				time.Sleep(2 * time.Millisecond) // polling, bounded by the deadline
			}
			t.Fatalf("the supervisor is not in state %s", want)
		}
		state("T")
		cmd.Process.Signal(syscall.SIGCONT)
		hold.WriteString("go\n")
		rest, _ := io.ReadAll(r)
		if code := exitCode(cmd.Wait()); code != 0 || string(rest) != "went on\n" {
			t.Errorf("exit status %d, output %q", code, rest)
		}
	})
}

func TestAHundredCellsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		var wg sync.WaitGroup
		slots := make(chan struct{}, 25)
		for i := range 100 {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				if r := b.sh(fmt.Sprintf("echo %d > f; cat f; exit %d", i, i)); r.code != i || r.out != fmt.Sprintf("%d\n", i) {
					t.Errorf("cell %d: exit status %d, output %q, %s", i, r.code, r.out, r.err)
				}
			})
		}
		wg.Wait()
	})
}

func TestStreams(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		data := make([]byte, 16<<20)
		for i := range data {
			data[i] = byte(i * 7 >> 3)
		}
		in := b.write("in", string(data), 0o600)
		f, err := os.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c := b.command("run", "--", "cat")
		c.Stdin = f
		if r := b.run(c); r.code != 0 || r.out != string(data) {
			t.Errorf("cat: exit status %d, %d of %d bytes the same length", r.code, len(r.out), len(data))
		}
		// A command that does not read leaves the input to the next one.
		c = b.command()
		c.Path, c.Args = "/bin/sh", []string{"sh", "-c", `printf 'a\nb\n' | { "$0" run -- true; cat; }`, binary}
		if r := b.run(c); r.out != "a\nb\n" {
			t.Errorf("the input was taken: %q", r.out)
		}
		c = b.command()
		c.Path, c.Args = "/bin/bash", []string{"bash", "-c", `"$0" run -- yes | head -n 1; echo ${PIPESTATUS[0]}`, binary}
		if r := b.run(c); r.out != "y\n141\n" {
			t.Errorf("a reader that goes away: %q %s", r.out, r.err)
		}
		r := b.sh("yes | head -c 100000", "--output", "5000")
		if len(r.out) != 5000 || r.code == 0 || !strings.Contains(r.err, "5000 bytes") {
			t.Errorf("output limit: %d bytes, exit status %d, %s", len(r.out), r.code, r.err)
		}
		if u.uid != os.Getuid() {
			return // the test's pipes belong to another user, also for /dev/stdout
		}
		if r := b.sh("echo out; echo err >&2; echo out > /dev/stdout"); r.out != "out\nout\n" || r.err != "err\n" {
			t.Errorf("output %q, errors %q", r.out, r.err)
		}
	})
}

func TestTerminal(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		if _, err := exec.LookPath("script"); err != nil {
			t.Skip("util-linux's script is not installed")
		}
		tty := func(command string) string {
			c := b.command()
			c.Path, _ = exec.LookPath("script")
			c.Args = []string{"script", "-qec", command, "/dev/null"}
			return b.run(c).out
		}
		run := binary + " run "
		if out := tty("stty rows 33 cols 77; " + run + "--tty -- sh -c 'tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo three; stty raw'; stty -a"); !strings.Contains(out, "/dev/pts/0") ||
			!strings.Contains(out, "33 77") || !strings.Contains(out, "three") || !strings.Contains(out, " icanon") {
			t.Errorf("with --tty:\n%s", out)
		}
		if out := tty(run + "-- sh -c 'test -t 0 || test -t 1 || test -t 2 || echo none; cat /dev/tty'"); !strings.Contains(out, "none") || !strings.Contains(out, "No such device") {
			t.Errorf("without --tty:\n%s", out)
		}
	})
}
