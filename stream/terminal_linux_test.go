package stream

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ptyPair makes a terminal: what is written to user comes out of screen.
func ptyPair(t testing.TB) (screen, user *os.File) {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	must(t, err, unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	must(t, err)
	s, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	screen, user = os.NewFile(uintptr(m), "screen"), os.NewFile(uintptr(s), "user")
	t.Cleanup(func() { screen.Close(); user.Close() })
	return screen, user
}

// TestTerminalsAreCarried: the cell gets pipes, and what goes through them goes to and from the terminal.
func TestTerminalsAreCarried(t *testing.T) {
	screen, user := ptyPair(t)
	if !Terminal(user) || Terminal(file(t)) {
		t.Fatal("which one is the terminal?")
	}
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	if Terminal(null) {
		t.Error("/dev/null is no terminal")
	}
	tio, err := unix.IoctlGetTermios(int(user.Fd()), unix.TCGETS)
	must(t, err)
	tio.Lflag &^= unix.ECHO
	tio.Oflag &^= unix.OPOST
	must(t, unix.IoctlSetTermios(int(user.Fd()), unix.TCSETS, tio))
	r, err := Connect(Ends{user, user, user}, Options{})
	must(t, err)
	if Terminal(r.Cell.In) || Terminal(r.Cell.Out) || r.Cell.In == user || r.Cell.Out != r.Cell.Err {
		t.Error("the cell gets the caller's terminal, or two pipes")
	}
	e := cell(t, r)
	if _, err := screen.WriteString("typed\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := e.In.Read(b)
	if err != nil || string(b[:n]) != "typed\n" {
		t.Errorf("the cell reads %q, %v", b[:n], err)
	}
	e.Out.WriteString("one ")
	e.Err.WriteString("two")
	e.close()
	must(t, r.Finish())
	screen.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(screen, b[:7]); err != nil || string(b[:7]) != "one two" {
		t.Errorf("the screen shows %q, %v", b[:7], err)
	}
}

// A shout writes in capitals, and an end when it is closed.
type shout struct{ to io.Writer }

func (s shout) Write(b []byte) (int, error) { return s.to.Write(bytes.ToUpper(b)) }

func (s shout) Close() error { _, err := io.WriteString(s.to, "."); return err }

// TestThrough: each output goes through what was asked for, which is closed at the end; the limit is on what the command wrote.
func TestThrough(t *testing.T) {
	through := func(to io.Writer) io.WriteCloser { return shout{to} }
	for _, c := range []struct {
		limit     int64
		out, errs string
	}{{0, "ONE.", "TWO."}, {1 << 20, "ONE.", "TWO."}, {2, "ON.", ""}} {
		out, errs := file(t), file(t)
		r, err := Connect(Ends{Out: out, Err: errs}, Options{Limit: c.limit, Through: through})
		must(t, err)
		e := cell(t, r)
		e.Out.WriteString("one")
		if c.errs != "" {
			e.Err.WriteString("two")
		}
		e.close()
		must(t, r.Finish())
		if o, x := string(content(t, out)), string(content(t, errs)); o != c.out || c.errs != "" && x != c.errs {
			t.Errorf("limit %d: %q and %q, want %q and %q", c.limit, o, x, c.out, c.errs)
		}
	}
}
