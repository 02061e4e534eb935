package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cellos.io/cellos/secret"
)

// A server answers on the socket.
type server struct {
	session *Session
	keys    []string
	token   secret.Value
	uid     uint32
	began   time.Time

	listener *net.UnixListener
	cancel   context.CancelFunc
	slots    chan struct{}
	all      sync.WaitGroup

	mu    sync.Mutex
	conns map[*net.UnixConn]bool // that are being answered; nil: the end
}

// maxParallel bounds the requests that are answered at once; more wait in the kernel's queue.
const maxParallel = 128

func listen(s *Session, token secret.Value, uid uint32) (*server, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.Socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(s.Socket, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	v := &server{session: s, keys: s.keys(), token: token, uid: uid, began: time.Now(), listener: l, cancel: cancel, slots: make(chan struct{}, maxParallel), conns: map[*net.UnixConn]bool{}}
	v.all.Add(1)
	go v.accept(ctx)
	return v, nil
}

func (v *server) accept(ctx context.Context) {
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
func (v *server) talk(ctx context.Context, conn *net.UnixConn) {
	conn.SetDeadline(time.Now().Add(requestTime))
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
	answer := v.answer(ctx, line)
	clear(line) // it has the token
	conn.Write(answer)
	clear(answer)
}

// enter notes a connection, so that the end can cut it off; false means that the end has come.
func (v *server) enter(conn *net.UnixConn) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conns == nil {
		return false
	}
	v.conns[conn] = true
	return true
}

func (v *server) leave(conn *net.UnixConn) {
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
		case len(b) > maxRequest:
			return nil, errors.New("the request is too long")
		case len(b) == cap(b):
			grown := make([]byte, len(b), min(2*cap(b), maxRequest+2))
			copy(grown, b)
			clear(b)
			b = grown
		}
	}
}

// close ends all of it; the socket is removed.
func (v *server) close() {
	v.listener.Close()
	v.cancel()
	v.mu.Lock()
	for c := range v.conns {
		c.SetDeadline(time.Unix(1, 0))
	}
	v.conns = nil
	v.mu.Unlock()
	v.all.Wait()
	v.token.Wipe()
}

// FolderPattern begins the name of the folder of a socket.
const FolderPattern = "cellos-rs-"

// SocketName is the name of the socket in its folder.
const SocketName = "broker.sock"

// maxName is what the name of a socket may have, in bytes: unix(7), sun_path without the NUL at its end.
const maxName = 107

// Folder makes a folder for a socket, which only the caller may enter.
func Folder(temp string) (string, error) {
	dir, err := os.MkdirTemp(temp, FolderPattern)
	if n := len(filepath.Join(dir, SocketName)); err == nil && n > maxName {
		os.Remove(dir)
		err = fmt.Errorf("the socket's name in %s would have %d bytes, and %d are possible (unix(7)): set TMPDIR to a shorter one", temp, n, maxName)
	}
	if err != nil {
		return "", fmt.Errorf("making the folder of the secrets' socket: %w", err)
	}
	return dir, nil
}

// RemoveFolder removes the folder with the socket. That it is gone is no error.
func RemoveFolder(dir string) error {
	for _, p := range []string{filepath.Join(dir, SocketName), dir} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the folder of the secrets' socket: %w", err)
		}
	}
	return nil
}
