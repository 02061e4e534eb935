package inject

//lint:file-ignore SA1019 What net/http has in its place takes a Host beside another :authority (as of Go 1.26), and does not say when a server wants no more requests.

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"

	"cellos.io/cellos/gate/http1"
)

// Bounds of one connection of HTTP/2, on each side. A window is what may come before it is passed on.
const (
	maxStreams   = 100
	maxAll       = 256 // streams of all connections: each has buffers
	maxFrame     = 16 << 10
	streamWindow = 256 << 10
	allWindows   = 512 << 10
)

// Streams are the requests of one connection of HTTP/2, each of which becomes one of a connection of ours.
type streams struct {
	o    *Opener
	site Site
	add  []http1.Field
	down *tls.Conn
	up   *http2.ClientConn
	srv  *http.Server

	deciding sync.Mutex // one request at a time is decided on
	passed   int

	mu     sync.Mutex
	active int
	over   bool
	idle   *sync.Cond // nothing is active
	err    error      // what ended the connection
}

// newStreams makes them of two connections above TLS.
func newStreams(o *Opener, s Site, down, up *tls.Conn) *streams {
	x := &streams{o: o, site: s, add: o.added(s.Inject), down: down}
	x.idle = sync.NewCond(&x.mu)
	x.srv = &http.Server{MaxHeaderBytes: http1.MaxHead, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(x.serve)}
	t1 := &http.Transport{DisableCompression: true, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerConnection: allWindows, MaxReceiveBufferPerStream: streamWindow, MaxReadFrameSize: maxFrame}}
	t2, err := http2.ConfigureTransports(t1)
	if err == nil {
		t2.MaxHeaderListSize, t2.StrictMaxConcurrentStreams = maxAnswerHead, true // a request waits for its turn
		n := &noticed{Conn: up, retire: x.retire}
		x.up, err = t2.NewClientConn(n)
		n.of.Store(x.up)
	}
	x.err = err
	return x
}

// Noticed is a connection that retires when the server wants no more requests on it (GOAWAY), or ends it.
type noticed struct {
	*tls.Conn
	of     atomic.Pointer[http2.ClientConn]
	retire func()
	told   bool
}

// Read is called by one goroutine, when it has looked at what was read before.
func (c *noticed) Read(b []byte) (int, error) {
	if cc := c.of.Load(); cc != nil && !c.told && !cc.CanTakeNewRequest() {
		c.told = true
		c.retire()
	}
	n, err := c.Conn.Read(b)
	if err != nil {
		c.retire()
	}
	return n, err
}

func (x *streams) run() error {
	if x.err != nil {
		return x.err
	}
	srv := &http2.Server{MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame, MaxUploadBufferPerConnection: allWindows, MaxUploadBufferPerStream: streamWindow}
	if err := http2.ConfigureServer(x.srv, srv); err != nil {
		x.up.Close()
		return err
	}
	srv.ServeConn(x.down, &http2.ServeConnOpts{BaseConfig: x.srv})
	x.up.Close()
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.over = true; x.active > 0; { // a handler that is left would speak for a connection that is gone
		x.idle.Wait()
	}
	return x.err
}

// retire has the cell ask on another connection, once it has the answers of this one.
func (x *streams) retire() { go x.srv.Shutdown(context.Background()) }

// fail ends the connection at once.
func (x *streams) fail(err error) {
	x.mu.Lock()
	if x.err == nil {
		x.err = err
	}
	x.mu.Unlock()
	x.down.SetDeadline(past())
}

// begin reports whether a request may still be served. If so, end follows.
func (x *streams) begin() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return false
	}
	x.active++
	return true
}

func (x *streams) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.active--; x.active == 0 {
		x.idle.Broadcast()
	}
}

// serve carries one request and its answer. A panic with http.ErrAbortHandler resets its stream, so that nothing is taken for a whole answer.
func (x *streams) serve(w http.ResponseWriter, r *http.Request) {
	if !x.begin() {
		panic(http.ErrAbortHandler)
	}
	defer x.end()
	defer x.o.streams.Add(-1)
	if x.o.streams.Add(1) > maxAll {
		x.site.Refused(CodeLimit, "too many requests at once")
		http.Error(w, "cellos: too many requests at once", http.StatusServiceUnavailable)
		return
	}
	out, err := x.pass(r)
	var bad *http1.Refusal
	switch {
	case errors.As(err, &bad):
		x.site.Forbidden(bad)
		w.WriteHeader(http.StatusForbidden)
		return
	case err != nil:
		x.fail(err)
		panic(http.ErrAbortHandler)
	}
	defer r.Body.Close() // whoever still reads it is not to do so when this has returned
	if !x.up.CanTakeNewRequest() {
		x.retire()
		http.Error(w, "cellos: the server has ended the connection", http.StatusServiceUnavailable)
		return
	}
	resp, err := x.up.RoundTrip(out)
	switch {
	case err == nil:
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler)
	default:
		x.bad(w, "it is no answer: "+err.Error())
		return
	}
	defer resp.Body.Close()
	if why := hides(r.Method, resp); why != "" {
		x.bad(w, why)
		return
	}
	if err := x.answer(w, r, resp); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// pass decides on a request, and makes the one that is passed on.
func (x *streams) pass(r *http.Request) (*http.Request, error) {
	q, err := http1.Of(r.Method, r.Host, r.RequestURI)
	if err == nil && r.TLS == nil {
		err = &http1.Refusal{Host: q.Host, Why: "it is not for https"}
	}
	if err == nil {
		err = notTrace(q)
	}
	if err == nil {
		err = x.decide(q)
	}
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		for _, v := range values {
			q.Fields = append(q.Fields, http1.Field{Name: name, Value: v})
		}
	}
	rewrite(q, x.add)
	h := http.Header{"User-Agent": nil} // without it, one would be added
	for _, f := range q.Fields {
		h.Add(f.Name, f.Value)
	}
	if slices.Contains(r.Header["Te"], "trailers") { // gRPC's servers want to see that
		h.Set("Te", "trailers")
	}
	u := &url.URL{Scheme: "https", Host: r.Host, Opaque: "//" + r.Host + r.RequestURI} // of which the path is left, as it is
	if r.RequestURI == "*" {
		u.Opaque = "*"
	}
	out := &http.Request{Method: r.Method, URL: u, Host: r.Host, Header: h, Body: r.Body, ContentLength: r.ContentLength}
	if r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	return out.WithContext(r.Context()), nil
}

// decide asks whether a request may be passed on. Those of one connection are asked for one after the other: what is written of the first is written
// before the second is sent.
func (x *streams) decide(q *http1.Request) error {
	x.deciding.Lock()
	defer x.deciding.Unlock()
	err := x.site.Request(q, x.passed)
	if err == nil {
		x.passed++
	}
	return err
}

// answer passes on an answer, each piece when it comes.
func (x *streams) answer(w http.ResponseWriter, r *http.Request, resp *http.Response) error {
	h := w.Header()
	for _, name := range []string{"Date", "Content-Type"} {
		h[name] = nil // without it, one would be made up
	}
	for name, values := range x.o.fields(resp.Header) {
		h[name] = values
	}
	if v := resp.Header.Get("Content-Length"); v != "" && resp.ContentLength >= 0 && resp.StatusCode != http.StatusNoContent {
		h.Set("Content-Length", v)
	}
	w.WriteHeader(resp.StatusCode)
	if bodiless(r.Method, resp) {
		return nil
	}
	to := flushing{w, http.NewResponseController(w)}
	if resp.ContentLength != 0 {
		if err := to.rc.Flush(); err != nil {
			return err
		}
	}
	if err := x.o.mask(to, resp.Body); err != nil {
		return err
	}
	for name, values := range x.o.fields(resp.Trailer) {
		h[http.TrailerPrefix+name] = values
	}
	return nil
}

// flushing passes on what is written at once.
type flushing struct {
	w  io.Writer
	rc *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}

// bad answers in place of an answer that is not passed on.
func (x *streams) bad(w http.ResponseWriter, why string) {
	why = x.o.Clean(why)
	x.site.Refused(CodeAnswer, why)
	http.Error(w, "cellos: the answer was refused: "+why, http.StatusBadGateway)
}
