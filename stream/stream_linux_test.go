package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func file(t testing.TB) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "out"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func content(t testing.TB, f *os.File) []byte {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	must(t, err)
	return b
}

// cell takes copies of the cell's ends, as a backend does, and lets the relay begin.
func cell(t testing.TB, r *Relay) Ends {
	t.Helper()
	var e Ends
	for _, x := range []struct{ from, to **os.File }{{&r.Cell.In, &e.In}, {&r.Cell.Out, &e.Out}, {&r.Cell.Err, &e.Err}} {
		if *x.from == nil {
			continue
		}
		fd, err := unix.FcntlInt((*x.from).Fd(), unix.F_DUPFD_CLOEXEC, 3)
		must(t, err)
		*x.to = os.NewFile(uintptr(fd), "copy")
		t.Cleanup(func() { (*x.to).Close() })
	}
	r.Start()
	return e
}

func (e Ends) close() {
	for _, f := range []*os.File{e.In, e.Out, e.Err} {
		if f != nil {
			f.Close()
		}
	}
}

// TestWhatIsCarried: the caller's open outputs stay outside, in whatever form; an input that is no terminal goes in as it is.
func TestWhatIsCarried(t *testing.T) {
	in, _ := pipe(t)
	_, sink := pipe(t)
	for _, x := range []Ends{{in, file(t), file(t)}, {in, sink, file(t)}, {file(t), nil, sink}, {nil, file(t), nil}, {in, nil, nil}, {}} {
		r, err := Connect(x, Options{})
		must(t, err)
		if r.Cell.In != x.In || (r.Cell.Out == nil) != (x.Out == nil) || (r.Cell.Err == nil) != (x.Err == nil) ||
			x.Out != nil && r.Cell.Out == x.Out || x.Err != nil && r.Cell.Err == x.Err {
			t.Errorf("of %+v the cell gets %+v", x, r.Cell)
		}
		r.Start()
		must(t, r.Finish())
	}
}

// TestFolders: a descriptor of a folder is a way into the host's files.
func TestFolders(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	must(t, err)
	defer dir.Close()
	before := descriptors(t)
	for name, x := range map[string]Ends{"input": {In: dir}, "output": {In: dir, Out: dir}, "error": {Out: file(t), Err: dir}} {
		if name == "output" {
			x.In = nil
		}
		if _, err := Connect(x, Options{}); err == nil || !strings.Contains(err.Error(), "standard "+name+" is a folder") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := descriptors(t); n > before+1 { // the file
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestBytesArriveAsTheyAre for both outputs at once, with a limit that is not met and without one.
func TestBytesArriveAsTheyAre(t *testing.T) {
	const size = 3<<20 + 17
	text := random(size)
	me := &Owner{os.Getuid(), os.Getgid()}
	for _, o := range []Options{{Owner: me}, {Limit: 2 * size}, {Limit: 2 * size, Owner: me}, {Limit: 1 << 62}} {
		out, errs := file(t), file(t)
		r, err := Connect(Ends{Out: out, Err: errs}, o)
		must(t, err)
		if r.Cell.Out == out || r.Cell.Err == errs || r.Cell.Out == r.Cell.Err {
			t.Fatal("the outputs are not carried apart")
		}
		e := cell(t, r)
		done := make(chan error, 2)
		for _, f := range []*os.File{e.Out, e.Err} {
			go func() {
				var err error
				for b := text; len(b) > 0 && err == nil; {
					n := min(len(b), 1+len(b)%70001)
					_, err = f.Write(b[:n])
					b = b[n:]
				}
				f.Close()
				done <- err
			}()
		}
		must(t, <-done, <-done, r.Finish())
		if !bytes.Equal(content(t, out), text) || !bytes.Equal(content(t, errs), text) {
			t.Errorf("%+v: %d and %d bytes arrived, not those that were written", o, len(content(t, out)), len(content(t, errs)))
		}
	}
}

// TestOrderOfBothOutputs: where both go to one place, what was written first arrives first.
func TestOrderOfBothOutputs(t *testing.T) {
	for _, how := range []string{"one file", "two files of one inode", "one pipe"} {
		t.Run(how, func(t *testing.T) {
			out := file(t)
			errs := out
			var got chan []byte
			switch how {
			case "two files of one inode":
				f, err := os.OpenFile(out.Name(), os.O_WRONLY|os.O_APPEND, 0)
				must(t, err)
				defer f.Close()
				errs = f
			case "one pipe":
				var r *os.File
				r, out = pipe(t)
				errs = out
				got = make(chan []byte, 1)
				go func() { b, _ := io.ReadAll(r); got <- b }()
			}
			r, err := Connect(Ends{Out: out, Err: errs}, Options{Limit: 1 << 30})
			must(t, err)
			if r.Cell.Out != r.Cell.Err || r.Cell.Out == out {
				t.Fatal("the outputs do not share a pipe")
			}
			e := cell(t, r)
			var want strings.Builder
			for i := range 3000 {
				line := fmt.Sprintf("%d\n", i)
				want.WriteString(line)
				f := e.Out
				if i%2 == 1 {
					f = e.Err
				}
				if _, err := f.WriteString(line); err != nil {
					t.Fatal(err)
				}
			}
			e.close()
			must(t, r.Finish())
			var b []byte
			if got != nil {
				out.Close()
				b = <-got
			} else {
				b = content(t, out)
			}
			if string(b) != want.String() {
				t.Errorf("the lines came in another order, or not at all: %d bytes of %d", len(b), want.Len())
			}
		})
	}
}

// TestLimit: exactly as many bytes as are allowed arrive, however they are written and on whichever output.
func TestLimit(t *testing.T) {
	for _, c := range []struct {
		limit, write, piece int
		full                bool
	}{
		{1, 1, 1, false}, {1, 2, 1, true}, {1, 2, 2, true}, {1000, 1000, 1000, false}, {1000, 1001, 1001, true}, {1000, 1001, 1, true},
		{32 << 10, 32 << 10, 32 << 10, false}, {32 << 10, 32<<10 + 1, 32<<10 + 1, true}, {100000, 300000, 65536, true}, {65536, 65536, 4096, false}, {7, 1 << 20, 1 << 20, true},
	} {
		out, errs := file(t), file(t)
		full := 0
		r, err := Connect(Ends{Out: out, Err: errs}, Options{Limit: int64(c.limit), Full: func() { full++ }})
		must(t, err)
		e := cell(t, r)
		text := random(c.write)
		for i, b := 0, text; len(b) > 0; i++ {
			n := min(c.piece, len(b))
			f := e.Out
			if i%2 == 1 {
				f = e.Err
			}
			if _, err := f.Write(b[:n]); err != nil {
				if !errors.Is(err, syscall.EPIPE) || !c.full {
					t.Errorf("%+v: %v", c, err)
				}
			}
			b = b[n:]
		}
		e.close()
		must(t, r.Finish())
		got := len(content(t, out)) + len(content(t, errs))
		if want := min(c.limit, c.write); got != want || full > 1 || (full == 1) != c.full {
			t.Errorf("%+v: %d bytes arrived, want %d; full was called %d times", c, got, want, full)
		}
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(d)
}

// TestNothingIsLeft: descriptors and goroutines go, also when the cell was never built.
func TestNothingIsLeft(t *testing.T) {
	out, errs := file(t), file(t)
	before, routines := descriptors(t), runtime.NumGoroutine()
	for i := range 50 {
		r, err := Connect(Ends{Out: out, Err: errs}, Options{Limit: 5})
		must(t, err)
		if i%2 == 0 {
			r.Start()
		}
		must(t, r.Finish(), r.Finish())
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
	// A goroutine that has said that it is done may still have to end.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > routines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), routines)
		}
	}
}
