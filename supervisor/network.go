package supervisor

import (
	"errors"
	"fmt"
	"os"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
)

// A Network serves the network of a cell. It is opened when the cell stands, so that the probes of the boundary meet it, and lets
// nothing pass before Release.
type Network interface {
	Open(link cell.Link, rec NetworkRecorder) error
	Release() error
	// Failed tells once that it cannot go on; the cell is ended then.
	Failed() <-chan error
	// Finish ends every connection and writes the closing account.
	Finish() error
	// Close is Finish, and returns when nothing is left that served the cell.
	Close() error
	// Exercised is the number of rules that something was reached by.
	Exercised() int
	Meter
}

// A NetworkRecorder writes the events of a Network.
type NetworkRecorder interface {
	Append(source string, p evidence.Payload) error
	Sync() error
	// Ahead makes the file for what has to be written before the chain has it; nil: only the chain will do.
	Ahead() (*os.File, error)
}

// recorder is the run's record as a NetworkRecorder.
type recorder struct{ *life }

func (r recorder) Append(source string, p evidence.Payload) error {
	_, err := r.events.Append(source, p)
	return err
}

func (r recorder) Sync() error { return r.events.Sync() }

// Ahead implements NetworkRecorder. A file that a crash of the machine would empty is not written ahead of a chain that it would not.
func (r recorder) Ahead() (*os.File, error) {
	if r.Durable {
		return nil, nil
	}
	return r.dir.Ahead()
}

// openNetwork has the cell's network served.
func (l *life) openNetwork() error {
	n := l.Plan.Network
	if !n.Device && len(n.Sockets) == 0 {
		l.Network = nil
		return nil
	}
	c, ok := l.cell.(cell.Linked)
	if l.Network == nil || !ok {
		return errors.New("nothing serves the cell's network: rules that nobody enforces are refused")
	}
	return l.Network.Open(c.Link(), recorder{l})
}

// lost is where the network tells that it failed; nil without one.
func (l *life) lost() <-chan error {
	if l.Network == nil {
		return nil
	}
	return l.Network.Failed()
}

// finishNetwork ends what the cell still talks to, and has the account written. What served it goes while the cell does.
func (l *life) finishNetwork() error {
	if l.Network == nil {
		return nil
	}
	l.Meters = append(l.Meters, l.Network)
	err := errors.Join(l.Network.Finish(), l.events.Sync())
	if err == nil { // else the file may have what the chain does not
		err = l.dir.RemoveAhead()
	}
	return err
}

// networkLost is the error of a command that was ended because its network could not go on.
func networkLost(err error) error { return fmt.Errorf("the cell's network: %w", err) }

// closeNetwork waits until nothing is left of what served the cell.
func (l *life) closeNetwork() error {
	if l.Network == nil {
		return nil
	}
	return l.Network.Close()
}

// exercised is how many rules were used; nil where nothing counts.
func (l *life) exercised() *int {
	if l.Network == nil || l.Admitted.Uncounted {
		return nil
	}
	n := l.Network.Exercised()
	return &n
}

// egress lists what was granted, in the form of the flag --net.
func (l *life) egress() (list []string) {
	for _, r := range l.Authority.Network {
		list = append(list, r.String())
	}
	return list
}
