package resolve

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"cellos.io/cellos/gate/wire"
)

// maxUDP is what we say we take over UDP: 1232 bytes pass every link unfragmented (DNS flag day 2020).
const maxUDP = 1232

// dial connects to a server. One that is called by a name is looked for with the resolvers of the host.
func (r *Resolver) dial(ctx context.Context, network, endpoint string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	if _, err := netip.ParseAddr(host); err == nil {
		return d.DialContext(ctx, network, endpoint)
	}
	if r.Bootstrap == nil {
		return nil, fmt.Errorf("%w: %s is a name, and nobody is there to ask for it", ErrServer, host)
	}
	a, err := r.Bootstrap.Addresses(ctx, strings.ToLower(strings.TrimSuffix(host, ".")))
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w", host, err)
	}
	var errs []error
	for _, x := range a.Addrs {
		c, err := d.DialContext(ctx, network, net.JoinHostPort(x.String(), port))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// exchange puts one question to one server.
func (r *Resolver) exchange(ctx context.Context, s Server, q dnsmessage.Question) (*dnsmessage.Message, error) {
	switch s.Transport {
	case wire.HTTPS:
		return r.overHTTPS(ctx, s, q)
	case wire.TCP, wire.TLS:
		return r.overStream(ctx, s, q)
	}
	m, err := r.overUDP(ctx, s, q)
	if err == nil && m.Truncated {
		return r.overStream(ctx, Server{Transport: wire.TCP, Endpoint: s.Endpoint}, q)
	}
	return m, err
}

// question packs a question with a random id.
func question(q dnsmessage.Question, id uint16) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	if err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAdditionals()); err != nil {
		return nil, err
	}
	var h dnsmessage.ResourceHeader
	if err := errors.Join(h.SetEDNS0(maxUDP, dnsmessage.RCodeSuccess, false), b.OPTResource(h, dnsmessage.OPTResource{})); err != nil {
		return nil, err
	}
	return b.Finish()
}

func newID() uint16 {
	var b [2]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint16(b[:])
}

// accept parses a reply and checks that it answers the question.
func accept(raw []byte, id uint16, q dnsmessage.Question) (*dnsmessage.Message, error) {
	var p dnsmessage.Parser
	h, err := p.Start(raw)
	if err != nil {
		return nil, err
	}
	qs, err := p.AllQuestions()
	if err != nil {
		return nil, err
	}
	switch {
	case h.ID != id || !h.Response || h.OpCode != 0:
		return nil, errors.New("another id")
	case len(qs) != 1 || qs[0].Type != q.Type || qs[0].Class != q.Class || !strings.EqualFold(qs[0].Name.String(), q.Name.String()):
		return nil, errors.New("another question")
	}
	m := &dnsmessage.Message{Header: h, Questions: qs}
	if !h.Truncated {
		m.Answers, err = p.AllAnswers()
	}
	return m, err
}

// overUDP uses a connected socket of its own for each question, so that the kernel takes replies from that server only, and on a port
// that nobody can know.
func (r *Resolver) overUDP(ctx context.Context, s Server, q dnsmessage.Question) (*dnsmessage.Message, error) {
	c, err := r.dial(ctx, "udp", s.Endpoint)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	id := newID()
	msg, err := question(q, id)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	buf := make([]byte, 4096)
	// One retry: a datagram may be lost.
	for _, until := range []time.Time{time.Now().Add(time.Until(deadline) / 2), deadline} {
		if _, err := c.Write(msg); err != nil {
			return nil, err
		}
		c.SetReadDeadline(until)
		for {
			n, err := c.Read(buf)
			if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				break
			}
			if err != nil {
				return nil, err
			}
			if m, err := accept(buf[:n], id, q); err == nil {
				return m, nil
			}
			// What does not answer the question is somebody else's; the answer may still come.
		}
	}
	return nil, errTimeout
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// overStream asks over TCP, or TLS on top of it.
func (r *Resolver) overStream(ctx context.Context, s Server, q dnsmessage.Question) (*dnsmessage.Message, error) {
	c, err := r.dial(ctx, "tcp", s.Endpoint)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if t, ok := ctx.Deadline(); ok {
		c.SetDeadline(t)
	}
	if s.Transport == wire.TLS {
		name := s.Name
		if name == "" {
			name, _, _ = net.SplitHostPort(s.Endpoint)
		}
		t := tls.Client(c, &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12})
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		c = t
	}
	id := newID()
	msg, err := question(q, id)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	raw := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, raw); err != nil {
		return nil, err
	}
	return accept(raw, id, q)
}

// overHTTPS asks by POST. The id is 0, so that answers can be cached (RFC 8484 section 4.1). No proxy of the supervisor's environment
// is used, and no redirect is followed.
func (r *Resolver) overHTTPS(ctx context.Context, s Server, q dnsmessage.Question) (*dnsmessage.Message, error) {
	msg, err := question(q, 0)
	if err != nil {
		return nil, err
	}
	url, _, _ := strings.Cut(s.Endpoint, "{") // an RFC 6570 template names only the GET form
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(msg))
	if err != nil {
		return nil, err
	}
	const media = "application/dns-message"
	req.Header.Set("Content-Type", media)
	req.Header.Set("Accept", media)
	tr := &http.Transport{DialContext: r.dial, TLSClientConfig: &tls.Config{ServerName: s.Name, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 || !strings.HasPrefix(resp.Header.Get("Content-Type"), media) {
		return nil, fmt.Errorf("answered %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return nil, err
	}
	return accept(raw, 0, q)
}
