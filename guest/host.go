package guest

import (
	"encoding/binary"
	"io"
	"sync"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Window is how much standard input may be on its way: the host sends no more than the guest has given credit for.
const Window = 256 << 10

// A Host is the supervisor's end. One goroutine calls Next; the methods that send may be called from several others.
type Host struct {
	frames *Reader
	state  state
	layers []string // what Ready has to tell of, in this order
	probes []plan.Probe

	mu  sync.Mutex
	out io.Writer
	buf []byte
}

// A state says which messages may come.
type state int

const (
	wantHello state = iota
	wantReady
	wantStart // READY was heard; STARTED or FAILED comes after RELEASE
	running
	changes // EXIT was heard
	over
)

// An Event is one message of the guest. The field that its type names is set.
type Event struct {
	Type   Type
	Data   []byte // STDOUT, STDERR, CHANGES; valid until the next call of Next
	Last   bool   // CHANGES: nothing more comes
	Hello  Hello
	Ready  Ready
	PID    int
	Failed Failed
	Exit   Exit
	Credit int
	Text   string // ERROR
}

// NewHost returns the host's end. The plan says what READY must tell of.
func NewHost(r io.Reader, w io.Writer, p *plan.Plan) *Host {
	h := &Host{frames: NewReader(r), out: w, probes: p.Boot.Probes}
	h.layers = Pack(p).Layers
	return h
}

// Next returns the next message. Every error but io.EOF and io.ErrUnexpectedEOF, which mean that the guest is gone, and those of the
// stream itself, is a *ProtocolError.
func (h *Host) Next() (Event, error) {
	t, body, err := h.frames.Next()
	if err != nil {
		return Event{}, err
	}
	e := Event{Type: t}
	if !h.expects(t) {
		return Event{}, broken("%v does not come here", t)
	}
	switch t {
	case TypeHello:
		if err := h.hello(body, &e.Hello); err != nil {
			return Event{}, err
		}
		h.state = wantReady
	case TypeReady:
		if err := h.ready(body, &e.Ready); err != nil {
			return Event{}, err
		}
		h.state = wantStart
	case TypeStarted:
		if len(body) != 4 {
			return Event{}, broken("STARTED of %d bytes", len(body))
		}
		e.PID = int(int32(binary.LittleEndian.Uint32(body)))
		h.state = running
	case TypeFailed:
		if err := decode(t, body, &e.Failed); err != nil {
			return Event{}, err
		}
		if n := e.Failed.Errno; n < 1 || n > 4095 || len(e.Failed.Path) > MaxText {
			return Event{}, broken("FAILED with error %d and a path of %d bytes", n, len(e.Failed.Path))
		}
		e.Failed.Stage = Clean(e.Failed.Stage, 200)
		h.state = over
	case TypeStdout, TypeStderr:
		if len(body) == 0 || len(body) > MaxData {
			return Event{}, broken("%v of %d bytes", t, len(body))
		}
		e.Data = body
	case TypeCredit:
		if len(body) != 4 {
			return Event{}, broken("CREDIT of %d bytes", len(body))
		}
		if n := binary.LittleEndian.Uint32(body); n > 0 && n <= Window {
			e.Credit = int(n)
		} else {
			return Event{}, broken("CREDIT for %d bytes", n)
		}
	case TypeExit:
		if e.Exit, err = ParseExit(body); err != nil {
			return Event{}, err
		}
		h.state = changes
	case TypeChanges:
		if len(body) < 1 || body[0] > 1 || len(body)-1 > MaxData {
			return Event{}, broken("CHANGES of %d bytes", len(body))
		}
		e.Data, e.Last = body[1:], body[0] == 1
		if e.Last {
			h.state = over
		}
	case TypeError:
		var p Problem
		if err := decode(t, body, &p); err != nil {
			return Event{}, err
		}
		e.Text = Clean(p.Text, 1000)
		h.state = over
	}
	return e, nil
}

// expects reports whether a message may come now.
func (h *Host) expects(t Type) bool {
	switch t {
	case TypeHello:
		return h.state == wantHello
	case TypeReady:
		return h.state == wantReady
	case TypeStarted, TypeFailed:
		return h.state == wantStart
	case TypeStdout, TypeStderr, TypeCredit, TypeExit:
		return h.state == running
	case TypeChanges:
		return h.state == changes
	case TypeError:
		return h.state != over
	}
	return false
}

func (h *Host) hello(body []byte, m *Hello) error {
	if err := decode(TypeHello, body, m); err != nil {
		return err
	}
	if m.Protocol != Protocol {
		return broken("it speaks protocol %d, this program %d", m.Protocol, Protocol)
	}
	if len(m.Proc) > 64 {
		return broken("HELLO with %d names", len(m.Proc))
	}
	m.Arch, m.Kernel = Clean(m.Arch, 20), Clean(m.Kernel, 100)
	return nil
}

// ready checks that the guest speaks of exactly what was planned.
func (h *Host) ready(body []byte, m *Ready) error {
	if err := decode(TypeReady, body, m); err != nil {
		return err
	}
	if len(m.Probes) != len(h.probes) {
		return broken("READY with %d answers to %d probes", len(m.Probes), len(h.probes))
	}
	for i := range m.Probes {
		m.Probes[i] = Clean(m.Probes[i], 40)
	}
	planned := map[string]bool{}
	for _, l := range h.layers {
		planned[l] = true
	}
	for i := range m.Layers {
		l := &m.Layers[i]
		if !planned[l.Name] {
			return broken("READY about a layer %q that is not planned, or twice", Clean(l.Name, 40))
		}
		planned[l.Name] = false
		l.Saw = Clean(l.Saw, 1000)
	}
	return nil
}

// Answered reports whether the guest's answer to a probe is one that the plan wants.
func Answered(p plan.Probe, got string) bool {
	if len(p.Want) == 0 {
		return got == "success"
	}
	for _, e := range p.Want {
		if got == e.Name() {
			return true
		}
	}
	return false
}

// Configure sends CONFIG.
func (h *Host) Configure(c Config) error {
	b, err := c.Frames()
	if err != nil {
		return err
	}
	return h.write(b)
}

// Release sends RELEASE.
func (h *Host) Release() error { return h.send(TypeRelease) }

// Acknowledge sends ACK: the guest powers off.
func (h *Host) Acknowledge() error { return h.send(TypeAck) }

// Signal sends SIGNAL to the command's process group, or to every process of the cell.
func (h *Host) Signal(n int, every bool) error {
	all := byte(0)
	if every {
		all = 1
	}
	if n < 1 || n > 64 {
		return sysabi.EINVAL
	}
	return h.send(TypeSignal, []byte{byte(n), all})
}

// Input sends standard input, at most MaxData bytes for which there is credit; no byte means that it has ended.
func (h *Host) Input(b []byte) error {
	if len(b) == 0 {
		return h.send(TypeEOF)
	}
	return h.send(TypeStdin, b)
}

// Closed sends CLOSED: nobody reads an output any more, so its writers get SIGPIPE.
func (h *Host) Closed(t Type) error { return h.send(TypeClosed, []byte{byte(t)}) }

func (h *Host) send(t Type, parts ...[]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = Append(h.buf[:0], t, parts...)
	_, err := h.out.Write(h.buf)
	return err
}

func (h *Host) write(b []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.out.Write(b)
	return err
}
