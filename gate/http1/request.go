package http1

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A Request is one request whose head has been read.
type Request struct {
	Method string
	Host   string // of the Host field, lower case, without port and final dot
	Port   string // of the Host field; "" if it has none
	Close  bool   // the connection ends after it
	Switch bool   // it asks for another protocol on this connection (Upgrade, not h2c)

	// Fields are those of the head in their order, as they are passed on. Whoever changes them leaves those alone that say how long the body is.
	Fields []Field

	target, version string
	body            io.Reader // nil: none
	chunk           bool
}

// Of is a request that did not come from a Reader, without fields and body. It is refused for what a Reader refuses.
func Of(method, host, target string) (*Request, error) {
	q := &Request{Method: method, target: target}
	q.Host, q.Port = hostPort(host)
	switch {
	case host == "":
		return nil, &Refusal{Why: "no Host", NoHost: true}
	case q.Host == "":
		return nil, refuse("", "the Host is no host")
	case !httpguts.ValidHeaderFieldName(method) || !printable(target):
		return nil, refuse(q.Host, "no request line")
	case method == "CONNECT":
		return nil, refuse(q.Host, "CONNECT")
	case !strings.HasPrefix(target, "/") && !(target == "*" && method == "OPTIONS"):
		return nil, refuse(q.Host, "the target is no path")
	}
	return q, nil
}

// A Field is one line of a head.
type Field struct{ Name, Value string }

// HasBody reports whether something follows the head.
func (q *Request) HasBody() bool { return q.body != nil }

// OldVersion reports whether the client speaks HTTP/1.0, which knows no chunks.
func (q *Request) OldVersion() bool { return q.version == "HTTP/1.0" }

func (q *Request) head() []byte {
	n := len(q.Method) + len(q.target) + len(q.version) + 6
	for _, f := range q.Fields {
		n += len(f.Name) + len(f.Value) + 4
	}
	b := make([]byte, 0, n)
	b = append(append(append(append(append(b, q.Method...), ' '), q.target...), ' '), q.version...)
	b = append(b, "\r\n"...)
	for _, f := range q.Fields {
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// WriteTo writes the request to a server: its head at once, so that a client that waits for "100 Continue" gets its answer, then its
// body, as it comes.
func (q *Request) WriteTo(w io.Writer) (n int64, err error) {
	count := func(k int, e error) {
		n += int64(k)
		err = e
	}
	if count(w.Write(q.head())); err != nil || q.body == nil {
		return n, err
	}
	buf := make([]byte, 32<<10)
	for {
		k, rerr := q.body.Read(buf)
		if k > 0 {
			b := buf[:k]
			if q.chunk {
				b = append(fmt.Appendf(nil, "%x\r\n", k), b...)
				b = append(b, "\r\n"...)
			}
			if count(w.Write(b)); err != nil {
				return n, err
			}
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			return n, &Refusal{Host: q.Host, Why: "the body: " + rerr.Error()}
		}
	}
	if q.chunk {
		count(w.Write([]byte("0\r\n\r\n")))
	}
	return n, err
}
