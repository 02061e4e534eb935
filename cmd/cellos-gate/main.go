// Program cellos-gate is the network of one cell: cellos starts it for cells that may reach something, and speaks with it on
// descriptor 3. It is not for people; what it does is in package gate.
package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/net/idna"

	"cellos.io/cellos/gate"
	"cellos.io/cellos/gate/resolve"
	"cellos.io/cellos/gate/wire"
)

func main() {
	// A packet's way has many short steps. On one processor at a time they follow each other on one thread; on several, threads wake each
	// other for each step, which takes twice the processor time and, on a busy host, several times as long (bench/network.sh). Package remote
	// says so in the environment, where it costs nothing; here the world is stopped for it.
	if runtime.GOMAXPROCS(0) != 1 {
		runtime.GOMAXPROCS(1)
	}
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	// --ascii NAME writes a name in its punycode form: the tables for it are here anyhow.
	if len(args) == 2 && args[0] == "--ascii" {
		name, err := idna.Lookup.ToASCII(args[1]) // UTS-46, non-transitional
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, name)
		return err
	}
	if len(args) > 0 {
		return errors.New("cellos-gate takes no arguments: cellos starts it")
	}
	conn, err := wire.NewConn(os.NewFile(3, "supervisor"))
	if err != nil {
		return errors.New("cellos-gate is started by cellos, which speaks on descriptor 3")
	}
	m, _, err := conn.Receive()
	if err != nil || m.Kind != wire.Prepare || m.Config == nil {
		return nil // the run was refused before there was a cell
	}
	s := &server{conn: conn, recorder: newRecorder(conn)}
	c, err := s.config(m)
	if err == nil {
		err = confine() // while the cell is built: nothing of it has been read
	}
	if err != nil {
		return err
	}
	g, err := gate.New(c)
	if err != nil {
		return err
	}
	m, files, err := s.secrets(g, c)
	switch {
	case err != nil:
		return nil
	case m.Kind == wire.Ask && m.Question != nil:
		go func() {
			text := ""
			if err := g.Ask(*m.Question, s.recorder); err != nil {
				text = err.Error()
			}
			conn.Send(wire.Message{Kind: wire.Ready, Error: text})
		}()
		return s.serve(g)
	case m.Kind != wire.Open:
		return fmt.Errorf("a message %q before the link is open", m.Kind)
	}
	text := ""
	if err := s.open(g, m, files); err != nil {
		text = err.Error()
	}
	if err := conn.Send(wire.Message{Kind: wire.Ready, Error: text}); err != nil || text != "" {
		return err
	}
	go func() {
		if err, ok := <-g.Failed(); ok {
			s.flush()
			conn.Send(wire.Message{Kind: wire.Failed, Error: err.Error()})
		}
	}()
	return s.serve(g)
}

// A server is the gate's side of the conversation.
type server struct {
	*recorder
	conn  *wire.Conn
	vouch *x509.CertPool // for servers that get secrets; nil: there are none

	mu      sync.Mutex
	refused []wire.Refused
}

// config is the gate's configuration: what the supervisor sent, and what this host is.
func (s *server) config(m wire.Message) (gate.Config, error) {
	c := gate.Config{Config: *m.Config, Denied: s.denied}
	servers, hosts := resolve.ParseConf(hostFile("/etc/resolv.conf")), resolve.ParseHosts(hostFile("/etc/hosts"))
	if len(c.Servers) == 0 {
		c.Servers, c.Hosts = servers, hosts
	}
	c.Bootstrap = resolve.New(servers, hosts)
	if err := s.vouching(&c); err != nil {
		return c, err
	}
	if slices.ContainsFunc(c.Servers, func(s wire.Server) bool { return s.Transport == wire.TLS || s.Transport == wire.HTTPS }) {
		x509.SystemCertPool() // read now: there are no files later
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return c, fmt.Errorf("listing the host's addresses, which no name may lead to: %w", err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			c.Own = append(c.Own, p.Addr())
		}
	}
	return c, nil
}

// open has a gate serve the link that the supervisor sent.
func (s *server) open(g *gate.Gate, m wire.Message, files []*os.File) error {
	l := gate.Link{Ethernet: m.Ethernet, Offload: m.Offload}
	if m.Device && len(files) > 0 {
		l.Device, files = files[0], files[1:]
	}
	if n := len(files) - 1; m.Ring && n >= 0 {
		s.ring, files = files[n], files[:n]
	}
	for _, f := range files {
		if pc, err := net.FilePacketConn(f); err == nil {
			l.UDP = append(l.UDP, pc)
		} else if t, err := net.FileListener(f); err == nil {
			l.TCP = append(l.TCP, t)
		} else {
			return fmt.Errorf("serving names on a socket of the cell: %w", err)
		}
		f.Close()
	}
	return g.Open(l, s.recorder)
}

// hostFile reads a file that a host need not have.
func hostFile(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}

// serve does what the supervisor says until it ends.
func (s *server) serve(g *gate.Gate) error {
	for {
		m, _, err := s.conn.Receive()
		if err != nil {
			os.Exit(0) // nobody is there who could record anything: nothing may pass any more
		}
		switch m.Kind {
		case wire.Release:
			g.Release()
		case wire.Written:
			s.written(m)
		case wire.Close:
			go func() {
				g.Close()
				use := g.Use()
				s.mu.Lock()
				list := slices.Clone(s.refused)
				s.mu.Unlock()
				s.send(wire.Message{Kind: wire.Account, Use: &use, Refused: list})
				s.flush()
			}()
		}
	}
}

// maxRefused bounds the different refusals that are told; all are counted in the account.
const maxRefused = 64

// denied tells a refusal that is new, and counts the others.
func (s *server) denied(r wire.Refused) {
	s.mu.Lock()
	for i := range s.refused {
		if x := &s.refused[i]; x.Name == r.Name && x.Addr == r.Addr && x.UDP == r.UDP && x.Reason == r.Reason {
			x.Count++
			s.mu.Unlock()
			return
		}
	}
	if len(s.refused) >= maxRefused {
		s.mu.Unlock()
		return
	}
	r.Count = 1
	s.refused = append(s.refused, r)
	s.mu.Unlock()
	s.send(wire.Message{Kind: wire.Denied, Refused: []wire.Refused{r}})
}
