package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/gate"
	"cellos.io/cellos/gate/inject"
	"cellos.io/cellos/gate/wire"
	"cellos.io/cellos/secret"
)

// vouching reads who vouches for the servers that get secrets, while there are files.
func (s *server) vouching(c *gate.Config) error {
	if len(authority.Opened(c.Rules)) == 0 {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return fmt.Errorf("reading the host's certificates: %w", err)
	}
	if len(c.Roots) > 0 && !pool.AppendCertsFromPEM(c.Roots) {
		return errors.New("the further certificates are none in PEM")
	}
	s.vouch, c.Config.Roots = pool, nil
	return nil
}

// secrets makes what puts secrets into requests, if rules ask for it, and takes the values. It returns the first message that is for another
// purpose.
func (s *server) secrets(g *gate.Gate, c gate.Config) (m wire.Message, files []*os.File, err error) {
	var o *inject.Opener
	if s.vouch != nil {
		if o, err = inject.New(c.Rules, s.vouch, c.Life); err != nil {
			s.conn.Send(wire.Message{Kind: wire.Failed, Error: err.Error()})
			return m, nil, err
		}
		if err := s.conn.Send(wire.Message{Kind: wire.Vouch, Certificate: o.Certificate()}); err != nil {
			return m, nil, err
		}
	}
	m, files, err = s.conn.Receive()
	if err == nil && m.Kind == wire.Values && o != nil {
		if err := take(o, m.Secrets, files); err != nil {
			s.conn.Send(wire.Message{Kind: wire.Failed, Error: err.Error()})
			return m, nil, err
		}
		g.Inject(o)
		m, files, err = s.conn.Receive()
	}
	return m, files, err
}

// take reads each value from its descriptor.
func take(o *inject.Opener, names []string, files []*os.File) error {
	for i, f := range files {
		defer f.Close()
		if i >= len(names) {
			return errors.New("a secret without a name")
		}
		b := make([]byte, secret.MaxHeader+1)
		n, err := io.ReadFull(f, b)
		if err != io.ErrUnexpectedEOF && err != io.EOF {
			return fmt.Errorf("reading secret %s: it is longer than %d bytes", names[i], secret.MaxHeader)
		}
		err = o.Take(names[i], b[:n])
		clear(b)
		if err != nil {
			return err
		}
	}
	return o.Ready()
}
