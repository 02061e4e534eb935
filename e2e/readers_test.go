package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withPipes starts cellos with pipes on standard input and output.
func (b *bench) withPipes(args ...string) (cmd *exec.Cmd, in io.WriteCloser, out io.ReadCloser) {
	b.t.Helper()
	cmd = b.command(args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	return cmd, in, out
}

// What the command wrote is there before it goes on, in both directions and with and without a limit on the way.
func TestNothingIsBuffered(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, flags := range [][]string{nil, {"--output", "1MiB"}} {
			b := newBench(t, u)
			cmd, in, out := b.withPipes(append(append([]string{"run", "--quiet"}, flags...), "--", "sh", "-c", `while read x; do printf 'got %s' "$x"; done`)...)
			buf := make([]byte, 100)
			for _, word := range []string{"one", "two", "three"} {
				io.WriteString(in, word+"\n")
				want := "got " + word
				if _, err := io.ReadFull(out, buf[:len(want)]); err != nil || string(buf[:len(want)]) != want {
					t.Fatalf("%v: got %q, %v; want %q", flags, buf[:len(want)], err, want)
				}
			}
			in.Close()
			if code := exitCode(cmd.Wait()); code != 0 {
				t.Errorf("%v: exit status %d", flags, code)
			}
		}
	})
}

// A reader that reads no more, but does not go away either, keeps a cell that has to end from ending only for a moment.
func TestAReaderThatDoesNotRead(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, c := range []struct {
			name  string
			flags []string
			sig   syscall.Signal
			code  int
		}{
			{"signal", nil, syscall.SIGTERM, 128 + 15},
			{"signal with a relay", []string{"--output", "1GiB"}, syscall.SIGINT, 128 + 2},
			{"signal with a terminal", []string{"--tty"}, syscall.SIGTERM, 128 + 15},
			{"time limit", []string{"--time", "500ms"}, 0, 124},
			{"time limit with a relay", []string{"--time", "500ms", "--output", "1GiB"}, 0, 124},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := newBench(t, u)
				cmd, _, out := b.withPipes(append(append([]string{"run", "--quiet"}, c.flags...), "--", "yes")...)
				if _, err := out.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				if c.sig != 0 {
					cmd.Process.Signal(c.sig)
				}
				ended := make(chan struct{})
				var state *os.ProcessState
				go func() { state, _ = cmd.Process.Wait(); close(ended) }() // not cmd.Wait, which closes the pipe
				select {
				case <-ended:
				case <-time.After(50 * time.Second):
					cmd.Process.Kill()
					<-ended
					t.Fatal("it waited for the reader")
				}
				if state.ExitCode() != c.code {
					t.Errorf("exit status %d, want %d", state.ExitCode(), c.code)
				}
				if out := b.cellos("show", "last").ok(t); !strings.Contains(out, "nothing missing or changed") {
					t.Errorf("the record says\n%s", out)
				}
			})
		}
	})
}

// A slow reader gets everything, however long the command has ended before.
func TestASlowReaderGetsEverything(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		cmd, _, out := b.withPipes("run", "--quiet", "--output", "1MiB", "--", "sh", "-c", "head -c 200000 /dev/zero")
		r := bufio.NewReaderSize(out, 16)
		if _, err := r.Peek(1); err != nil {
			t.Fatal(err)
		}
		until(t, "the pipe is full", func() bool { return b.queued(out) >= 65536-4096 })
		n, err := io.Copy(io.Discard, r)
		if code := exitCode(cmd.Wait()); n != 200000 || err != nil || code != 0 {
			t.Errorf("%d bytes, %v, exit status %d", n, err, code)
		}
	})
}

// queued is how many bytes wait in a pipe.
func (b *bench) queued(r io.Reader) (n int) {
	conn, err := r.(*os.File).SyscallConn()
	if err != nil {
		b.t.Fatal(err)
	}
	conn.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// A socket as a stream, as inetd gives, and input that the next command of a script needs.
func TestSocketsAndSharedInput(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
		defer ours.Close()
		cmd := b.command("run", "--quiet", "--", "tr", "a-z", "A-Z")
		cmd.Stdin, cmd.Stdout = theirs, theirs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		io.WriteString(ours, "over a socket\n")
		if err := syscall.Shutdown(fds[0], syscall.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(ours)
		if code := exitCode(cmd.Wait()); code != 0 || string(got) != "OVER A SOCKET\n" {
			t.Errorf("exit status %d, %q, %v", code, got, err)
		}
		loop := b.run(b.after(`printf 'a\nb\nc\n' | while read x; do "$@"; echo $x; done`, "run", "--quiet", "--", "true"))
		if loop.out != "a\nb\nc\n" {
			t.Errorf("the loop saw %q, %s", loop.out, loop.err)
		}
		silent := b.run(b.after(`"$@" >/dev/null; echo $?`, "run", "--quiet", "--", "sh", "-c", "echo lost; exit 3"))
		if silent.out != "3\n" {
			t.Errorf("to /dev/null: %q, %s", silent.out, silent.err)
		}
	})
}

// A reader that goes away ends a command on a terminal as one on a pipe, and a full disk is told.
func TestATerminalWithoutAReader(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		for _, script := range []string{"yes", "trap '' HUP; yes", "echo y; sleep 1000"} {
			cmd, _, out := b.withPipes("run", "--quiet", "--tty", "--", "sh", "-c", script)
			if line, err := bufio.NewReaderSize(out, 16).ReadString('\n'); line != "y\r\n" || err != nil {
				t.Fatalf("got %q, %v", line, err)
			}
			out.Close()
			if strings.Contains(script, "sleep") {
				// It writes nothing more, so that it cannot notice; the person ends it.
				cmd.Process.Signal(syscall.SIGTERM)
			}
			want := map[bool]int{false: 128 + 13, true: 128 + 15}[strings.Contains(script, "sleep")]
			if code := exitCode(cmd.Wait()); code != want {
				t.Errorf("%s: exit status %d, want %d", script, code, want)
			}
		}
		r := b.run(b.after(`exec "$@" >/dev/full`, "run", "--quiet", "--tty", "--", "sh", "-c", "echo lost; exit 4"))
		if r.code == 0 || !strings.Contains(r.err, "no space left on device") {
			t.Errorf("a full disk: exit status %d, %s", r.code, r.err)
		}
	})
}

// A signal ends a run at whatever instant it comes: before it is listened to as any program, later as the cell's end.
func TestSignalsAtAnyInstant(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		random := rand.New(rand.NewPCG(3, uint64(u.uid)))
		marker := fmt.Sprintf("early-%d-%d", os.Getpid(), u.uid)
		for range 40 {
			cmd := b.command("run", "--quiet", "--", "sh", "-c", "sleep 1000; : "+marker)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			after := time.Duration(random.IntN(12000)) * time.Microsecond
			<-time.After(after)
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
			s := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !(s.Signaled() && s.Signal() == syscall.SIGTERM) && s.ExitStatus() != 128+15 {
				t.Errorf("a signal after %v: %v", after, cmd.ProcessState)
			}
			gone(t, marker)
		}
		for _, r := range runsOf(t, b) {
			if r.Status == "running" || r.Outcome == "succeeded" {
				t.Errorf("a record says %s, %s", r.Status, r.Outcome)
			}
		}
	})
}
