// Package http1 reads the requests of a cleartext HTTP/1 connection one after the other and writes them anew, so that both ends see
// the same requests, and so that every one can be checked, not the first only.
//
//	r := http1.NewReader(conn)
//	for {
//		q, err := r.Next()           // *Refusal: the request is not one that two servers read alike
//		if q.Host != name { … }      // the caller's decision
//		err = q.WriteTo(upstream)    // head, then body
//	}
//
// What servers are known to read differently (request smuggling) is refused: bare line feeds, folded lines, blanks before a colon,
// more than one Host or length, Content-Length beside Transfer-Encoding. Responses are not looked at.
package http1

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// MaxHead bounds the request line and the fields of one request, in bytes.
const MaxHead = 64 << 10

// A Refusal is a request that is not passed on.
type Refusal struct {
	Host string // if it could be read
	Why  string
	// NoHost says that the only thing wrong is that no host is named.
	NoHost bool
}

func (r *Refusal) Error() string { return r.Why }

func refuse(host, format string, a ...any) *Refusal {
	return &Refusal{Host: host, Why: fmt.Sprintf(format, a...)}
}

// A Reader reads requests. It is not for concurrent use.
type Reader struct {
	Scheme string // of targets that are whole URLs; "" means http

	br  *bufio.Reader
	src io.Reader
}

// NewReader returns a Reader. Its buffer grows with the heads that come.
func NewReader(r io.Reader) *Reader { return &Reader{br: bufio.NewReaderSize(r, 4<<10), src: r} }

// grow makes room for a longer head. What was read is kept.
func (r *Reader) grow() {
	r.br = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(r.Rest())), r.src), min(4*r.br.Size(), MaxHead))
}

// Rest is what was read and belongs to no request yet.
func (r *Reader) Rest() []byte {
	b, _ := r.br.Peek(r.br.Buffered())
	return b
}

// Next reads the head of the next request. io.EOF: the client ended between two requests. Precondition: the last request's WriteTo
// returned nil.
func (r *Reader) Next() (*Request, error) {
	head, err := r.peekHead()
	if err != nil {
		return nil, err
	}
	q, err := parseHead(head, cmp.Or(r.Scheme, "http"))
	if err != nil {
		return nil, err
	}
	// The second opinion, and the reader of the body.
	req, err := http.ReadRequest(r.br)
	if err != nil {
		return nil, refuse(q.Host, "not a request: %v", err)
	}
	if host := req.Host; normal(host) != q.hostField {
		return nil, refuse(q.Host, "the host is %q to one reader and %q to another", q.hostField, host)
	}
	out := &q.Request
	out.Close = req.Close || out.Close
	if req.ContentLength != 0 || len(req.TransferEncoding) > 0 {
		out.body, out.chunk = req.Body, req.ContentLength < 0
	}
	return out, nil
}

// peekHead waits for a whole head. A head with a bare line feed ends there too: it is refused, not waited for.
func (r *Reader) peekHead() ([]byte, error) {
	for n := 1; ; {
		b, err := r.br.Peek(n)
		if n = r.br.Buffered(); n > len(b) {
			b, _ = r.br.Peek(n)
		}
		if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
			return b[:i+4], nil
		}
		if i := bytes.IndexByte(b, '\n'); i == 0 || i > 0 && b[i-1] != '\r' {
			return nil, refuse("", "a bare line feed")
		}
		switch {
		case err == io.EOF && len(b) == 0:
			return nil, io.EOF
		case err == bufio.ErrBufferFull && r.br.Size() < MaxHead:
			r.grow()
			continue
		case err == bufio.ErrBufferFull, n >= MaxHead:
			return nil, refuse("", "the head is longer than %d bytes", MaxHead)
		case err != nil:
			return nil, err
		}
		n++
	}
}

type parsed struct {
	Request
	hostField string
}

// parseHead reads a head strictly (RFC 9112).
func parseHead(head []byte, scheme string) (*parsed, error) {
	lines := strings.Split(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	target, version, _ := strings.Cut(rest, " ")
	q := &parsed{Request: Request{Method: method}}
	var hosts, lengths, codings, names []string
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ":")
		value = strings.Trim(value, " \t")
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, refuse("", "a line that is no header field")
		}
		switch strings.ToLower(name) {
		case "host":
			hosts = append(hosts, value)
		case "content-length":
			lengths = append(lengths, value)
		case "transfer-encoding":
			codings = append(codings, value)
		case "connection":
			names = append(names, strings.Split(strings.ToLower(value), ",")...)
		case "upgrade":
			if strings.Contains(strings.ToLower(value), "h2c") {
				return nil, refuse(strings.Join(hosts, ","), "an upgrade to HTTP/2 without TLS")
			}
			q.Switch = true
		case "trailer", "http2-settings":
			continue
		}
		q.Fields = append(q.Fields, Field{name, value})
	}
	if len(hosts) == 1 {
		q.hostField = normal(hosts[0])
		q.Host, q.Port = hostPort(hosts[0])
	}
	bad := func(format string, a ...any) (*parsed, error) { return nil, refuse(q.Host, format, a...) }
	for _, n := range names {
		switch strings.TrimSpace(n) {
		case "close":
			q.Close = true
		case "upgrade", "keep-alive", "te", "http2-settings", "":
		case "host", "content-length", "transfer-encoding":
			return bad("Connection names %s", strings.TrimSpace(n)) // a proxy behind would drop it
		}
	}
	switch {
	case !httpguts.ValidHeaderFieldName(method) || strings.Contains(version, " ") || !printable(target):
		return bad("no request line")
	case version != "HTTP/1.1" && version != "HTTP/1.0":
		return bad("the version is %q", version)
	case method == "CONNECT":
		return bad("CONNECT")
	case len(hosts) > 1:
		return bad("more than one Host")
	case len(hosts) == 0 || hosts[0] == "":
		return nil, &Refusal{Why: "no Host", NoHost: true}
	case q.Host == "":
		return bad("the Host is no host")
	case len(lengths)+len(codings) > 1:
		return bad("more than one length")
	case len(codings) == 1 && (!strings.EqualFold(codings[0], "chunked") || version == "HTTP/1.0"):
		return bad("the transfer coding is %q", codings[0])
	case len(lengths) == 1 && !digits(lengths[0]):
		return bad("the length is %q", lengths[0])
	}
	q.Close = q.Close || version == "HTTP/1.0"
	if !strings.HasPrefix(target, "/") && !(target == "*" && method == "OPTIONS") {
		u, err := url.Parse(target)
		if err != nil || u.Scheme != scheme || u.User != nil || normal(u.Host) != q.hostField {
			return bad("the target's host is not that of Host")
		}
		target = u.RequestURI()
	}
	q.target, q.version = target, version
	return q, nil
}

func printable(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

func digits(s string) bool { return s != "" && len(s) < 19 && strings.Trim(s, "0123456789") == "" }

func normal(host string) string { return strings.ToLower(host) }

// hostPort takes a Host field apart. The host is "" if it is none.
func hostPort(s string) (host, port string) {
	host = s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || !digits(port) {
			return "", ""
		}
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.Contains(host, ":") {
		return "", ""
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for i := 0; i < len(host); i++ {
		if c := host[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == ':') {
			return "", ""
		}
	}
	return host, port
}

// Forbidden is the answer to a request that is not passed on.
const Forbidden = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// Preface is how a client begins HTTP/2 (RFC 9113 section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Looks says what the first bytes of a client are: a request of HTTP/1, the preface of HTTP/2, or neither; undecided means that more
// bytes are needed.
func Looks(b []byte) (http1, http2, undecided bool) {
	if n := min(len(b), len(Preface)); string(b[:n]) == Preface[:n] {
		return false, n == len(Preface), n < len(Preface)
	}
	for i, c := range b {
		switch {
		case c == ' ':
			return i > 2, false, false
		case c < 'A' || c > 'Z' || i > 15:
			return false, false, false
		}
	}
	return false, false, true
}
