package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A started is a run whose command has said "up" and makes events from the line on that it reads: it asks for names that it was not granted.
type started struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said chan string // lines of standard error

	mu  sync.Mutex
	all strings.Builder
}

func (b *bench) upAndAsking(cmd *exec.Cmd) *started {
	b.t.Helper()
	s := &started{t: b.t, cmd: cmd, said: make(chan string, 1000)}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	errs, w, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	w.Close()
	go func() {
		defer errs.Close()
		defer close(s.said)
		for r := bufio.NewScanner(errs); r.Scan(); {
			s.mu.Lock()
			s.all.WriteString(r.Text() + "\n")
			s.mu.Unlock()
			s.said <- r.Text()
		}
	}()
	s.in, s.out = in, bufio.NewReader(out)
	s.prints("up")
	return s
}

func (s *started) prints(want string) {
	s.t.Helper()
	if line, err := s.out.ReadString('\n'); line != want+"\n" {
		s.t.Fatalf("the command printed %q, %v; want %q\n%s", line, err, want, s.errors())
	}
}

func (s *started) errors() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// says waits until standard error has a line with text.
func (s *started) says(text string) {
	s.t.Helper()
	for {
		select {
		case line, open := <-s.said:
			if strings.Contains(line, text) {
				return
			}
			if !open {
				s.t.Fatalf("nobody said %q:\n%s", text, s.errors())
			}
		case <-time.After(time.Minute):
			s.t.Fatalf("nobody says %q:\n%s", text, s.errors())
		}
	}
}

// ends waits for the end, demands its exit status, and returns standard output and error.
func (s *started) ends(code int) (out, errs string) {
	s.t.Helper()
	rest, _ := io.ReadAll(s.out)
	for range s.said {
	}
	s.cmd.Wait()
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit status %d, want %d\n%s%s", got, code, rest, s.errors())
	}
	return string(rest), s.errors()
}

// stopped waits until the command, and not only one of its children, is stopped.
func (s *started) stopped() {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var states []string
		for _, pid := range below(s.cmd.Process.Pid) {
			if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
				// pid (comm) state …: comm may have anything in it.
				_, rest, _ := strings.Cut(string(text), "(sh) ")
				states = append(states, strings.SplitN(rest, " ", 2)[0])
			}
		}
		if slices.Contains(states, "T") {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the command is not stopped: %q\n%s", states, s.errors())
		}
	}
}

// below returns the descendants of a process.
func below(pid int) (list []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, p := range tasks {
		text, _ := os.ReadFile(p)
		for f := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(f); err == nil {
				list = append(append(list, n), below(n)...)
			}
		}
	}
	return list
}

// begun starts a command whose input and output are the test's. What it says on standard error is to be read when it has ended.
func begun(t *testing.T, cmd *exec.Cmd) (in io.WriteCloser, out io.Reader, said *strings.Builder) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	said = &strings.Builder{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return in, out, said
}
