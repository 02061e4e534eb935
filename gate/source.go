package gate

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A source is one side of a connection as bytes come from it. Next waits for some, without a buffer: of hundreds of connections that are
// open most say nothing. If n is above 0 the bytes are the buffer's first n, and it is the caller's, who gives it back with putBuffer; else
// there is none. It is for one goroutine.
type source interface {
	next() (p *[]byte, n int, err error)
}

// Sizes of buffers, in bytes: what is passed on at once while connections are few, and while they are many.
const (
	bigBuffer   = 64 << 10
	smallBuffer = 16 << 10
	manyConns   = 8
)

var bigBuffers, smallBuffers = bufferPool(bigBuffer), bufferPool(smallBuffer)

func bufferPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { b := make([]byte, size); return &b }}
}

// buffer takes a buffer for as long as bytes are passed on.
func (g *Gate) buffer() *[]byte {
	if g.flows.n.Load() > manyConns {
		return smallBuffers.Get().(*[]byte)
	}
	return bigBuffers.Get().(*[]byte)
}

func putBuffer(p *[]byte) {
	if len(*p) == bigBuffer {
		bigBuffers.Put(p)
	} else {
		smallBuffers.Put(p)
	}
}

// upstreamSource reads a connection of ours.
func (g *Gate) upstreamSource(c net.Conn) source {
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			return &rawSource{g, raw}
		}
	}
	return readerSource{g, c}
}

// A rawSource takes a buffer when its descriptor has something to read.
type rawSource struct {
	gate *Gate
	raw  syscall.RawConn
}

func (s *rawSource) next() (p *[]byte, n int, err error) {
	rerr := s.raw.Read(func(fd uintptr) bool {
		p = s.gate.buffer()
		for {
			if n, err = syscall.Read(int(fd), *p); err != syscall.EINTR {
				break
			}
		}
		if err != nil || n == 0 {
			putBuffer(p)
			p = nil
		}
		return err != syscall.EAGAIN
	})
	switch {
	case rerr != nil: // it was closed meanwhile
		return nil, 0, rerr
	case err != nil:
		return nil, 0, err
	case n == 0:
		return nil, 0, io.EOF
	}
	return p, n, nil
}

// A readerSource keeps a buffer while it waits.
type readerSource struct {
	gate *Gate
	r    io.Reader
}

func (s readerSource) next() (*[]byte, int, error) {
	p := s.gate.buffer()
	n, err := s.r.Read(*p)
	if n == 0 {
		putBuffer(p)
		p = nil
	}
	return p, n, err
}

// A cellSource reads what the cell sends on a connection.
type cellSource struct {
	gate  *Gate
	ep    tcpip.Endpoint
	wq    *waiter.Queue
	entry waiter.Entry
	ready <-chan struct{}
	until *time.Timer // when waiting ends with os.ErrDeadlineExceeded; nil: not
}

// cellSource returns a source that is to be ended.
func (g *Gate) cellSource(ep tcpip.Endpoint, wq *waiter.Queue) *cellSource {
	s := &cellSource{gate: g, ep: ep, wq: wq}
	s.entry, s.ready = waiter.NewChannelEntry(waiter.ReadableEvents)
	wq.EventRegister(&s.entry)
	return s
}

// within bounds the waiting from now on; 0: there is no bound.
func (s *cellSource) within(d time.Duration) {
	if s.until != nil {
		s.until.Stop()
		s.until = nil
	}
	if d != 0 {
		s.until = time.NewTimer(d)
	}
}

func (s *cellSource) end() {
	s.within(0)
	s.wq.EventUnregister(&s.entry)
}

// add waits for more, and appends it to b.
func (s *cellSource) add(b []byte) ([]byte, error) {
	p, n, err := s.next()
	if n > 0 {
		b = append(b, (*p)[:n]...)
		putBuffer(p)
	}
	return b, err
}

func (s *cellSource) next() (*[]byte, int, error) {
	for {
		p := s.gate.buffer()
		w := tcpip.SliceWriter(*p)
		res, err := s.ep.Read(&w, tcpip.ReadOptions{})
		if err == nil && res.Count > 0 {
			return p, res.Count, nil
		}
		putBuffer(p)
		if err := s.wait(err); err != nil {
			return nil, 0, err
		}
	}
}

// wait waits for more, after a read that ended with err. The end is io.EOF.
func (s *cellSource) wait(err tcpip.Error) error {
	switch err.(type) {
	case nil:
	case *tcpip.ErrWouldBlock:
		var over <-chan time.Time
		if s.until != nil {
			over = s.until.C
		}
		select {
		case <-s.ready:
		case <-over:
			return os.ErrDeadlineExceeded
		}
	case *tcpip.ErrClosedForReceive:
		return io.EOF
	default:
		return errors.New(err.String())
	}
	return nil
}
