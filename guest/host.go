package guest

import (
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
)

// Window is how much of a stream may be on its way: nobody sends more than the other side has taken.
const Window = 256 << 10

// A Host is the supervisor's end. One goroutine calls Next; the methods that send may be called from several others.
type Host struct {
	frames *Reader
	state  state
	layers []string // what Ready has to tell of, in this order
	probes []plan.Probe

	rehearsing atomic.Bool // PREPARE was sent, and PREPARED has not come

	wanted atomic.Bool // EXPORT was sent, and FILE has not come
	rest   int64       // bytes of the file that are to come

	network  bool        // the cell has one, whose packets come through here
	reports  bool        // calls that are refused are told
	filters  int         // of the plan
	released atomic.Bool // RELEASE was sent

	asks    bool            // the command asks for its secrets, through here
	asked   asked           // what it asked for and was not answered
	untaken [2]atomic.Int64 // bytes of STDOUT and STDERR for which TAKEN was not sent

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
	over    // the last CHANGES were heard, or FAILED
	file    // FILE was heard
	dead    // ERROR was heard
)

// An Event is one message of the guest. The field that its type names is set.
type Event struct {
	Type   Type
	Data   []byte // STDOUT, STDERR, CHANGES, DATA, LEAVE, ASK; valid until the next call of Next
	Last   bool   // CHANGES, DATA: nothing more comes
	Hello  Hello
	Ready  Ready
	PID    int
	Failed Failed
	Exit   Exit
	Credit int
	File   File
	Number uint32    // ASK
	Call   cell.Call // REFUSED
	Text   string    // ERROR

	Prepared Prepared
}

// NewHost returns the host's end. The plan says what READY must tell of.
func NewHost(r io.Reader, w io.Writer, p *plan.Plan) *Host {
	h := &Host{frames: NewReader(r), out: w, probes: p.Boot.Probes, network: p.Network.Device, asks: p.Machine != nil && p.Machine.Asks,
		reports: p.Watch == authority.WatchRefused, filters: len(p.Filters)}
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
		if n := h.untaken[t-TypeStdout].Add(int64(len(body))); n > Window {
			return Event{}, broken("%v is %d bytes ahead of its reader; %d are possible", t, n, Window)
		}
		e.Data = body
	case TypeLeave:
		if len(body) == 0 || len(body) > MaxPacket {
			return Event{}, broken("LEAVE of %d bytes", len(body))
		}
		e.Data = body
	case TypeRefused:
		if e.Call, err = h.refused(body); err != nil {
			return Event{}, err
		}
	case TypeAsk:
		if e.Number, e.Data, err = h.asked.add(body); err != nil {
			return Event{}, err
		}
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
		h.state = dead
	case TypeFile:
		if err := h.announced(body, &e.File); err != nil {
			return Event{}, err
		}
	case TypeData:
		if err := h.data(body, &e); err != nil {
			return Event{}, err
		}
	case TypePrepared:
		if err := decode(t, body, &e.Prepared); err != nil {
			return Event{}, err
		}
	case TypePong:
		if len(body) != 0 {
			return Event{}, broken("PONG of %d bytes", len(body))
		}
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
	case TypePrepared:
		return h.state == wantReady && h.rehearsing.CompareAndSwap(true, false)
	case TypeStarted, TypeFailed:
		return h.state == wantStart
	case TypeStdout, TypeStderr, TypeCredit, TypeExit:
		return h.state == running
	case TypeChanges:
		return h.state == changes
	case TypeError:
		return h.state != dead
	case TypeFile:
		return h.state == over && h.wanted.CompareAndSwap(true, false)
	case TypeData:
		return h.state == file
	case TypePong:
		return h.state != wantHello && h.state != dead
	case TypeRefused: // also what keeps the command from being started
		return h.reports && h.released.Load() && (h.state == wantStart || h.state == running)
	case TypeAsk:
		return h.asks && h.state == running
	case TypeLeave:
		return h.network && h.state != wantHello && h.state != dead
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

// announced reads FILE.
func (h *Host) announced(body []byte, f *File) error {
	if err := decode(TypeFile, body, f); err != nil {
		return err
	}
	if f.Size < 0 || f.Mode > 0o777 {
		return broken("FILE of %d bytes and mode %o", f.Size, f.Mode)
	}
	if f.Error != "" {
		f.Error = Clean(f.Error, 400)
		return nil
	}
	h.state, h.rest = file, f.Size
	return nil
}

// data reads DATA: the parts together are as long as FILE said.
func (h *Host) data(body []byte, e *Event) error {
	if len(body) < 1 || body[0] > 1 || len(body)-1 > MaxData {
		return broken("DATA of %d bytes", len(body))
	}
	e.Data, e.Last = body[1:], body[0] == 1
	h.rest -= int64(len(e.Data))
	if h.rest < 0 || e.Last && h.rest != 0 {
		return broken("DATA that is %d bytes longer than FILE said", -h.rest)
	}
	if e.Last {
		h.state = over
	}
	return nil
}
