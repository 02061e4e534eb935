package inject

//lint:file-ignore SA1019 Requests on one connection that is there already, as in what is tested.

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"cellos.io/cellos/gate/http1"
)

// One connection carries what both sides speak: HTTP/2 if the server does and the cell offers it, and nothing that they do not share.
func TestProtocols(t *testing.T) {
	say := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }
	for _, c := range []struct {
		server, cell []string
		want         string
	}{
		{[]string{"h2", "http/1.1"}, []string{"h2", "http/1.1"}, "HTTP/2.0"},
		{[]string{"h2"}, []string{"h2"}, "HTTP/2.0"},
		{[]string{"h2", "http/1.1"}, []string{"http/1.1"}, "HTTP/1.1"},
		{[]string{"h2", "http/1.1"}, nil, "HTTP/1.1"},
		{[]string{"http/1.1"}, []string{"h2", "http/1.1"}, "HTTP/1.1"},
		{nil, []string{"h2", "http/1.1"}, "HTTP/1.1"},
		{nil, []string{"h2"}, ""},
		{[]string{"http/1.1"}, []string{"h2"}, ""},
		{[]string{"h2"}, []string{"http/1.1"}, "HTTP/1.1"}, // crypto/tls lets them speak what was not negotiated
	} {
		b := newBench(t, say, c.server...)
		conn, err := b.dial()
		if err != nil {
			t.Fatal(err)
		}
		config := b.trust()
		config.NextProtos = c.cell
		cell := tls.Client(conn, config)
		if err := cell.Handshake(); (err == nil) != (c.want != "") {
			t.Errorf("%v and %v: %v", c.server, c.cell, err)
		}
		if c.want != "" {
			two := cell.ConnectionState().NegotiatedProtocol == "h2"
			if two != (c.want == "HTTP/2.0") {
				t.Errorf("%v and %v: the cell speaks %q", c.server, c.cell, cell.ConnectionState().NegotiatedProtocol)
			}
			rt := http.RoundTripper(&oneConn{cell})
			if two {
				if rt, err = new(http2.Transport).NewClientConn(cell); err != nil {
					t.Fatal(err)
				}
			}
			req, _ := http.NewRequest("GET", "https://a.test/", nil)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != c.want {
				t.Errorf("%v and %v: the server was spoken to in %q", c.server, c.cell, body)
			}
		}
		cell.Close()
	}
}

// oneConn speaks HTTP/1.1 on a connection.
type oneConn struct{ c io.ReadWriter }

func (o *oneConn) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Write(o.c); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(o.c), r)
}

// The server gets the value once in every request of a connection, whatever the command sends under that name, and everything else as it was.
func TestStreamsHeader(t *testing.T) {
	var mu sync.Mutex
	got := map[string]http.Header{}
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		got[r.RequestURI] = r.Header.Clone()
		got[r.RequestURI].Set("Was", fmt.Sprint(r.Method, " ", r.Host, " ", r.ContentLength, " ", string(body), " ", r.Proto, len(r.Trailer)))
		mu.Unlock()
	}, "h2")
	w := b.wire(t)
	for i, path := range []string{"/v1?x=y&z", "//other/%2E%2e;a/", "*", "/https://b.test/"} {
		method := "POST"
		if path == "*" {
			method = "OPTIONS"
		}
		id := uint32(2*i + 1)
		w.headers(id, false, ":method", method, ":scheme", "https", ":authority", "a.test:443", ":path", path, "authorization", "mine", "authorization", "too", "x-own", "kept", "range", "bytes=0-1", "te", "trailers",
			"accept-encoding", "gzip", "grpc-accept-encoding", "gzip", "alt-svc", "x", "content-length", "4", "trailer", "x-behind", "cookie", "a=b")
		if err := w.fr.WriteData(id, false, []byte("body")); err != nil {
			t.Fatal(err)
		}
		w.headers(id, true, "x-behind", "x")
		if s := w.result(id); s != "200" {
			t.Fatalf("%s: %s", path, s)
		}
		mu.Lock()
		h := got[path]
		mu.Unlock()
		if a := h.Values("Authorization"); !slices.Equal(a, []string{"Bearer " + value}) {
			t.Errorf("%s: the server got %q", path, a)
		}
		delete(h, "Authorization")
		want := http.Header{"X-Own": {"kept"}, "Te": {"trailers"}, "Accept-Encoding": {"identity"}, "Content-Length": {"4"}, "Cookie": {"a=b"}, "Was": {method + " a.test:443 4 body HTTP/2.00"}}
		for name := range h {
			if !slices.Equal(h[name], want[name]) {
				t.Errorf("%s: the server got %s: %q", path, name, h[name])
			}
		}
		if len(h) != len(want) {
			t.Errorf("%s: the server got %v", path, h)
		}
	}
	if b.dials != 1 {
		t.Errorf("it took %d connections", b.dials)
	}
}

// A server that sends the value back does not bring it into the cell: in fields, their names, bodies in whatever pieces, and trailers.
func TestStreamsReflected(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get("Authorization")
		w.Header().Set("X-Echo", got)
		w.Header().Set(value, "x")
		w.Header().Set("Trailer", "X-Late")
		if r.Method == "HEAD" {
			w.Header().Set("Content-Length", "7")
			return
		}
		for _, c := range "<" + got + ">" {
			io.WriteString(w, string(c))
			w.(http.Flusher).Flush()
		}
		w.Header().Set("X-Late", "ended with "+got)
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "Bearer%20"+value)
		w.Header().Set(http.TrailerPrefix+value, "x")
	}, "h2")
	c := b.client()
	stars := strings.Repeat("*", len(value))
	for _, method := range []string{"GET", "HEAD"} {
		req, _ := http.NewRequest(method, "https://a.test/", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.ProtoMajor != 2 {
			t.Fatal(err, resp.Proto)
		}
		var all bytes.Buffer
		resp.Header.Write(&all)
		resp.Trailer.Write(&all)
		if all.Write(body); strings.Contains(strings.ToLower(all.String()), value) || !strings.HasPrefix(resp.Header.Get("X-Echo"), "Bearer ") {
			t.Errorf("%s: the cell got\n%s", method, all.String())
		}
		if method == "HEAD" {
			if resp.ContentLength != 7 {
				t.Errorf("HEAD: the length is %d", resp.ContentLength)
			}
			continue
		}
		if want := "<Bearer " + stars + ">"; string(body) != want {
			t.Errorf("the body is %q, want %q", body, want)
		}
		if late := resp.Trailer.Get("X-Late"); !strings.HasPrefix(late, "ended with Bearer ") || !strings.HasPrefix(resp.Trailer.Get("Grpc-Message"), "Bearer") {
			t.Errorf("the trailers are %v", resp.Trailer)
		}
	}
}

// Messages pass in both directions when they are said, on many streams at once, and the status comes behind them. So does gRPC.
func TestStreamsBothWays(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" { // an answer that is nothing but trailers
			w.Header().Set("Grpc-Status", "7")
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		m := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, m); err != nil {
				break
			}
			w.Write(append(m, r.Header.Get("Authorization")...))
			w.(http.Flusher).Flush()
		}
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}, "h2")
	c := b.client()
	stars := "Bearer " + strings.Repeat("*", len(value))
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			from, to := io.Pipe()
			req, _ := http.NewRequest("POST", "https://a.test/", from)
			req.Header.Set("Te", "trailers")
			resp, err := c.Do(req) // the head of the answer comes before anything was said
			if err != nil {
				t.Error(err)
				return
			}
			for j := range 20 {
				said := fmt.Sprintf("%02d.%02d", i, j)
				io.WriteString(to, said)
				heard := make([]byte, len(said)+len(stars))
				if _, err := io.ReadFull(resp.Body, heard); err != nil || string(heard) != said+stars {
					t.Errorf("said %q, heard %q, %v", said, heard, err)
					break
				}
			}
			to.Close()
			if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil || resp.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("at the end %q, %v, %v", rest, err, resp.Trailer)
			}
		})
	}
	all.Wait()
	resp, err := c.Get("https://a.test/refused")
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); len(body) > 0 || resp.Header.Get("Grpc-Status") != "7" || resp.Header.Get("Content-Type") != "" {
		t.Errorf("%q, %v", body, resp.Header)
	}
}

// What must not be passed on is refused, and the other requests of the connection go on.
func TestStreamsRefused(t *testing.T) {
	var served atomic.Int64
	b := newBench(t, func(http.ResponseWriter, *http.Request) { served.Add(1) }, "h2")
	w := b.wire(t)
	id := uint32(1)
	ask := func(fields ...string) string {
		w.headers(id, true, fields...)
		id += 2
		return w.result(id - 2)
	}
	for _, c := range []struct{ fields, want, said string }{
		{":method GET :scheme https :authority b.test :path /", "403", "another host"},
		{":method GET :scheme https :authority a.test.b.test :path /", "403", "another host"},
		{":method GET :scheme https :path / host b.test", "403", "another host"},
		{":method GET :scheme https :authority a.test :path / host b.test", "PROTOCOL_ERROR", ""},
		{":method GET :scheme https :authority a.test@b.test :path /", "PROTOCOL_ERROR", ""},
		{":method GET :scheme https :authority a.test/x :path /", "PROTOCOL_ERROR", ""},
		{":method GET :scheme https :path /", "403", "no Host"},
		{":method GET :scheme http :authority a.test :path /", "403", "it is not for https"},
		{":method TRACE :scheme https :authority a.test :path /", "403", "TRACE"},
		{":method CONNECT :authority a.test:443", "403", "CONNECT"},
		{":method CONNECT :authority a.test :scheme https :path / :protocol websocket", "PROTOCOL_ERROR", ""},
		{":method GET :scheme https :authority a.test :path https://b.test/", "PROTOCOL_ERROR", ""},
		{":method GET :scheme https :authority a.test :path *", "403", "the target is no path"},
		{":method GET :scheme https :authority a.test :path /\u00e9", "403", "no request line"},
		{":method GET :scheme https :authority a.test :path / transfer-encoding chunked", "400", ""},
	} {
		if got := ask(strings.Fields(c.fields)...); got != c.want {
			t.Errorf("%s: %s, want %s", c.fields, got, c.want)
		}
		if c.said != "" {
			b.said(t, "forbidden: "+c.said)
		}
	}
	if n := served.Load(); n != 0 {
		t.Errorf("%d of them were passed on", n)
	}
	if got := ask(":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "/"); got != "200" || served.Load() != 1 {
		t.Errorf("the next request: %s, and %d were passed on", got, served.Load())
	}
}

// What could hide a value is not passed on, and an answer that breaks off is none.
func TestStreamsAnswers(t *testing.T) {
	gone := make(chan bool, 1)
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
		case "/grpc":
			w.Header().Set("Grpc-Encoding", "gzip")
		case "/part":
			w.WriteHeader(http.StatusPartialContent)
		case "/long":
			for i := range 300 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1<<10))
			}
		case "/broken":
			io.WriteString(w, "begun")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/left":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			gone <- true
		}
	}, "h2")
	c := b.client()
	for _, x := range [][2]string{{"/gzip", "it is encoded"}, {"/grpc", "it is encoded"}, {"/part", "it is a part"}, {"/long", "it is no answer"}} {
		path, why := x[0], x[1]
		resp, err := c.Get("https://a.test" + path)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadGateway || !strings.HasPrefix(string(body), "cellos: the answer was refused: "+why) {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
		b.said(t, CodeAnswer+": "+why)
	}
	c = b.client()
	resp, err := c.Get("https://a.test/broken")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("what broke off is taken for a whole: %q", body)
	}
	// A cell that wants no more of an answer is not the only one to know.
	if resp, err = c.Get("https://a.test/left"); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-gone
}

// A connection whose budget is used up ends, and what comes above it is not passed on. The requests are counted one by one.
func TestStreamsBudget(t *testing.T) {
	var mu sync.Mutex
	served := 0
	b := newBench(t, func(http.ResponseWriter, *http.Request) { mu.Lock(); served++; mu.Unlock() }, "h2")
	var numbers []int // of which one is asked for after the other
	spent := errors.New("the budget is used up")
	b.site.Request = func(q *http1.Request, n int) error {
		mu.Lock()
		defer mu.Unlock()
		if numbers = append(numbers, n); n == 3 {
			return spent
		}
		return nil
	}
	c := b.client()
	failed := 0
	for range 4 {
		if resp, err := c.Get("https://a.test/"); err != nil {
			failed++
		} else {
			resp.Body.Close()
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if served != 3 || failed != 1 || !slices.Equal(numbers, []int{0, 1, 2, 3}) {
		t.Errorf("%d were passed on, %d failed, asked for %v", served, failed, numbers)
	}
}

// A server that wants no more requests on a connection has the cell make another one.
func TestStreamsServerLeaves(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // GOAWAY, in net/http
		io.WriteString(w, "ok")
	}, "h2")
	c := b.client()
	for dials := 0; dials < 3; {
		resp, err := c.Get("https://a.test/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		late := resp.StatusCode == http.StatusServiceUnavailable // the two passed each other
		if err != nil || !late && (resp.StatusCode != 200 || string(body) != "ok") {
			t.Errorf("%d %q, %v", resp.StatusCode, body, err)
		}
		b.mu.Lock()
		dials = b.dials
		b.mu.Unlock()
	}
}

// A client that asks for more than it may is sent away, and what it was promised is bounded.
func TestStreamsFloods(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "h2")
	get := []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "/"}
	w := b.wire(t)
	for _, s := range []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: maxStreams}, {ID: http2.SettingInitialWindowSize, Val: streamWindow}, {ID: http2.SettingMaxFrameSize, Val: maxFrame}} {
		if w.settings[s.ID] != s.Val {
			t.Errorf("%v is %d, want %d", s.ID, w.settings[s.ID], s.Val)
		}
	}
	if n := w.settings[http2.SettingMaxHeaderListSize]; n < http1.MaxHead || n > 2*http1.MaxHead {
		t.Errorf("a head may have %d bytes", n)
	}
	if w.settings[http2.SettingEnableConnectProtocol] != 0 {
		t.Error("extended CONNECT is offered")
	}
	// Streams that are reset as soon as they are opened (CVE-2023-44487): who resets them does not get more of them served at once.
	decided := make(chan bool)
	request := b.site.Request
	b.site.Request = func(q *http1.Request, n int) error {
		<-decided
		return request(q, n)
	}
	w = b.wire(t)
	go func(w *wire) {
		for id := uint32(1); id < 100_000; id += 2 {
			if w.send(id, true, get...) != nil || w.fr.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				return
			}
		}
	}(w)
	if got := w.result(1 << 30); got != "GOAWAY ENHANCE_YOUR_CALM" {
		t.Errorf("streams that are reset at once: %s", got)
	}
	close(decided)
	// More streams at once than there may be.
	w = b.wire(t)
	for i := range uint32(maxStreams + 1) {
		w.headers(2*i+1, true, get...)
	}
	if got := w.result(2*maxStreams + 1); got != "REFUSED_STREAM" && got != "PROTOCOL_ERROR" {
		t.Errorf("one stream too many: %s", got)
	}
	// A head without an end.
	w = b.wire(t)
	w.enc.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"})
	if err := w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.buf.Bytes()}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 10_000 {
			w.buf.Reset()
			for range 100 {
				w.enc.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 100), Sensitive: true})
			}
			if w.fr.WriteContinuation(1, false, w.buf.Bytes()) != nil {
				return
			}
		}
	}()
	if got := w.result(1); !strings.HasPrefix(got, "GOAWAY ") && got != "ended" {
		t.Errorf("a head without an end: %s", got)
	}
}

// There is a bound on the requests of all connections together. What is above it is told, and comes again when others have ended.
func TestStreamsLimit(t *testing.T) {
	end := make(chan bool)
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-end }, "h2")
	get := []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "/"}
	var wires []*wire
	for n := range maxAll {
		if n%maxStreams == 0 {
			wires = append(wires, b.wire(t))
		}
		w, id := wires[n/maxStreams], uint32(2*(n%maxStreams)+1)
		w.headers(id, true, get...)
		if s := w.result(id); s != "200" {
			t.Fatalf("request %d: %s", n, s)
		}
	}
	w := b.wire(t)
	w.headers(1, true, get...)
	if s := w.result(1); s != "503" {
		t.Errorf("one request too many: %s", s)
	}
	b.said(t, CodeLimit+": too many requests at once")
	close(end)
	for id := uint32(3); ; id += 2 { // a stream has ended for the cell before it has for the gate
		w.headers(id, true, get...)
		if s := w.result(id); s == "200" {
			break
		} else if s != "503" {
			t.Fatalf("when the others have ended: %s", s)
		}
	}
}

// A wire is a connection of a cell on which frames are written that no client would.
type wire struct {
	t        *testing.T
	fr       *http2.Framer
	buf      bytes.Buffer
	enc      *hpack.Encoder
	settings map[http2.SettingID]uint32
}

func (b *bench) wire(t *testing.T) *wire {
	t.Helper()
	conn, err := b.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	config := b.trust()
	config.NextProtos = []string{"h2"}
	c := tls.Client(conn, config)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, fr: http2.NewFramer(c, c), settings: map[http2.SettingID]uint32{}}
	w.enc = hpack.NewEncoder(&w.buf)
	w.fr.AllowIllegalWrites = true
	w.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := w.fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	f, err := w.fr.ReadFrame()
	s, ok := f.(*http2.SettingsFrame)
	if err != nil || !ok {
		t.Fatal(f, err)
	}
	return w.heard(s)
}

func (w *wire) heard(s *http2.SettingsFrame) *wire {
	s.ForeachSetting(func(s http2.Setting) error { w.settings[s.ID] = s.Val; return nil })
	return w
}

// send opens a stream, or ends it with trailers.
func (w *wire) send(id uint32, end bool, fields ...string) error {
	w.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		w.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.buf.Bytes(), EndStream: end, EndHeaders: true})
}

func (w *wire) headers(id uint32, end bool, fields ...string) {
	w.t.Helper()
	if err := w.send(id, end, fields...); err != nil {
		w.t.Fatal(err)
	}
}

// result is what becomes of a stream: its status, or why it ended, or why the connection did.
func (w *wire) result(id uint32) string {
	for {
		f, err := w.fr.ReadFrame()
		if err != nil {
			return "ended"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				return f.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		}
	}
}
