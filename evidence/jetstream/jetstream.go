// Package jetstream publishes events to NATS JetStream: each is acknowledged by the server, and carries its event id as message id, by
// which the stream drops what comes twice.
//
//	p, err := jetstream.New(jetstream.Config{URL: "nats://127.0.0.1:4222", Subject: "cellos.events.v1"})
//	sink := delivery.New(p, delivery.Config{Patience: 10 * time.Second})
//
// It speaks only the part of the protocol that a publisher needs, without a goroutine, on a connection that is made anew when it
// breaks. Why it does not use the client library that its tests use: docs/adr/0021-jetstream-publisher.md.
//
// The protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
package jetstream

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/delivery"
)

// Config says where events go.
type Config struct {
	// URL names a server: nats://host:4222 or tls://host, with user:password@ or token@ where it is asked for. Several are
	// separated by commas; they are tried in order.
	URL string
	// Subject is that of every message. Each event's data.tenantId goes into it for "{tenantId}", and "single" for an event that has none.
	Subject string
	Roots   *x509.CertPool // root certificates; nil: the system's

	Connect time.Duration // for making a connection; 0: 5 s
	Ack     time.Duration // for the acknowledgements of one delivery; 0: 5 s
}

// Publisher is a delivery.Transport. It is used by one goroutine at a time.
type Publisher struct {
	c       Config
	servers []*url.URL
	conn    *conn  // nil: not connected
	stream  string // that took something; "" before the first acknowledgement
}

// New checks the configuration, and does not connect.
func New(c Config) (*Publisher, error) {
	if c.Connect == 0 {
		c.Connect = 5 * time.Second
	}
	if c.Ack == 0 {
		c.Ack = 5 * time.Second
	}
	p := &Publisher{c: c}
	if err := checkSubject(c.Subject); err != nil {
		return nil, err
	}
	for text := range strings.SplitSeq(c.URL, ",") {
		text = strings.TrimSpace(text)
		if text != "" && !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Hostname() == "":
			return nil, errors.New("no URL of a server, such as nats://127.0.0.1:4222") // and never what stands there: it may hold a password
		case u.Scheme != "nats" && u.Scheme != "tls":
			return nil, fmt.Errorf("the scheme %q is neither nats nor tls", u.Scheme)
		case u.Path != "" && u.Path != "/" || u.RawQuery != "":
			return nil, errors.New("the URL of a server ends with its port")
		}
		p.servers = append(p.servers, u)
	}
	return p, nil
}

// checkSubject refuses what cannot be published to, and what would break the protocol's lines.
func checkSubject(s string) error {
	if s == "" || len(s) > 1024 {
		return errors.New("a subject has 1 to 1024 bytes")
	}
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || token == "*" || token == ">" {
			return fmt.Errorf("subject %q: a part is empty or a wildcard", s)
		}
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("subject %q: blanks and control characters are not allowed", s)
	}
	return nil
}

// Connect connects, if there is no connection: whoever wants to know before the first delivery whether there is a server.
func (p *Publisher) Connect(ctx context.Context) error { return p.connect(ctx) }

// Servers names the servers, without what lets one in.
func (p *Publisher) Servers() string {
	var names []string
	for _, u := range p.servers {
		names = append(names, u.Host)
	}
	return strings.Join(names, ", ")
}

func (p *Publisher) connect(ctx context.Context) error {
	if p.conn != nil {
		return nil
	}
	var errs []error
	for _, u := range p.servers {
		ctx, cancel := context.WithTimeout(ctx, p.c.Connect)
		c, err := dial(ctx, u, p.c.Roots)
		cancel()
		if err == nil {
			p.conn = c
			return nil
		}
		errs = append(errs, fmt.Errorf("connecting to NATS at %s: %w", u.Host, err))
	}
	return errors.Join(errs...)
}

// Deliver publishes lines, and waits for their acknowledgements.
func (p *Publisher) Deliver(ctx context.Context, lines [][]byte) (n int, err error) {
	if err := p.connect(ctx); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.Ack)
	defer cancel()
	if n, err = p.publish(ctx, lines); err != nil {
		p.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("no acknowledgement within %v: %w", p.c.Ack, err)
		}
		err = fmt.Errorf("publishing to NATS at %s: %w", p.Servers(), err)
	}
	return n, err
}

// window is how many messages may wait for their acknowledgement.
const window = 64

func (p *Publisher) publish(ctx context.Context, lines [][]byte) (done int, err error) {
	defer p.conn.within(ctx)()
	for done < len(lines) {
		some := lines[done:min(done+window, len(lines))]
		n, err := p.batch(some)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// batch publishes up to window lines and returns how many were acknowledged, counted from the first.
func (p *Publisher) batch(lines [][]byte) (int, error) {
	var out []byte
	var random [8]byte
	rand.Read(random[:])
	reply := p.conn.inbox + hex.EncodeToString(random[:]) + "."
	for i, line := range lines {
		e, err := evidence.ParseEvent(line[:len(line)-1])
		if err != nil {
			return 0, delivery.Permanent(err)
		}
		header := "NATS/1.0\r\nNats-Msg-Id: " + oneLine(e.ID) + "\r\n\r\n"
		body := line[:len(line)-1]
		if most := p.conn.maxPayload; len(header)+len(body) > most {
			return 0, delivery.Permanent(fmt.Errorf("event %s has %d bytes, and the server takes %d", e.ID, len(body), most))
		}
		subject, err := p.subject(e)
		if err != nil {
			return 0, delivery.Permanent(err)
		}
		out = fmt.Appendf(out, "HPUB %s %s%d %d %d\r\n%s", subject, reply, i, len(header), len(header)+len(body), header)
		out = append(append(out, body...), "\r\n"...)
	}
	if _, err := p.conn.Write(out); err != nil {
		return 0, err
	}
	acked := make([]bool, len(lines))
	for left := len(lines); left > 0; {
		m, err := p.conn.next()
		if err != nil {
			return leading(acked), err
		}
		number, ours := strings.CutPrefix(m.subject, reply)
		i, err := strconv.Atoi(number)
		if !ours || err != nil || i < 0 || i >= len(lines) || acked[i] {
			continue // late, from a delivery that was given up
		}
		if err := p.ack(m); err != nil {
			return leading(acked), err
		}
		acked[i] = true
		left--
	}
	return len(lines), nil
}

func leading(acked []bool) (n int) {
	for n < len(acked) && acked[n] {
		n++
	}
	return n
}

// subject is what an event is published under.
func (p *Publisher) subject(e evidence.Event) (string, error) {
	const placeholder = "{tenantId}"
	if !strings.Contains(p.c.Subject, placeholder) {
		return p.c.Subject, nil
	}
	var data struct {
		TenantID string `json:"tenantId"`
	}
	if json.Unmarshal(e.Data, &data) != nil || data.TenantID == "" {
		data.TenantID = "single"
	}
	s := strings.ReplaceAll(p.c.Subject, placeholder, data.TenantID)
	return s, checkSubject(s)
}

// oneLine keeps an event id, which is a UUID, from becoming a header of its own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, s)
}

// ack reads an acknowledgement (JSApiPubAckResponse).
func (p *Publisher) ack(m message) error {
	if m.status != "" {
		err := fmt.Errorf("no JetStream stream takes subject %s (status %s)", p.c.Subject, m.status)
		if p.stream == "" {
			return delivery.Permanent(err)
		}
		return err // it did: the server is starting
	}
	var a struct {
		Stream string
		Error  *struct {
			Code        int
			Description string
		}
	}
	if err := json.Unmarshal(m.payload, &a); err != nil {
		return delivery.Permanent(errors.New("the acknowledgement is not one of JetStream's"))
	}
	switch {
	case a.Error != nil:
		err := fmt.Errorf("JetStream: %s (code %d)", oneLine(brief(a.Error.Description)), a.Error.Code)
		if a.Error.Code < 500 {
			return delivery.Permanent(err)
		}
		return err
	case a.Stream == "":
		return delivery.Permanent(errors.New("the acknowledgement names no stream"))
	}
	p.stream = a.Stream
	return nil
}

func brief(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// Close closes the connection; the next delivery makes another one.
func (p *Publisher) Close() error {
	if p.conn == nil {
		return nil
	}
	err := p.conn.Close()
	p.conn = nil
	return err
}
