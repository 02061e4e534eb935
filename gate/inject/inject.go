package inject

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/gate/http1"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/scrub"
)

// Reason codes of what is refused on a connection whose TLS is open, besides those of names.
const (
	CodeServer = "l7_server_certificate_refused" // it is not the server, or its TLS is not good enough; nothing was sent to it
	CodeClient = "l7_client_tls_failed"          // the cell does not know the authority, or speaks no HTTP that the server speaks
	CodeAnswer = "l7_answer_refused"             // an answer in which values could not be found
	CodeLimit  = "limit_reached"                 // more requests of HTTP/2 at once than there may be
)

// handshakeTime bounds each of the two handshakes.
const handshakeTime = 10 * time.Second

// An Opener opens the TLS of the rules of one run. Take is called before Serve, which may be called concurrently.
type Opener struct {
	ca      *ca
	roots   *x509.CertPool
	values  map[string]string // by name; "" until Take
	basic   map[string]bool   // names whose values are user and password in base64 (RFC 7617)
	known   scrub.Set
	streams atomic.Int64 // that are served
	names   scrub.Set    // the values as names of fields have them, in lower case
}

// New makes an opener for those of the rules that inject something. Roots are those of the servers' certificates; lifetime is that of the run.
func New(rules []authority.Rule, roots *x509.CertPool, lifetime time.Duration) (*Opener, error) {
	a, err := newCA(authority.Opened(rules), lifetime)
	if err != nil {
		return nil, err
	}
	o := &Opener{ca: a, roots: roots, values: map[string]string{}, basic: map[string]bool{}}
	o.known.Streamed = true
	for _, r := range rules {
		for _, x := range r.Inject {
			o.values[x.Secret] = ""
			o.basic[x.Secret] = o.basic[x.Secret] || strings.EqualFold(x.Prefix, "basic ")
		}
	}
	return o, nil
}

// Certificate is that of the authority, in DER.
func (o *Opener) Certificate() []byte { return o.ca.cert.Raw }

// Take takes the value of a secret. It copies it.
func (o *Opener) Take(name string, value []byte) error {
	if _, ok := o.values[name]; !ok {
		return fmt.Errorf("secret %s: no rule injects it", name)
	}
	if err := secret.CheckHeader(value); err != nil {
		return fmt.Errorf("secret %s: %w", name, err)
	}
	o.values[name] = string(value)
	find := [][]byte{value}
	if o.basic[name] {
		if pair, err := base64.StdEncoding.DecodeString(string(value)); err == nil {
			_, password, _ := bytes.Cut(pair, []byte(":"))
			find = append(find, pair, password)
		}
	}
	for _, b := range find {
		err := o.known.Add(secret.Take(bytes.Clone(b)))
		if err == nil {
			err = o.names.Add(secret.Take(bytes.ToLower(b)))
		}
		if err != nil {
			return fmt.Errorf("secret %s: %w", name, err)
		}
	}
	return nil
}

// Ready reports whether every value is there.
func (o *Opener) Ready() error {
	for name, v := range o.values {
		if v == "" {
			return fmt.Errorf("secret %s: there is no value of it to put into requests", name)
		}
	}
	return nil
}

// Clean is a text without the values.
func (o *Opener) Clean(text string) string { return o.known.Text(text) }

// A Site is whom one connection is for.
type Site struct {
	Name   string // lower case; the only one that the cell may ask for on it
	Inject []authority.Injection

	// Request decides on a request, the first of the connection is number 0. An *http1.Refusal is answered; another error ends the connection.
	Request func(q *http1.Request, n int) error
	// Refused is told, before the cell is, of what is not passed on. The second text is clean.
	Refused func(code, why string)
	// Forbidden is told of a request that is not passed on, before it is answered.
	Forbidden func(bad *http1.Refusal)
}

// ErrRefused is returned when Refused was told, and the connection is to be reset.
var ErrRefused = errors.New("refused")

// Serve carries the requests of one connection until either side ends. What the cell sent before is in what cell reads. An error means that the
// cell's connection must be reset, so that nothing is taken for a whole answer.
func (o *Opener) Serve(cell, server net.Conn, s Site) error {
	refuse := func(code string, err error) error {
		s.Refused(code, o.Clean(err.Error()))
		return ErrRefused
	}
	leaf, err := o.ca.leaf(s.Name)
	if err != nil {
		return err
	}
	var up, down *tls.Conn
	var refused error
	// The server comes first: what is spoken with it is what is spoken with the cell, which is asked for no more than it offered.
	down = tls.Server(cell, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		offered := []string{protoHTTP1}
		if slices.Contains(h.SupportedProtos, protoHTTP2) {
			offered = []string{protoHTTP2, protoHTTP1}
		}
		up = tls.Client(server, &tls.Config{ServerName: s.Name, RootCAs: o.roots, MinVersion: tls.VersionTLS12, NextProtos: offered})
		if err := handshake(up); err != nil {
			refused = refuse(CodeServer, err)
			return nil, err
		}
		spoken := protoHTTP1
		if up.ConnectionState().NegotiatedProtocol == protoHTTP2 {
			spoken = protoHTTP2
		}
		down.SetDeadline(time.Now().Add(handshakeTime))
		return &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12, NextProtos: []string{spoken}, SessionTicketsDisabled: true}, nil
	}})
	err = handshake(down)
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return refuse(CodeClient, err)
	case up.ConnectionState().NegotiatedProtocol != protoHTTP2:
	case down.ConnectionState().NegotiatedProtocol != protoHTTP2:
		return refuse(CodeClient, errors.New("it speaks no HTTP/2, which it had offered"))
	default:
		return newStreams(o, s, down, up).run()
	}
	return newExchange(o, s, down, up).run()
}

// The protocols that are spoken, as they are negotiated (RFC 7301).
const (
	protoHTTP1 = "http/1.1"
	protoHTTP2 = "h2"
)

func handshake(c *tls.Conn) error {
	c.SetDeadline(time.Now().Add(handshakeTime))
	defer c.SetDeadline(time.Time{})
	return c.Handshake()
}

// added are the fields that the rule adds to each request.
func (o *Opener) added(list []authority.Injection) (add []http1.Field) {
	for _, x := range list {
		add = append(add, http1.Field{Name: x.Header, Value: x.Prefix + o.values[x.Secret]})
	}
	return add
}

// hopByHop are fields that are for the next recipient only (RFC 9110 section 7.6.1), and those with which a client or a server would undo
// what is done here: a part of an answer may have a part of a value, and another way to the server is none that was granted.
var hopByHop = []string{"alt-svc", "connection", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"}

// ownRequest are fields of requests that are the gate's to say. In gRPC and Connect each message of a body can be compressed by itself.
var ownRequest = []string{"a-im", "accept-encoding", "connect-accept-encoding", "grpc-accept-encoding", "if-range", "range"}

// encodings are fields of answers that say what a body was made into.
var encodings = []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"}

// rewrite makes a request the one that is passed on.
func rewrite(q *http1.Request, add []http1.Field) {
	drop := slices.Concat(hopByHop, ownRequest)
	for _, f := range q.Fields {
		if strings.EqualFold(f.Name, "connection") {
			for n := range strings.SplitSeq(f.Value, ",") {
				drop = append(drop, strings.ToLower(strings.TrimSpace(n)))
			}
		}
	}
	for _, f := range add {
		drop = append(drop, strings.ToLower(f.Name))
	}
	kept := q.Fields[:0]
	for _, f := range q.Fields {
		name := strings.ToLower(f.Name)
		// Servers behind CGI cannot tell the two apart (RFC 3875 section 4.1.18).
		if !slices.Contains(drop, name) && !slices.Contains(drop, strings.ReplaceAll(name, "_", "-")) {
			kept = append(kept, f)
		}
	}
	q.Fields = append(kept, http1.Field{Name: "Accept-Encoding", Value: "identity"})
	if q.Close {
		q.Fields = append(q.Fields, http1.Field{Name: "Connection", Value: "close"})
	}
	q.Fields = append(q.Fields, add...)
}
