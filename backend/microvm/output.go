//go:build linux && (amd64 || arm64)

package microvm

import (
	"os"
	"sync"

	"cellos.io/cellos/guest"
)

// An output passes on what a guest prints, at the pace of its reader, while the guest is heard on. The guest sends no more than
// guest.Window ahead of it.
type output struct {
	t    guest.Type
	host *guest.Host
	f    *os.File // nil: nobody wants it

	mu    sync.Mutex
	more  *sync.Cond
	buf   []byte
	ended bool
	done  chan struct{} // closed when everything was passed on, or cannot be
}

func newOutput(t guest.Type, host *guest.Host, f *os.File) *output {
	o := &output{t: t, host: host, f: f, done: make(chan struct{})}
	o.more = sync.NewCond(&o.mu)
	go o.run()
	return o
}

// put takes what came. It does not wait.
func (o *output) put(b []byte) {
	o.mu.Lock()
	o.buf = append(o.buf, b...)
	o.mu.Unlock()
	o.more.Signal()
}

// finish says that nothing more comes, and waits until everything was passed on, or the file was closed.
func (o *output) finish() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.more.Signal()
	<-o.done
}

func (o *output) run() {
	defer close(o.done)
	var spare []byte
	closed := false
	for {
		o.mu.Lock()
		for len(o.buf) == 0 && !o.ended {
			o.more.Wait()
		}
		b := o.buf
		o.buf = spare[:0]
		o.mu.Unlock()
		if len(b) == 0 {
			return
		}
		if o.f != nil && !closed {
			if _, err := o.f.Write(b); err != nil {
				closed = true
				o.host.Closed(o.t)
			}
		}
		o.host.Taken(o.t, len(b))
		spare = b
	}
}
