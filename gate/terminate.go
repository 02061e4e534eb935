package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/http1"
	"cellos.io/cellos/gate/inject"
	"cellos.io/cellos/gate/wire"
)

// Inject has the gate open the TLS of the rules that put secrets into requests. It is called before Open, if at all; without it such a rule
// lets nothing pass.
func (g *Gate) Inject(o *inject.Opener) { g.opener = o }

// Injects reports whether a rule puts secrets into requests.
func (g *Gate) Injects() bool { return len(authority.Opened(g.cfg.Rules)) > 0 }

// terminate is the server that the cell asked for, and passes its requests on with the secrets of the rule. Raw is the ClientHello.
func (f *tcpFlow) terminate(raw []byte, code, name string) error {
	defer close(f.down)
	if code != codeSNIMatch || name != f.to.name { // what cdnAuthority lets pass is not for a server that gets a secret
		return f.refuse(codeMismatch, name)
	}
	if f.gate.opener == nil {
		return errors.New("nothing opens the TLS of " + f.rule.ref)
	}
	if err := f.allow(codeTerminated, name); err != nil {
		return err
	}
	cell := opened{Conn: f.cell, f: f, from: io.MultiReader(bytes.NewReader(raw), f.cell)}
	return f.gate.opener.Serve(cell, beyond{Conn: f.up.Conn, f: f}, inject.Site{
		Name: f.to.name, Inject: f.rule.Inject, Request: f.injected,
		Forbidden: func(bad *http1.Refusal) { f.refuse(f.codeOf(bad), bad.Host) },
		Refused: func(code, why string) {
			j := f.gate.journal
			j.denied(evidence.SourceSNIProxy, code, j.name(false, code, f.rule.ref, f.to.name))
			j.deny(wire.Refused{Name: f.to.name, Reason: code, Why: why})
		},
	})
}

// injected decides on a request into which secrets are put.
func (f *tcpFlow) injected(q *http1.Request, n int) error {
	if q.Host != f.to.name || q.Port != "" && q.Port != fmt.Sprint(f.rule.Port) {
		return &http1.Refusal{Host: q.Host, Why: "another host"}
	}
	if err := f.rule.request(); err != nil {
		return f.spent(err)
	}
	if n > 0 {
		return nil
	}
	return f.allow(codeInjected, q.Host)
}

// opened is the cell's side of a connection.
type opened struct {
	net.Conn
	f    *tcpFlow
	from io.Reader
}

func (c opened) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.f.up.touch()
	return n, err
}

// beyond is the other side: it is metered, as what passes without being opened is.
type beyond struct {
	net.Conn
	f *tcpFlow
}

func (c beyond) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.f.up.touch()
		m, terr := c.f.rule.in(n)
		if terr != nil {
			return m, c.f.spent(terr)
		}
	}
	return n, err
}

func (c beyond) Write(b []byte) (int, error) {
	c.f.up.touch()
	n, terr := c.f.rule.out(len(b))
	m, err := c.Conn.Write(b[:n])
	if err == nil {
		err = c.f.spent(terr)
	}
	return m, err
}

// Close leaves the connection open: it is the flow's.
func (c beyond) Close() error { return c.Conn.SetDeadline(time.Unix(1, 0)) }

// Close leaves the connection open: it is the flow's.
func (c opened) Close() error { return c.Conn.SetDeadline(time.Unix(1, 0)) }
