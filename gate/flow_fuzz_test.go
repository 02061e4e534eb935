package gate

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/authority"
)

// FuzzFlow: whatever a cell says on a web port, a server that reads it with another parser than ours sees requests for the granted name only,
// or a ClientHello with that name; one that it refuses is its own affair.
func FuzzFlow(f *testing.F) {
	const name = "web.example"
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: web.example:80\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: web.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.0\r\nHost: web.example\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: web.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcde",
		"GET / HTTP/1.1\r\nHost: web.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add(false, []byte(s))
	}
	ours, theirs := net.Pipe()
	go tls.Client(ours, &tls.Config{ServerName: name}).Handshake()
	hello := make([]byte, 4096)
	n, err := theirs.Read(hello)
	if err != nil {
		f.Fatal(err)
	}
	ours.Close()
	f.Add(true, hello[:n])
	f.Add(true, bytes.Replace(hello[:n], []byte(name), []byte("b"+name[1:]), 1))
	f.Fuzz(func(t *testing.T, secure bool, said []byte) {
		heard := make(chan []byte, 1)
		rule := authority.Rule{Host: name, Port: 80, Protocol: "http"}
		if secure {
			rule = authority.Rule{Host: name, Port: 443, Protocol: "https"}
		}
		c := newCell(t, false, func(context.Context, string, netip.AddrPort) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				b, _ := io.ReadAll(theirs)
				theirs.Close()
				heard <- b
			}()
			return closable{ours}, nil
		}, rule)
		conn, err := c.dial(t, name, rule.Port)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(said)
		conn.CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
		b := <-heard
		if len(b) > 0 && b[0] == 0x16 { // either may be spoken on either port
			if got, ok := serverName(b); ok && got != name {
				t.Fatalf("upstream was sent %q, which asks for %q", b, got)
			}
			return
		}
		for r := bufio.NewReader(bytes.NewReader(b)); ; {
			q, err := http.ReadRequest(r)
			if err == io.EOF {
				return
			}
			if err != nil {
				if errors.Is(err, io.ErrUnexpectedEOF) {
					return // the cell ended in the middle of it
				}
				t.Fatalf("upstream was sent %q: %v", b, err)
			}
			if host := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(q.Host), fmt.Sprint(":", rule.Port)), "."); host != name {
				t.Fatalf("upstream was sent %q, with a request for %q", b, q.Host)
			}
			if q.Header.Get("Upgrade") != "" {
				return // the rest belongs to that name
			}
			io.Copy(io.Discard, q.Body)
		}
	})
}

// closable is a connection one of whose directions can end; the other end sees that both have.
type closable struct{ net.Conn }

func (c closable) CloseWrite() error { return c.Close() }

// serverName is what a server of the standard library takes for the name in a ClientHello; false: it sees none that is whole.
func serverName(b []byte) (name string, ok bool) {
	ours, theirs := net.Pipe()
	go func() { ours.Write(b); ours.Close() }()
	go io.Copy(io.Discard, ours) // the alert
	defer theirs.Close()
	tls.Server(theirs, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = strings.ToLower(strings.TrimSuffix(h.ServerName, ".")), true
		return nil, errors.New("seen")
	}}).Handshake()
	return name, ok
}
