package gate

import (
	"errors"
	"io"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// straight passes on what the cell sends to a socket, out of the stack's own buffers. The end of the source is no error.
func (f *tcpFlow) straight(to syscall.RawConn) error {
	w := &socketWriter{take: f.rule.out}
	defer func() { f.rule.sent.Add(-int64(w.taken)) }()
	for {
		var end tcpip.Error
		if err := to.Write(func(fd uintptr) bool {
			w.fd, w.full = int(fd), false
			var res tcpip.ReadResult
			if res, end = f.ep.Read(w, tcpip.ReadOptions{}); res.Count > 0 {
				f.up.touch()
			}
			return !w.full
		}); err != nil {
			return err
		}
		if w.err != nil {
			return f.spent(w.err)
		}
		switch err := f.src.wait(end); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// A socketWriter writes to a non-blocking socket as much as it takes at once, and as the budget has. The stack holds the connection meanwhile.
type socketWriter struct {
	fd    int
	take  func(int) (int, error)
	taken int   // bytes that were taken from the budget and are not written yet
	spent error // the budget has no more
	full  bool  // the socket takes no more now
	err   error // why nothing more is ever written
}

var errStopped = errors.New("not all was written")

// Write implements io.Writer. Which bytes were not written is the stack's to keep.
func (w *socketWriter) Write(p []byte) (n int, err error) {
	if w.taken < len(p) && w.spent == nil {
		n, w.spent = w.take(len(p) - w.taken)
		w.taken += n
	}
	b := p[:min(len(p), w.taken)]
	for {
		if n, err = syscall.Write(w.fd, b); err != syscall.EINTR {
			break
		}
	}
	n = max(n, 0)
	w.taken -= n
	switch {
	case err == nil && n == len(p):
		return n, nil
	case err == nil && n == len(b):
		w.err = w.spent
	case err == nil || err == syscall.EAGAIN:
		w.full = true
	default:
		w.err = err
	}
	return n, errStopped
}
