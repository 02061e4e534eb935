//go:build linux && (amd64 || arm64)

package agent

import (
	"encoding/binary"
	"io"
	"os"
	"sync"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/sysabi"
)

// A life is a cell and what connects it with the host.
type life struct {
	m        *machine
	cell     cell.Cell
	in       *input
	outputs  map[guest.Type]*outgoing
	asks     *asks    // requests for secrets; nil: it cannot ask
	link     *os.File // packets of the cell's network; nil: it has none
	linkFD   int
	released chan struct{} // closed when the host says RELEASE
	opened   chan struct{} // closed when in and outputs are there
}

// openLink connects the network of a cell that was built: its probes meet who serves it.
func (l *life) openLink() {
	c, ok := l.cell.(cell.Linked)
	if !ok || c.Link().Device == nil {
		return
	}
	l.link = c.Link().Device
	if raw, err := l.link.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { l.linkFD = int(fd) })
	}
	go l.leave()
}

// open connects the streams of a cell that was measured.
func (l *life) open(s streams) {
	l.in = newInput(l.m, s.in, l.cell.Terminal())
	if t := l.cell.Terminal(); t != nil {
		l.outputs[guest.TypeStdout] = newOutgoing(guest.TypeStdout, t, nil)
	}
	if s.out != nil {
		l.outputs[guest.TypeStdout] = newOutgoing(guest.TypeStdout, s.out, s.out)
	}
	if s.err != nil {
		l.outputs[guest.TypeStderr] = newOutgoing(guest.TypeStderr, s.err, s.err)
	}
	close(l.opened)
}

// leave sends the packets of the cell to the host.
func (l *life) leave() {
	buf := make([]byte, guest.MaxPacket)
	for {
		n, err := l.link.Read(buf)
		if err != nil || l.m.send(guest.TypeLeave, buf[:n]) != nil {
			return
		}
	}
}

// hear does what the host says, until it wants no more. Nothing here waits for the command.
func (l *life) hear() {
	defer close(l.m.acked)
	c := l.cell
	for {
		t, b, err := l.m.frames.Next()
		if t != guest.TypeArrive && err == nil {
			<-l.opened // nothing else comes before READY
		}
		switch {
		case err != nil, t == guest.TypeAck:
			return
		case t == guest.TypeRelease:
			close(l.released)
		case t == guest.TypeSignal && len(b) == 2:
			c.Signal(int(b[0]), b[1] == 1)
		case t == guest.TypeStdin:
			l.in.add(b)
		case t == guest.TypeEOF:
			l.in.end()
		case t == guest.TypeClosed && len(b) == 1:
			if o := l.outputs[guest.Type(b[0])]; o != nil {
				o.close()
			}
		case t == guest.TypeTaken && len(b) == 5:
			if o := l.outputs[guest.Type(b[0])]; o != nil {
				o.give(int(binary.LittleEndian.Uint32(b[1:])))
			}
		case t == guest.TypeResize:
			resize(c, b)
		case t == guest.TypePing:
			l.m.send(guest.TypePong)
			relieve()
		case t == guest.TypeArrive && l.link != nil:
			sysabi.WriteNow(l.linkFD, b) // a packet for which there is no room is lost, as on every link
		case t == guest.TypeAnswer && l.asks.hear(b):
		case t == guest.TypeExport:
			if l.m.export(c, string(b)) != nil {
				return
			}
		default:
			return
		}
	}
}

// resize sets the size of the command's terminal, if it has one.
func resize(c cell.Cell, b []byte) {
	if t := c.Terminal(); t != nil && len(b) == 4 {
		t.Resize(binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]))
	}
}

// An outgoing stream of the command is sent as far as the host passes it on.
type outgoing struct {
	t    guest.Type
	from io.Reader
	file *os.File // closed when nobody reads any more; nil: nothing is

	mu     sync.Mutex
	more   *sync.Cond
	room   int
	closed bool
}

func newOutgoing(t guest.Type, from io.Reader, file *os.File) *outgoing {
	o := &outgoing{t: t, from: from, file: file, room: guest.Window}
	o.more = sync.NewCond(&o.mu)
	return o
}

// pump sends until the last writer is gone, or nobody reads any more.
func (o *outgoing) pump(m *machine) {
	buf := make([]byte, guest.MaxData)
	for {
		o.mu.Lock()
		for o.room <= 0 && !o.closed {
			o.more.Wait()
		}
		n, closed := min(o.room, len(buf)), o.closed
		o.mu.Unlock()
		if closed && o.file != nil {
			return
		}
		if closed { // a terminal that nobody empties would stop the command
			n = len(buf)
		}
		n, err := o.from.Read(buf[:n])
		if n > 0 && !closed {
			o.give(-n)
			if m.send(o.t, buf[:n]) != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (o *outgoing) give(n int) {
	o.mu.Lock()
	o.room += n
	o.mu.Unlock()
	o.more.Signal()
}

func (o *outgoing) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.more.Signal()
	if o.file != nil {
		o.file.Close()
	}
}

// An input passes standard input on, as fast as the command takes it. What waits is at most the window.
type input struct {
	mu      sync.Mutex
	more    *sync.Cond
	waiting []byte
	ended   bool
}

func newInput(m *machine, pipe *os.File, terminal cell.Terminal) *input {
	in := &input{}
	in.more = sync.NewCond(&in.mu)
	var to io.Writer
	if pipe != nil {
		to = pipe
	}
	if terminal != nil {
		to = terminal
	}
	go func() {
		for {
			b := in.next()
			if b == nil {
				if pipe != nil {
					pipe.Close()
				}
				return
			}
			if to != nil {
				to.Write(b) // a reader that is gone takes everything
			}
			m.send(guest.TypeCredit, binary.LittleEndian.AppendUint32(nil, uint32(len(b))))
		}
	}()
	return in
}

// next is some of what waits, as soon as there is any; nil at the end.
func (in *input) next() []byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.waiting) == 0 && !in.ended {
		in.more.Wait()
	}
	if len(in.waiting) == 0 {
		return nil
	}
	n := min(len(in.waiting), guest.MaxData)
	b := in.waiting[:n:n]
	in.waiting = in.waiting[n:]
	return b
}

func (in *input) add(b []byte) {
	in.mu.Lock()
	if len(in.waiting)+len(b) <= guest.Window { // more is none that a host sends
		in.waiting = append(in.waiting, b...)
	}
	in.mu.Unlock()
	in.more.Signal()
}

// end is the end of input, after what waits.
func (in *input) end() {
	in.mu.Lock()
	in.ended = true
	in.mu.Unlock()
	in.more.Signal()
}
