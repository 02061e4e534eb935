// Package stream carries a command's standard streams past the supervisor. Outputs are always carried: the open file of the caller
// stays outside, so that the command cannot seek in it, switch off its appending, read it back or change its times. An input is carried
// only where it is a terminal; a file or a pipe goes into the cell as it is, because reading ahead would take what the command leaves to
// the next reader.
//
//	r, err := stream.Connect(stream.Ends{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, stream.Options{Limit: 1 << 20})
//	// r.Cell goes to the cell; after the cell has its copies:
//	r.Start()
//	…
//	err = r.Finish() // everything that was written has arrived
//
// Bytes are passed on as they come, unchanged and unbuffered, unless Options.Through changes them. It makes no terminals: see package terminal.
package stream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"cellos.io/cellos/sysabi"
)

// Ends are the three standard streams. A nil one is empty.
type Ends struct{ In, Out, Err *os.File }

// Options say how outputs are carried.
type Options struct {
	Limit int64  // bytes on Out and Err together; 0 means no limit
	Owner *Owner // give the pipes of the outputs to this user, so that the command can open /dev/stdout; nil: not
	Full  func() // called once when the limit is reached; nothing more is passed on

	// Through, when given, makes what each output goes through on its way to where it goes; it is closed at the end. The limit is on what
	// the command writes.
	Through func(to io.Writer) io.WriteCloser
}

// An Owner is a user and group on the host.
type Owner struct{ UID, GID int }

// A Relay carries streams. Its methods are called in the order of the package comment.
type Relay struct {
	Cell Ends // what the cell gets: the caller's own files, or ends of pipes

	copies []*pump
	inner  []*os.File // the cell's ends of the pipes
	out    sync.WaitGroup
	left   atomic.Int64
	full   sync.Once
	opt    Options
	errMu  sync.Mutex
	err    error
}

type pump struct {
	from, to *os.File
	input    bool
}

// Connect decides which streams are carried and makes the pipes for them.
func Connect(e Ends, o Options) (*Relay, error) {
	r := &Relay{Cell: e, opt: o}
	r.left.Store(o.Limit)
	for _, x := range []struct {
		name string
		f    *os.File
	}{{"input", e.In}, {"output", e.Out}, {"error", e.Err}} {
		if x.f == nil {
			continue
		}
		if fi, err := x.f.Stat(); err == nil && fi.IsDir() {
			return nil, fmt.Errorf("standard %s is a folder: a command could enter it", x.name)
		}
	}
	carry := func(f *os.File) bool { return f != nil }
	err := func() error {
		if e.In != nil && Terminal(e.In) {
			in, out, err := os.Pipe()
			if err != nil {
				return err
			}
			r.Cell.In = in
			r.inner = append(r.inner, in)
			r.copies = append(r.copies, &pump{from: e.In, to: out, input: true})
		}
		if carry(e.Out) {
			p, err := r.output(e.Out)
			if err != nil {
				return err
			}
			r.Cell.Out = p
		}
		if carry(e.Err) {
			// One pipe for both where both go to the same place, so that the order between them is kept.
			if r.Cell.Out != e.Out && same(e.Out, e.Err) {
				r.Cell.Err = r.Cell.Out
				return nil
			}
			p, err := r.output(e.Err)
			if err != nil {
				return err
			}
			r.Cell.Err = p
		}
		return nil
	}()
	if err != nil {
		r.closeAll()
		return nil, fmt.Errorf("making pipes for the standard streams: %w", err)
	}
	return r, nil
}

func (r *Relay) output(to *os.File) (*os.File, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.inner = append(r.inner, out)
	r.copies = append(r.copies, &pump{from: in, to: to})
	if o := r.opt.Owner; o != nil {
		if err := out.Chown(o.UID, o.GID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func same(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// Terminal reports whether a file is a terminal.
func Terminal(f *os.File) bool {
	fi, err := f.Stat()
	if err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	_, _, err = sysabi.WindowSize(int(f.Fd()))
	return err == nil
}

// Start closes the cell's ends here and begins to carry. The cell must have its copies.
func (r *Relay) Start() {
	r.closeInner()
	copies := r.copies
	r.copies = nil // each closes its own end
	for _, p := range copies {
		if p.input {
			go p.carryInput()
			continue
		}
		r.out.Go(func() { r.carryOutput(p) })
	}
}

func (r *Relay) closeInner() {
	for _, f := range r.inner {
		f.Close()
	}
	r.inner = nil
}

// closeAll closes what nobody carries.
func (r *Relay) closeAll() {
	r.closeInner()
	for _, p := range r.copies {
		if p.input {
			p.to.Close()
		} else {
			p.from.Close()
		}
	}
	r.copies = nil
}

// carryInput ends when either side does. It is not waited for: reading a terminal cannot be interrupted.
func (p *pump) carryInput() {
	io.Copy(p.to, p.from)
	p.to.Close()
}

func (r *Relay) carryOutput(p *pump) {
	defer p.from.Close()
	var to io.Writer = p.to
	if r.opt.Through != nil {
		through := r.opt.Through(p.to)
		defer func() { r.fail(through.Close()) }()
		to = through
	}
	if r.opt.Limit == 0 {
		_, err := io.Copy(to, p.from)
		r.fail(err)
		return
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := p.from.Read(buf)
		if n > 0 {
			left := r.left.Add(int64(-n))
			pass := n
			if left < 0 {
				pass = max(0, n+int(left))
			}
			if _, werr := to.Write(buf[:pass]); werr != nil {
				r.fail(werr)
				return
			}
			if left < 0 {
				r.full.Do(func() {
					if r.opt.Full != nil {
						r.opt.Full()
					}
				})
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.fail(err)
			}
			return
		}
	}
}

func (r *Relay) fail(err error) {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return // a reader that went away is the command's to notice: it gets SIGPIPE
	}
	r.errMu.Lock()
	defer r.errMu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// Finish waits until everything that the cell wrote was passed on, and returns the first error in doing so. The cell must
// have ended.
func (r *Relay) Finish() error {
	r.closeAll()
	r.out.Wait()
	r.errMu.Lock()
	defer r.errMu.Unlock()
	if r.err != nil {
		return fmt.Errorf("passing on the command's output: %w", r.err)
	}
	return nil
}
