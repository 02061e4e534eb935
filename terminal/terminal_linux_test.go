package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A pty is a terminal: what is typed is written to master, and user is what programs have.
type pty struct{ master, user *os.File }

func newPTY(t testing.TB) pty {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	must(t, err, unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	must(t, err)
	s, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	p := pty{os.NewFile(uintptr(m), "master"), os.NewFile(uintptr(s), "user")}
	t.Cleanup(func() { p.master.Close(); p.user.Close() })
	return p
}

func settings(t testing.TB, f *os.File) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	must(t, err)
	return *s
}

func size(t testing.TB, f *os.File) [2]uint16 {
	t.Helper()
	w, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	must(t, err)
	return [2]uint16{w.Row, w.Col}
}

func setSize(t testing.TB, f *os.File, rows, cols uint16) {
	t.Helper()
	must(t, unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}))
}

func isRaw(s unix.Termios) bool { return s.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) == 0 }

// expect reads from a file until it has seen a text.
func expect(t testing.TB, f *os.File, text string) string {
	t.Helper()
	must(t, f.SetReadDeadline(time.Now().Add(patience)))
	var got bytes.Buffer
	b := make([]byte, 512)
	for !strings.Contains(got.String(), text) {
		n, err := f.Read(b)
		got.Write(b[:n])
		if err != nil {
			t.Fatalf("waiting for %q: %q, %v", text, got.String(), err)
		}
	}
	return got.String()
}

// far is the master side of a pseudoterminal.
type far struct{ *os.File }

func (f far) Resize(rows, cols uint16) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if e := conn.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	}); e != nil {
		return e
	}
	return err
}

func join(t testing.TB, in, out *os.File, cell pty) *Joint {
	t.Helper()
	j, err := Join(in, out, far{cell.master})
	must(t, err)
	t.Cleanup(j.Close)
	return j
}

func TestJoin(t *testing.T) {
	caller, cell := newPTY(t), newPTY(t)
	setSize(t, caller.user, 33, 101)
	before := settings(t, caller.user)
	if isRaw(before) {
		t.Fatal("a fresh terminal is raw")
	}
	j := join(t, caller.user, caller.user, cell)
	if got := size(t, cell.user); got != [2]uint16{33, 101} {
		t.Errorf("the cell's terminal is %v", got)
	}
	if !isRaw(settings(t, caller.user)) {
		t.Error("the caller's terminal is not raw")
	}
	if isRaw(settings(t, cell.user)) {
		t.Error("the cell's terminal is raw")
	}
	// What is typed reaches the command, and the cell's terminal echoes it, once.
	caller.master.WriteString("hello\r")
	line := make([]byte, 100)
	n, err := cell.user.Read(line)
	if err != nil || string(line[:n]) != "hello\n" {
		t.Errorf("the command reads %q, %v", line[:n], err)
	}
	cell.user.WriteString("answer\n")
	if got := expect(t, caller.master, "answer\r\n"); got != "hello\r\nanswer\r\n" {
		t.Errorf("the screen shows %q", got)
	}
	setSize(t, caller.user, 10, 20)
	j.Resize()
	if got := size(t, cell.user); got != [2]uint16{10, 20} {
		t.Errorf("after resizing the cell's terminal is %v", got)
	}
	j.Close()
	if got := settings(t, caller.user); !reflect.DeepEqual(got, before) {
		t.Errorf("the caller's terminal is %+v, was %+v", got, before)
	}
	j.Close() // again
}

// TestWhatTheCommandSetsStaysInside: its terminal is another device.
func TestWhatTheCommandSetsStaysInside(t *testing.T) {
	caller, cell := newPTY(t), newPTY(t)
	before := settings(t, caller.user)
	j := join(t, caller.user, caller.user, cell)
	s := settings(t, cell.user)
	s.Lflag, s.Iflag, s.Cc[unix.VINTR] = 0, 0, 7
	must(t, unix.IoctlSetTermios(int(cell.user.Fd()), unix.TCSETS, &s))
	setSize(t, cell.user, 1, 1)
	j.Close()
	if got := settings(t, caller.user); !reflect.DeepEqual(got, before) {
		t.Errorf("the caller's terminal is %+v, was %+v", got, before)
	}
	if got := size(t, caller.user); got == [2]uint16{1, 1} {
		t.Error("the command resized the caller's terminal")
	}
}

func TestSuspend(t *testing.T) {
	caller, cell := newPTY(t), newPTY(t)
	before := settings(t, caller.user)
	j := join(t, caller.user, caller.user, cell)
	resume := j.Suspend()
	if got := settings(t, caller.user); !reflect.DeepEqual(got, before) {
		t.Errorf("suspended, the caller's terminal is %+v, was %+v", got, before)
	}
	setSize(t, caller.user, 5, 6) // the window changed meanwhile
	resume()
	if !isRaw(settings(t, caller.user)) {
		t.Error("resumed, the caller's terminal is not raw")
	}
	if got := size(t, cell.user); got != [2]uint16{5, 6} {
		t.Errorf("resumed, the cell's terminal is %v", got)
	}
	j.Close()
	if got := settings(t, caller.user); !reflect.DeepEqual(got, before) {
		t.Errorf("closed, the caller's terminal is %+v", got)
	}
}

// TestDrain: everything that was written before the cell ended arrives.
func TestDrain(t *testing.T) {
	cell := newPTY(t)
	in, err := os.Open(os.DevNull)
	must(t, err)
	defer in.Close()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	s := settings(t, cell.user)
	s.Oflag, s.Lflag = 0, 0
	must(t, unix.IoctlSetTermios(int(cell.user.Fd()), unix.TCSETS, &s))
	j := join(t, in, w, cell)
	got := make(chan []byte, 1)
	go func() { b, _ := io.ReadAll(r); got <- b }()
	text := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	if _, err := cell.user.Write(text); err != nil {
		t.Fatal(err)
	}
	cell.user.Close()
	must(t, j.Drain())
	w.Close()
	if b := <-got; !bytes.Equal(b, text) {
		t.Errorf("%d bytes of %d arrived", len(b), len(text))
	}
}

// TestInputThatIsNoTerminal: its end is the end of file for the command, whether or not its last line is finished.
func TestInputThatIsNoTerminal(t *testing.T) {
	for _, text := range []string{"", "a line\n", "a line\nand a half", "unfinished"} {
		cell := newPTY(t)
		r, w, err := os.Pipe()
		must(t, err)
		out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		must(t, err)
		join(t, r, out, cell)
		w.WriteString(text)
		w.Close()
		got := make(chan string, 1)
		go func() {
			var b bytes.Buffer
			p := make([]byte, 100)
			for { // as read(2) tells: 0 is the end of file
				n, err := syscall.Read(int(cell.user.Fd()), p)
				if n <= 0 || err != nil {
					break
				}
				b.Write(p[:n])
			}
			got <- b.String()
		}()
		select {
		case g := <-got:
			if g != text {
				t.Errorf("the command reads %q of %q", g, text)
			}
		case <-time.After(patience):
			t.Errorf("after %q the command still waits", text)
			cell.master.WriteString("\x04\x04")
			<-got
		}
		r.Close()
		out.Close()
	}
}

// TestReaderGoesAway: the command is not stopped by a full terminal; the supervisor is told.
func TestReaderGoesAway(t *testing.T) {
	cell := newPTY(t)
	in, err := os.Open(os.DevNull)
	must(t, err)
	defer in.Close()
	r, w, err := os.Pipe()
	must(t, err)
	j := join(t, in, w, cell)
	r.Close()
	written := make(chan error, 1)
	go func() {
		_, err := cell.user.Write(bytes.Repeat([]byte("x"), 1<<20))
		cell.user.Close()
		written <- err
	}()
	select {
	case err := <-written:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("the command is stopped by its full terminal")
	}
	select {
	case <-j.Lost():
	case <-time.After(patience):
		t.Error("nobody is told that the reader went away")
	}
	if err := j.Drain(); err != nil {
		t.Errorf("a reader that went away is an error: %v", err)
	}
	w.Close()
}

func TestFullDisk(t *testing.T) {
	cell := newPTY(t)
	in, err := os.Open(os.DevNull)
	must(t, err)
	defer in.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	j := join(t, in, full, cell)
	cell.user.WriteString("x")
	cell.user.Close()
	if err := j.Drain(); !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "passing on the command's output: ") {
		t.Errorf("a full disk: %v", err)
	}
}
