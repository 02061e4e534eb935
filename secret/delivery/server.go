package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A Server listens on a socket, for one user: one request a connection, within its limits.
type Server struct {
	uid    uint32
	answer func(ctx context.Context, line []byte, to io.Writer)

	listener *net.UnixListener
	cancel   context.CancelFunc
	slots    chan struct{}
	all      sync.WaitGroup

	mu    sync.Mutex
	conns map[*net.UnixConn]bool // that are being answered; nil: the end
}

// MaxParallel bounds the requests that are answered at once; more wait in the kernel's queue.
const MaxParallel = 128

// Listen makes the socket, which must not exist, and answers user uid there. The function writes the line that answers a request, or nothing; it is
// called concurrently, at most MaxParallel times at once.
func Listen(socket string, uid uint32, answer func(ctx context.Context, line []byte, to io.Writer)) (*Server, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	v := &Server{uid: uid, answer: answer, listener: l, cancel: cancel, slots: make(chan struct{}, MaxParallel), conns: map[*net.UnixConn]bool{}}
	v.all.Add(1)
	go v.accept(ctx)
	return v, nil
}

func (v *Server) accept(ctx context.Context) {
	defer v.all.Done()
	for {
		v.slots <- struct{}{}
		conn, err := v.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: wait for those that are in use
			<-v.slots
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		v.all.Add(1)
		go func() {
			defer func() { <-v.slots; v.all.Done() }()
			defer conn.Close()
			v.talk(ctx, conn)
		}()
	}
}

// talk answers one request: one line, one answer, the end.
func (v *Server) talk(ctx context.Context, conn *net.UnixConn) {
	conn.SetDeadline(time.Now().Add(RequestTime))
	if !v.enter(conn) {
		return
	}
	defer v.leave(conn)
	if uid, err := peer(conn); err != nil || uid != v.uid {
		return
	}
	line, err := readLine(conn)
	if err != nil {
		return
	}
	v.answer(ctx, line, conn)
	clear(line) // it has the token
}

// enter notes a connection, so that the end can cut it off; false means that the end has come.
func (v *Server) enter(conn *net.UnixConn) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conns == nil {
		return false
	}
	v.conns[conn] = true
	return true
}

func (v *Server) leave(conn *net.UnixConn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.conns, conn)
}

// readLine reads up to a newline or the end.
func readLine(r io.Reader) ([]byte, error) {
	b := make([]byte, 0, 512)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if i := bytes.IndexByte(b[len(b)-n:], '\n'); i >= 0 {
			return b[:len(b)-n+i], nil
		}
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		case len(b) > MaxRequest:
			return nil, errors.New("the request is too long")
		case len(b) == cap(b):
			grown := make([]byte, len(b), min(2*cap(b), MaxRequest+2))
			copy(grown, b)
			clear(b)
			b = grown
		}
	}
}

// Close ends all of it; the socket is removed. Requests that are being answered are cut off.
func (v *Server) Close() {
	v.listener.Close()
	v.cancel()
	v.mu.Lock()
	for c := range v.conns {
		c.SetDeadline(time.Unix(1, 0))
	}
	v.conns = nil
	v.mu.Unlock()
	v.all.Wait()
}
