package cellinit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"cellos.io/cellos/sysabi"
)

// Conn is the supervisor's end of the conversation. Send and Receive may be called from different goroutines.
type Conn struct {
	file *os.File
	buf  [8 + 8*MaxProbes + 1]byte // the longest message of the process, and one byte to tell a longer one
}

// NewConn takes over fd, one end of a socketpair(AF_UNIX, SOCK_SEQPACKET), also when it fails.
func NewConn(fd int) (*Conn, error) {
	if err := sysabi.SetNonblock(fd, true); err != nil {
		sysabi.CloseFD(fd)
		return nil, fmt.Errorf("using descriptor %d to talk to PID 1: %w", fd, err)
	}
	return &Conn{file: os.NewFile(uintptr(fd), "control")}, nil
}

// Send sends Boot, Release, Signal or End. It matches io.EOF if the process has ended, and os.ErrDeadlineExceeded.
func (c *Conn) Send(m Message) error {
	b, err := encode(m)
	if err != nil {
		return err
	}
	if _, err := c.file.Write(b); err != nil {
		return ended(err)
	}
	return nil
}

// Receive waits for the next message. It returns io.EOF when the process has ended, and os.ErrDeadlineExceeded.
// One goroutine at a time may receive.
func (c *Conn) Receive() (Message, error) {
	n, err := c.file.Read(c.buf[:])
	if err != nil {
		return nil, ended(err)
	}
	return Decode(c.buf[:n])
}

// ReceiveLoaded waits for Loaded, or for what comes in its place, and finds out who sent it. The socket must have been given to
// sysabi.PassCredentials before its other end was.
func (c *Conn) ReceiveLoaded() (Message, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("talking to PID 1: %w", err)
	}
	var n, pid int
	if rerr := raw.Read(func(fd uintptr) bool {
		n, pid, err = sysabi.ReceiveFrom(int(fd), c.buf[:])
		return !errors.Is(err, sysabi.EAGAIN)
	}); rerr != nil {
		return nil, ended(rerr)
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	if err != nil {
		return nil, ended(err)
	}
	m, err := Decode(c.buf[:n])
	if l, ok := m.(Loaded); ok {
		if pid <= 0 {
			return nil, errors.New("talking to PID 1: a message came without its sender")
		}
		l.PID = pid
		return l, nil
	}
	return m, err
}

// ended maps what a socket says about a peer that is gone, with or without having read everything, to io.EOF.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return io.EOF
	}
	return fmt.Errorf("talking to PID 1: %w", err)
}

// File is the socket, still the Conn's: for who hands the conversation over to another process.
func (c *Conn) File() *os.File { return c.file }

// SetDeadline bounds every Send and Receive, those that wait now too. The zero time is no bound.
func (c *Conn) SetDeadline(t time.Time) error { return c.file.SetDeadline(t) }

// Close ends the conversation, and with it the process. It is safe to call twice.
func (c *Conn) Close() error {
	if err := c.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("closing the conversation with PID 1: %w", err)
	}
	return nil
}
