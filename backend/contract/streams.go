//go:build linux

package contract

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"cellos.io/cellos/cell"
)

var streams = []test{
	{"streams are exact both ways", exactStreams},
	{"standard error is a stream of its own", separateError},
	{"a file as input and as output", fileStreams},
	{"streams that nobody gave are empty", emptyStreams},
	{"a reader that goes away ends the writer", brokenPipe},
	{"end of input is seen", endOfInput},
}

// exactStreams sends bytes of every value through a cell, more than any pipe holds, in odd pieces.
func exactStreams(t *testing.T, s Subject) {
	data := make([]byte, 3<<20+17)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(data)
	_, p := s.planned(t, ask{argv: []string{"/bin/cat"}})
	in, out := pipe(t), pipe(t)
	c := s.started(t, p, cell.Streams{In: in.r, Out: out.w})
	in.r.Close()
	out.w.Close()
	go func() {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 40961)
			if _, err := in.w.Write(rest[:n]); err != nil {
				break
			}
			rest = rest[n:]
		}
		in.w.Close()
	}()
	got := make([]byte, len(data))
	_, err := io.ReadFull(out.r, got)
	must(t, err)
	if o := waited(t, c); o.Code != 0 {
		t.Errorf("%+v", o)
	}
	clean(t, c)
	rest, err := io.ReadAll(out.r) // the end comes with that of the cell at the latest
	if err != nil || len(rest) != 0 || !bytes.Equal(got, data) {
		t.Errorf("other bytes came back, or %d more (%v)", len(rest), err)
	}
}

func separateError(t *testing.T, s Subject) {
	_, p := s.planned(t, sh("echo out; echo error >&2; echo out"))
	o, out := output(t)
	e, err := output(t)
	c := s.started(t, p, cell.Streams{Out: o, Err: e})
	waited(t, c)
	clean(t, c)
	if a, b := out(), err(); a != "out\nout\n" || b != "error\n" {
		t.Errorf("output %q, error %q", a, b)
	}
}

// fileStreams: a command may seek in an input that is a file, and appends where the caller asked for it.
func fileStreams(t *testing.T, s Subject) {
	dir := workdir(t)
	must(t, os.WriteFile(dir+"/in", []byte("first\nsecond\n"), 0o644), os.WriteFile(dir+"/out", []byte("before\n"), 0o644))
	in, err := os.Open(dir + "/in")
	must(t, err)
	defer in.Close()
	out, err := os.OpenFile(dir+"/out", os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	defer out.Close()
	_, p := s.planned(t, sh("read x; cat; echo $x"))
	c := s.started(t, p, cell.Streams{In: in, Out: out})
	waited(t, c)
	clean(t, c)
	if b, err := os.ReadFile(dir + "/out"); err != nil || string(b) != "before\nsecond\nfirst\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func emptyStreams(t *testing.T, s Subject) {
	_, p := s.planned(t, sh("cat; echo lost >&2; echo end"))
	w, text := output(t)
	c := s.started(t, p, cell.Streams{Out: w})
	if o := waited(t, c); o.Code != 0 {
		t.Errorf("%+v", o)
	}
	clean(t, c)
	if got := text(); got != "end\n" {
		t.Errorf("%q", got)
	}
}

func brokenPipe(t *testing.T, s Subject) {
	_, p := s.planned(t, ask{argv: []string{"/usr/bin/yes"}})
	out := pipe(t)
	c := s.started(t, p, cell.Streams{Out: out.w})
	out.w.Close()
	b := make([]byte, 100)
	_, err := io.ReadFull(out.r, b)
	must(t, err)
	out.r.Close()
	// SIGPIPE where the pipe is one of the kernel that the command runs on, and EPIPE, of which yes makes status 1, where it is not.
	if o := waited(t, c); o.Signal != 13 && o.Code != 1 || !strings.HasPrefix(string(b), "y\ny\n") {
		t.Errorf("%+v after %q", o, b)
	}
	clean(t, c)
}

// endOfInput: a command sees that the writer closed while it was waiting.
func endOfInput(t *testing.T, s Subject) {
	_, p := s.planned(t, sh("echo ready; cat; echo end"))
	in, out := pipe(t), pipe(t)
	c := s.started(t, p, cell.Streams{In: in.r, Out: out.w})
	in.r.Close()
	out.w.Close()
	if l := line(t, out.r); l != "ready" {
		t.Fatal(l)
	}
	_, err := in.w.WriteString("typed\n")
	must(t, err)
	if l := line(t, out.r); l != "typed" {
		t.Error(l)
	}
	in.w.Close()
	if l := line(t, out.r); l != "end" {
		t.Error(l)
	}
	waited(t, c)
	clean(t, c)
}

type pipeEnds struct{ r, w *os.File }

func pipe(t testing.TB) pipeEnds {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return pipeEnds{r, w}
}
