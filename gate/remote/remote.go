// Package remote runs a gate as a process of its own and speaks with it. It knows no packets: see packages gate and wire.
//
//	g, err := remote.Start(program, env, denied) // as soon as it is known that there is a network
//	g.Prepare(config)                        // when it is known which; the cell is built meanwhile
//	err = g.Open(link, recorder)             // when it stands
//	g.Release(); …; err = g.Finish(); …; g.Close()
package remote

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/wire"
)

// A Recorder writes the gate's events.
type Recorder interface {
	Append(source string, p evidence.Payload) error
	Sync() error
	// Ahead makes the file for what is written ahead (package wire); nil: only the chain will do.
	Ahead() (*os.File, error)
}

// A Gate is a gate in its process. Its methods may be called concurrently.
type Gate struct {
	conn   *wire.Conn
	cmd    *exec.Cmd
	said   tail
	denied func(wire.Refused)

	ready   chan error
	vouched chan []byte
	failed  chan error
	ended   chan struct{} // the conversation is over

	failing, finishing, closing sync.Once

	rec     Recorder
	opened  bool
	ring    *os.File // what is written ahead; nil: nothing
	ahead   uint64   // number of the last such decision that came
	chained uint64   // and of the last that the gate knows to be in the chain
	mu      sync.Mutex
	use     *evidence.NetworkUse
	refused []wire.Refused
	broken  error
}

// times of the conversation. A gate answers in milliseconds; the bounds are for a host that is out of breath.
const (
	openTime  = 30 * time.Second
	closeTime = 10 * time.Second
	goneTime  = 2 * time.Second // until a gate that has nothing more to say is killed
)

// Prepare says what the gate is to enforce. It gets ready by itself; that it is gone already is what Open returns.
func (g *Gate) Prepare(c wire.Config) { g.conn.Send(wire.Message{Kind: wire.Prepare, Config: &c}) }

// listen takes what the gate says until it ends.
func (g *Gate) listen() {
	defer close(g.ended)
	for {
		m, _, err := g.conn.Receive()
		if err != nil {
			g.late()
			if errors.Is(err, io.EOF) {
				err = errors.New("the gate ended")
				if s := g.said.String(); s != "" {
					err = fmt.Errorf("%w: %s", err, s)
				}
			}
			g.fail(err)
			return
		}
		switch m.Kind {
		case wire.Ready:
			g.ready <- asError(m.Error)
		case wire.Vouch:
			select {
			case g.vouched <- m.Certificate:
			default: // it was said already
			}
		case wire.Event:
			p, err := m.Event()
			if err == nil {
				err = g.rec.Append(m.Source, p)
			}
			g.broke(err)
			if m.Ahead != 0 {
				if g.ahead = m.Ahead; g.ahead-g.chained >= wire.Slots/4 {
					g.written(0)
				}
			}
		case wire.Sync:
			g.written(m.ID)
		case wire.Denied:
			for _, r := range m.Refused {
				g.denied(r)
			}
		case wire.Failed:
			g.fail(errors.New(m.Error))
		case wire.Account:
			g.mu.Lock()
			g.use, g.refused = m.Use, m.Refused
			g.mu.Unlock()
			return
		}
	}
}

// written says that everything that came is in the chain, or that it cannot be written there.
func (g *Gate) written(id uint64) {
	g.broke(g.rec.Sync())
	g.mu.Lock()
	err := g.broken
	g.mu.Unlock()
	if err != nil {
		g.conn.Send(wire.Message{Kind: wire.Written, ID: id, Error: err.Error()})
		return
	}
	g.chained = g.ahead
	g.conn.Send(wire.Message{Kind: wire.Written, ID: id, Ahead: g.ahead})
}

// late appends what a gate that is gone has written ahead and could not tell.
func (g *Gate) late() {
	if g.ring == nil {
		return
	}
	list, err := wire.ReadAhead(g.ring, g.ahead)
	g.broke(err)
	for _, d := range list {
		g.broke(g.rec.Append(d.Source, d.FlowDecision))
	}
}

func asError(s string) error {
	if s == "" {
		return nil
	}
	return brief(errors.New(s))
}

// maxText bounds what is told of a gate in its own words, in bytes: whoever has taken it over is not to fill the events with them.
const maxText = 1 << 10

// brief cuts an error whose text may be the gate's.
func brief(err error) error {
	s := err.Error()
	if len(s) <= maxText {
		return err
	}
	return errors.New(strings.ToValidUTF8(s[:maxText], "") + " …")
}

// broke notes that an event could not be written.
func (g *Gate) broke(err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	if g.broken == nil {
		g.broken = err
	}
	g.mu.Unlock()
	g.fail(err)
}

func (g *Gate) fail(err error) {
	err = brief(err)
	g.failing.Do(func() {
		g.failed <- err
		select {
		case g.ready <- err:
		default:
		}
	})
}

// A Link is a gate.Link whose files are not open as connections.
type Link struct {
	Device            *os.File // nil: none
	Ethernet, Offload bool
	Sockets           []*os.File // on which names are answered
}

// Open hands the link over and returns when the gate serves it.
func (g *Gate) Open(l Link, rec Recorder) error {
	g.rec, g.opened = rec, true
	var err error
	if g.ring, err = rec.Ahead(); err != nil {
		return err
	}
	m := wire.Message{Kind: wire.Open, Device: l.Device != nil, Ethernet: l.Ethernet, Offload: l.Offload, Ring: g.ring != nil}
	files := slices.Clone(l.Sockets)
	if l.Device != nil {
		files = append([]*os.File{l.Device}, files...)
	}
	if g.ring != nil {
		files = append(files, g.ring)
	}
	if err := g.conn.Send(m, files...); err != nil {
		return fmt.Errorf("opening the gate: %w", err)
	}
	select {
	case err := <-g.ready:
		if err != nil {
			err = fmt.Errorf("opening the gate: %w", err)
		}
		return err
	case <-time.After(openTime):
		return fmt.Errorf("the gate was not ready after %v", openTime)
	}
}

// Release lets granted connections pass.
func (g *Gate) Release() error { return g.conn.Send(wire.Message{Kind: wire.Release}) }

// Failed tells once why the gate cannot go on.
func (g *Gate) Failed() <-chan error { return g.failed }

// Finish ends every connection, takes the account, and lets the process go. It is safe to call twice.
func (g *Gate) Finish() (err error) {
	g.finishing.Do(func() {
		if g.opened && g.conn.Send(wire.Message{Kind: wire.Close}) == nil {
			select {
			case <-g.ended:
			case <-time.After(closeTime):
				err = fmt.Errorf("the gate gave no account after %v", closeTime)
				g.cmd.Process.Kill()
			}
			if g.Use() == nil && err == nil {
				err = errors.New("the gate gave no account")
			}
		}
		g.conn.Close()
		<-g.ended
		if g.ring != nil {
			g.ring.Close()
		}
	})
	return err
}

// Close is Finish, and waits until the process is gone. It is safe to call twice.
func (g *Gate) Close() error {
	err := g.Finish()
	g.closing.Do(func() {
		gone := make(chan error, 1)
		go func() { gone <- g.cmd.Wait() }()
		select {
		case <-gone:
		case <-time.After(goneTime):
			g.cmd.Process.Kill()
			<-gone
		}
	})
	return err
}

// Use is the account; nil before Finish.
func (g *Gate) Use() *evidence.NetworkUse {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.use
}

// Refused lists what was refused, with numbers; nil before Finish.
func (g *Gate) Refused() []wire.Refused {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}
