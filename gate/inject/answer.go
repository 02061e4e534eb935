package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cellos.io/cellos/gate/http1"
)

// errAnswered ends a connection on which the gate has answered in the server's place.
var errAnswered = errors.New("answered")

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// fields are those of an answer that are passed on, without the values.
func (o *Opener) fields(all http.Header) http.Header {
	drop := slices.Concat(hopByHop, []string{"content-length", "transfer-encoding"})
	for _, v := range all.Values("Connection") {
		for n := range strings.SplitSeq(v, ",") {
			drop = append(drop, strings.ToLower(strings.TrimSpace(n)))
		}
	}
	kept := http.Header{}
	for name, values := range all {
		// The letters of a name may be of another case than the server wrote, or got, them.
		if low := strings.ToLower(name); slices.Contains(drop, low) || o.Clean(name) != name || o.names.Text(low) != low {
			continue
		}
		for _, v := range values {
			kept[name] = append(kept[name], o.Clean(v))
		}
	}
	return kept
}

// headOf is the head of an answer as it is passed on, without the values. Framing is how the body's length is said.
func (x *exchange) headOf(resp *http.Response, framing string) []byte {
	kept := x.o.fields(resp.Header)
	var b bytes.Buffer
	_, reason, _ := strings.Cut(resp.Status, " ")
	fmt.Fprintf(&b, "HTTP/1.1 %03d %s\r\n", resp.StatusCode, x.o.Clean(reason))
	kept.Write(&b)
	b.WriteString(framing + "\r\n")
	return b.Bytes()
}

// encoded is how the body of an answer is encoded; "" if it is not.
func encoded(resp *http.Response) string {
	for _, name := range encodings {
		for _, v := range resp.Header.Values(name) {
			for c := range strings.SplitSeq(v, ",") {
				if c = strings.TrimSpace(c); c != "" && !strings.EqualFold(c, "identity") {
					return c
				}
			}
		}
	}
	return ""
}

// bodiless reports whether an answer has no body, whatever it says.
func bodiless(method string, resp *http.Response) bool {
	return method == "HEAD" || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified
}

// hides says why values could not be found in an answer; "" if they can.
func hides(method string, resp *http.Response) string {
	if how := encoded(resp); how != "" && !bodiless(method, resp) {
		return "it is encoded (" + strconv.Quote(how) + "), which was not asked for"
	}
	if resp.StatusCode == http.StatusPartialContent {
		return "it is a part (206), which was not asked for"
	}
	return ""
}

// final passes on an answer with its body.
func (x *exchange) final(q *http1.Request, resp *http.Response) (more bool, err error) {
	defer resp.Body.Close()
	none := bodiless(q.Method, resp)
	if why := hides(q.Method, resp); why != "" {
		return false, x.bad(why)
	}
	more = !resp.Close && !q.Close && !q.OldVersion()
	chunked := false
	framing := ""
	switch {
	case none:
		if v := resp.Header.Get("Content-Length"); v != "" && resp.ContentLength >= 0 && resp.StatusCode != http.StatusNoContent {
			framing = fmt.Sprintf("Content-Length: %d\r\n", resp.ContentLength)
		}
	case resp.ContentLength >= 0:
		framing = fmt.Sprintf("Content-Length: %d\r\n", resp.ContentLength)
	case q.OldVersion(): // it ends with the connection
	default:
		chunked, framing = true, "Transfer-Encoding: chunked\r\n"
	}
	if !more {
		framing += "Connection: close\r\n"
	}
	if _, err := x.cell.Write(x.headOf(resp, framing)); err != nil {
		return false, err
	}
	if none {
		return more, nil
	}
	return more, x.body(resp.Body, chunked)
}

// body passes on a body.
func (x *exchange) body(from io.Reader, chunked bool) error {
	if !chunked {
		return x.o.mask(x.cell, from)
	}
	if err := x.o.mask(chunks{x.cell}, from); err != nil {
		return err
	}
	_, err := io.WriteString(x.cell, "0\r\n\r\n")
	return err
}

// mask passes on a body as it comes, with stars in place of the values.
func (o *Opener) mask(to io.Writer, from io.Reader) error {
	clean := o.known.Masker(to)
	p := buffers.Get().(*[]byte)
	defer buffers.Put(p)
	for {
		n, err := from.Read(*p)
		if n > 0 {
			if _, err := clean.Write((*p)[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return clean.Close()
		}
		if err != nil {
			return err
		}
	}
}

// chunks writes each piece as a chunk, RFC 9112 section 7.1.
type chunks struct{ w io.Writer }

func (c chunks) Write(p []byte) (int, error) {
	b := append(fmt.Appendf(make([]byte, 0, len(p)+12), "%x\r\n", len(p)), p...)
	if _, err := c.w.Write(append(b, "\r\n"...)); err != nil {
		return 0, err
	}
	return len(p), nil
}
