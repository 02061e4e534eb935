package cellinit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/sysabi"
)

// patience bounds every wait; nothing here takes more than milliseconds on an idle machine.
const patience = 30 * time.Second

// A running is the real program, started as a child of the test with the conversation as its descriptor 3.
type running struct {
	t      *testing.T
	conn   *Conn
	cmd    *exec.Cmd
	stdout *os.File // read end
	done   chan struct{}
}

type options struct {
	arch string   // default: native
	argv []string // of the command; default: sh
	pid1 bool     // in a user and pid namespace of its own

	files []*os.File // its descriptors from 4 on
}

// run starts the program.
func run(t *testing.T, o options) *running {
	t.Helper()
	if o.arch == "" {
		o.arch = runtime.GOARCH
	}
	program, err := Binary(o.arch)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := sysabi.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	if err := sysabi.PassCredentials(ours); err != nil {
		t.Fatal(err)
	}
	conn, err := NewConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	control := os.NewFile(uintptr(theirs), "theirs")
	c := exec.Command(path)
	if o.arch != runtime.GOARCH {
		c = exec.Command(emulator(t, o.arch), "-0", "sh", path)
	}
	if o.argv != nil {
		c.Args = append(c.Args[:len(c.Args):len(c.Args)], o.argv[1:]...)
		if o.arch == runtime.GOARCH {
			c.Args[0] = o.argv[0]
		}
	}
	c.Env = []string{"CELL=yes"}
	c.Stdout, c.ExtraFiles = w, append([]*os.File{control}, o.files...)
	if o.pid1 {
		c.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getgid(), Size: 1}},
		}
	}
	err = c.Start()
	w.Close()
	control.Close()
	if err != nil && o.pid1 && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC)) {
		t.Skipf("no user namespaces here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &running{t: t, conn: conn, cmd: c, stdout: r, done: make(chan struct{})}
	go func() {
		c.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		conn.Close() // ends the program
		p.exit()
		r.Close()
	})
	return p
}

func emulator(t *testing.T, arch string) string {
	t.Helper()
	name := map[string]string{"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}[arch]
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// exit waits for the end of the program and returns its exit status.
func (p *running) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.cmd.Process.Kill()
		p.t.Fatal("the program does not end")
	}
	return -1
}

func (p *running) send(m Message) {
	p.t.Helper()
	if err := p.conn.Send(m); err != nil {
		p.t.Fatalf("sending %T: %v", m, err)
	}
}

// receive waits for a message of type M.
func receive[M Message](p *running) M {
	p.t.Helper()
	m, err := p.conn.Receive()
	want, ok := m.(M)
	if err != nil || !ok {
		p.t.Fatalf("received %#v, %v instead of %T", m, err, want)
	}
	return want
}

// start boots and releases, and returns the answer to the release.
func (p *running) start(b Boot) Message {
	p.t.Helper()
	if b.Candidates == nil {
		b.Candidates = []string{"/bin/sh"}
	}
	p.send(b)
	receive[Ready](p)
	p.send(Release{})
	m, err := p.conn.Receive()
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// shell runs a shell script as the command.
func shell(t *testing.T, o options, script string) *running {
	t.Helper()
	o.argv = []string{"sh", "-c", script}
	p := run(t, o)
	if m, ok := p.start(Boot{}).(Running); !ok || m.PID < 2 {
		t.Fatalf("the answer to the release is %#v", m)
	}
	return p
}

// output reads the command's output to its end.
func (p *running) output() string {
	p.t.Helper()
	p.stdout.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(p.stdout)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// line reads one line of the command's output.
func (p *running) line() string {
	p.t.Helper()
	p.stdout.SetReadDeadline(time.Now().Add(patience))
	var b bytes.Buffer
	for !strings.HasSuffix(b.String(), "\n") {
		var c [1]byte
		if _, err := p.stdout.Read(c[:]); err != nil {
			p.t.Fatalf("reading a line after %q: %v", b.String(), err)
		}
		b.WriteByte(c[0])
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// children returns the numbers of the program's children.
func (p *running) children() string {
	p.t.Helper()
	pid := p.cmd.Process.Pid
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
