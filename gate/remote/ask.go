package remote

import (
	"fmt"
	"os"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/wire"
)

// Ask has a gate of its own put a question before the run, and returns the events that are the answer. Waiting is the time that it may
// take.
func Ask(program string, env []string, c wire.Config, q wire.Question, waiting time.Duration) ([]evidence.Payload, error) {
	g, err := Start(program, env, func(wire.Refused) {})
	if err != nil {
		return nil, err
	}
	defer g.Close()
	g.Prepare(c)
	var got heard
	g.rec = &got
	if err := g.conn.Send(wire.Message{Kind: wire.Ask, Question: &q}); err != nil {
		return nil, fmt.Errorf("asking the gate: %w", err)
	}
	select {
	case err := <-g.ready:
		if err != nil {
			return nil, fmt.Errorf("asking the gate: %w", err)
		}
		return got, nil
	case <-time.After(waiting):
		return nil, fmt.Errorf("the gate gave no answer within %v", waiting)
	}
}

// heard is a Recorder that keeps what it is told.
type heard []evidence.Payload

func (h *heard) Append(_ string, p evidence.Payload) error {
	*h = append(*h, p)
	return nil
}
func (h *heard) Sync() error              { return nil }
func (h *heard) Ahead() (*os.File, error) { return nil, nil }
