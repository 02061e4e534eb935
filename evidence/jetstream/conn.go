package jetstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/evidence/delivery"
)

const (
	maxInfo = 1 << 20  // of the server's INFO line, which lists a cluster
	maxArgs = 64 << 10 // of every other line
	maxBody = 1 << 20  // of a message to us: an acknowledgement has some 50 bytes
)

// conn is one connection, greeted and subscribed to its inbox.
type conn struct {
	net.Conn
	in         *bufio.Reader
	inbox      string // begin of the subjects that come here, ends with a dot
	maxPayload int
}

// info is what we use of the server's INFO.
type info struct {
	MaxPayload  int  `json:"max_payload"`
	Headers     bool `json:"headers"`
	TLSRequired bool `json:"tls_required"`
}

func dial(ctx context.Context, u *url.URL, roots *x509.CertPool) (*conn, error) {
	port := u.Port()
	if port == "" {
		port = "4222"
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, reason(err)
	}
	c := &conn{Conn: raw, in: bufio.NewReaderSize(raw, maxArgs)}
	stop := c.within(ctx)
	err = c.greet(ctx, u, roots)
	stop()
	if err != nil {
		c.Close()
		return nil, reason(err)
	}
	return c, nil
}

// reason drops the addresses that net adds, which the caller names.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// within bounds everything on the connection by ctx, until the function it returns is called.
func (c *conn) within(ctx context.Context) (stop func()) {
	on := c.Conn // greet may put TLS over it
	on.SetDeadline(time.Time{})
	end := context.AfterFunc(ctx, func() { on.SetDeadline(time.Unix(1, 0)) })
	return func() { end() }
}

// greet: the server says INFO, we say CONNECT and PING, it says PONG or why not.
func (c *conn) greet(ctx context.Context, u *url.URL, roots *x509.CertPool) error {
	line, err := c.line(maxInfo)
	if err != nil {
		return err
	}
	text, ok := bytes.CutPrefix(line, []byte("INFO "))
	var server info
	if !ok || json.Unmarshal(text, &server) != nil {
		return delivery.Permanent(errors.New("it is no NATS server"))
	}
	if !server.Headers || server.MaxPayload <= 0 {
		return delivery.Permanent(errors.New("the server is too old: it knows no headers"))
	}
	c.maxPayload = server.MaxPayload
	if server.TLSRequired || u.Scheme == "tls" {
		t := tls.Client(c.Conn, &tls.Config{ServerName: u.Hostname(), RootCAs: roots, MinVersion: tls.VersionTLS12})
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
		c.Conn, c.in = t, bufio.NewReaderSize(t, maxArgs)
	}
	hello := map[string]any{"verbose": false, "pedantic": false, "tls_required": u.Scheme == "tls", "name": "cellos", "lang": "go", "version": "1",
		"protocol": 1, "echo": false, "headers": true, "no_responders": true}
	if password, set := u.User.Password(); set {
		hello["user"], hello["pass"] = u.User.Username(), password
	} else if u.User != nil {
		hello["auth_token"] = u.User.Username()
	}
	text, err = json.Marshal(hello)
	if err != nil {
		return err
	}
	var random [16]byte
	rand.Read(random[:])
	c.inbox = "_INBOX." + hex.EncodeToString(random[:]) + "."
	if _, err := fmt.Fprintf(c, "CONNECT %s\r\nSUB %s> 1\r\nPING\r\n", text, c.inbox); err != nil {
		return err
	}
	for {
		line, err := c.line(maxInfo)
		if err != nil {
			return err
		}
		if string(line) == "PONG" {
			return nil
		}
		if err := c.control(line); err != nil {
			return err
		}
	}
}

// line reads one line, without its end.
func (c *conn) line(most int) ([]byte, error) {
	var long []byte
	for {
		part, err := c.in.ReadSlice('\n')
		if len(long)+len(part) > most {
			return nil, delivery.Permanent(fmt.Errorf("the server sends a line of more than %d bytes", most))
		}
		if err == bufio.ErrBufferFull {
			long = append(long, part...)
			continue
		}
		if err == io.EOF {
			err = errors.New("the server closed the connection")
		}
		if err != nil {
			return nil, err
		}
		return bytes.TrimRight(append(long, part...), "\r\n"), nil
	}
}

// control does what a line asks that is no message.
func (c *conn) control(line []byte) error {
	word, rest, _ := strings.Cut(string(line), " ")
	switch strings.ToUpper(word) {
	case "PING":
		_, err := io.WriteString(c, "PONG\r\n")
		return err
	case "PONG", "+OK", "INFO":
		return nil
	case "-ERR":
		err := errors.New("the server says " + oneLine(brief(rest)))
		if l := strings.ToLower(rest); strings.Contains(l, "authorization") || strings.Contains(l, "permissions") || strings.Contains(l, "maximum payload") {
			return delivery.Permanent(err)
		}
		return err
	}
	return errors.New("the server does not speak the NATS protocol")
}

// message is what came to the inbox.
type message struct {
	subject string
	status  string // of the header: 503 when nobody listens
	payload []byte
}

// next reads the next message.
func (c *conn) next() (m message, err error) {
	for {
		line, err := c.line(maxArgs)
		if err != nil {
			return m, err
		}
		f := strings.Fields(string(line))
		switch {
		case len(f) == 4 && strings.EqualFold(f[0], "MSG"): // MSG subject sid bytes
			m.subject = f[1]
			m.payload, err = c.body(f[3])
			return m, err
		case len(f) == 5 && strings.EqualFold(f[0], "HMSG"): // HMSG subject sid header-bytes bytes
			m.subject = f[1]
			body, err := c.body(f[4])
			if err != nil {
				return m, err
			}
			n, err := strconv.Atoi(f[3])
			if err != nil || n < 0 || n > len(body) {
				return m, errors.New("the server does not speak the NATS protocol")
			}
			first, _, _ := strings.Cut(string(body[:n]), "\r\n")
			if words := strings.Fields(strings.TrimPrefix(first, "NATS/1.0")); len(words) > 0 {
				m.status = brief(words[0])
			}
			m.payload = body[n:]
			return m, nil
		}
		if err := c.control(line); err != nil {
			return m, err
		}
	}
}

// body reads a payload of size bytes, and the end of line behind it.
func (c *conn) body(size string) ([]byte, error) {
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > maxBody {
		return nil, delivery.Permanent(errors.New("the server sends a message of an impossible size"))
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, err
	}
	return b[:n], nil
}
