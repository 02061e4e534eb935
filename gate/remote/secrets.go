package remote

import (
	"errors"
	"fmt"
	"os"
	"time"

	"cellos.io/cellos/gate/wire"
	"cellos.io/cellos/secret"
)

// Certificate waits for the certificate, in DER, of the authority that a gate makes whose rules inject secrets. It is called once, after
// Prepare and before Open.
func (g *Gate) Certificate() ([]byte, error) {
	select {
	case der := <-g.vouched:
		if len(der) == 0 {
			return nil, errors.New("the gate has no certificate of its own")
		}
		return der, nil
	case err := <-g.failed:
		g.failed <- err // for whoever asks next
		return nil, fmt.Errorf("waiting for the gate's certificate: %w", err)
	case <-time.After(openTime):
		return nil, fmt.Errorf("the gate made no certificate within %v", openTime)
	}
}

// Secrets hands over the values that the rules inject, each in a pipe, so that no message and no copy of one has them. It is called before Open.
func (g *Gate) Secrets(values []secret.Variable) error {
	m := wire.Message{Kind: wire.Values}
	var theirs, ours []*os.File
	defer func() {
		for _, f := range append(theirs, ours...) {
			f.Close()
		}
	}()
	for _, v := range values {
		r, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("handing secrets to the gate: %w", err)
		}
		m.Secrets, theirs, ours = append(m.Secrets, v.Name), append(theirs, r), append(ours, w)
	}
	if err := g.conn.Send(m, theirs...); err != nil {
		return fmt.Errorf("handing secrets to the gate: %w", err)
	}
	for i, v := range values {
		// A gate that is gone has closed its end, and ours of it is closed here: nobody waits.
		theirs[i].Close()
		err := v.Value.Use(func(b []byte) error { _, err := ours[i].Write(b); return err })
		if err != nil {
			return fmt.Errorf("handing secret %s to the gate: %w", v.Name, err)
		}
		ours[i].Close()
	}
	return nil
}
