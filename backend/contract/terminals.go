//go:build linux

package contract

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/cell"
)

func ownerOf(fi os.FileInfo) uint32 { return fi.Sys().(*syscall.Stat_t).Uid }

var terminals = []test{
	{"a terminal of its own", ownTerminal},
	{"a terminal has a name", terminalName},
	{"the size of the terminal", terminalSize},
	{"keys that send signals", terminalKeys},
	{"no terminal unless asked for", noTerminal},
}

const tty = `"terminal":true`

// onTerminal starts a script on a terminal of 30 rows and 90 columns.
func (s Subject) onTerminal(t testing.TB, script string) (cell.Cell, *screen) {
	t.Helper()
	_, p := s.planned(t, ask{argv: []string{"/bin/sh", "-c", script}, run: tty})
	c := s.built(t, p, cell.Streams{})
	measured(t, c)
	if c.Terminal() == nil {
		t.Fatal("no terminal")
	}
	must(t, c.Terminal().Resize(30, 90))
	must(t, c.Release(t.Context()))
	return c, &screen{t: t, f: c.Terminal()}
}

// A screen is what came out of a terminal.
type screen struct {
	t    testing.TB
	f    cell.Terminal
	seen string
}

// until reads until a text was seen.
func (s *screen) until(text string) {
	s.t.Helper()
	b := make([]byte, 4096)
	for !strings.Contains(s.seen, text) {
		n, err := s.f.Read(b)
		s.seen += string(b[:n])
		if err != nil {
			s.t.Fatalf("waiting for %q after %q: %v", text, s.seen, err)
		}
	}
}

func (s *screen) types(text string) {
	s.t.Helper()
	_, err := s.f.Write([]byte(text))
	must(s.t, err)
}

func ownTerminal(t *testing.T, s Subject) {
	c, screen := s.onTerminal(t, "for i in 0 1 2; do test -t $i || echo $i is none; done; echo x >/dev/tty; echo ready; read line; echo got $line; exit 4")
	screen.until("ready\r\n")
	screen.types("typed\n")
	screen.until("got typed\r\n")
	if o := waited(t, c); o.Code != 4 {
		t.Errorf("%+v", o)
	}
	clean(t, c)
	if got := screen.seen; got != "x\r\nready\r\ntyped\r\ngot typed\r\n" {
		t.Errorf("%q", got)
	}
}

func terminalName(t *testing.T, s Subject) {
	c, screen := s.onTerminal(t, "tty; echo end")
	screen.until("end")
	waited(t, c)
	clean(t, c)
	if screen.seen[:12] != "/dev/pts/0\r\n" {
		t.Errorf("%q", screen.seen)
	}
}

func terminalSize(t *testing.T, s Subject) {
	c, screen := s.onTerminal(t, "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done")
	screen.until("ready\r\n")
	must(t, c.Terminal().Resize(12, 34))
	screen.until("12 34\r\n")
	waited(t, c)
	clean(t, c)
	if !strings.HasPrefix(screen.seen, "30 90\r\n") {
		t.Errorf("%q", screen.seen)
	}
}

func terminalKeys(t *testing.T, s Subject) {
	for _, x := range few(s, struct{ key, trap string }{"\x03", "INT"}, struct{ key, trap string }{"\x1c", "QUIT"}) {
		// Without noflsh the kernel drops what is on its way to the screen, after it sent the signal (drivers/tty/n_tty.c:isig).
		c, screen := s.onTerminal(t, "stty noflsh; trap 'echo caught; exit 5' "+x.trap+"; echo ready; while :; do sleep 0.05; done")
		screen.until("ready\r\n")
		screen.types(x.key)
		screen.until("caught")
		if o := waited(t, c); o.Code != 5 {
			t.Errorf("%s: %+v", x.trap, o)
		}
		clean(t, c)
	}
	c, screen := s.onTerminal(t, "echo ready; cat; echo end")
	screen.until("ready\r\n")
	screen.types("line\n\x04")
	screen.until("end")
	if o := waited(t, c); o.Code != 0 {
		t.Errorf("end of file: %+v", o)
	}
	clean(t, c)
}

func noTerminal(t *testing.T, s Subject) {
	s.prints(t, sh("for i in 0 1 2; do test -t $i && echo $i is one; done; (: </dev/tty) 2>/dev/null && echo a terminal; echo end"), "end\n")
}
