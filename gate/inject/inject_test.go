package inject

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/gate/http1"
)

const value = "sk-live-0123456789abcdef"

// A bench is a server with a certificate of its own authority, an opener, and clients that trust the opener's.
type bench struct {
	t      testing.TB
	opener *Opener
	server *http.Server
	at     string
	site   Site

	mu      sync.Mutex
	refused []string
	failed  []error
	dials   int
}

// issuer is an authority for servers.
func issuer(t testing.TB, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"}, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func rules() []authority.Rule {
	return []authority.Rule{{Host: "A.test", Port: 443, Protocol: "https", Inject: []authority.Injection{{Secret: "API_KEY", Header: "Authorization", Prefix: "Bearer "}}}}
}

// newBench has a server that speaks these protocols, or else HTTP/1.1.
func newBench(t testing.TB, h http.HandlerFunc, protocols ...string) *bench {
	t.Helper()
	cert, roots := issuer(t, "a.test")
	o, err := New(rules(), roots, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Ready(); err == nil {
		t.Error("an opener without values is ready")
	}
	if err := o.Take("API_KEY", []byte(value)); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, opener: o}
	b.site = Site{Name: "a.test", Inject: rules()[0].Inject,
		Request: func(q *http1.Request, n int) error {
			if q.Host != "a.test" {
				return &http1.Refusal{Host: q.Host, Why: "another host"}
			}
			return nil
		},
		Refused:   func(code, why string) { b.note(code + ": " + why) },
		Forbidden: func(bad *http1.Refusal) { b.note("forbidden: " + bad.Why) },
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.at = l.Addr().String()
	b.server = &http.Server{Handler: h, DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0)}
	go b.server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols}))
	t.Cleanup(func() { b.server.Close() })
	return b
}

func (b *bench) note(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = append(b.refused, s)
}

func (b *bench) said(t *testing.T, what string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.refused, func(s string) bool { return strings.Contains(s, what) }) {
		t.Errorf("refused: %q, want one with %q", b.refused, what)
	}
}

// dial is a connection of the cell's, before its TLS. What carries it ends as the gate would end it.
func (b *bench) dial() (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	theirs, err := l.Accept()
	if err != nil {
		return nil, err
	}
	up, err := net.Dial("tcp", b.at)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.dials++
	b.mu.Unlock()
	go func() {
		err := b.opener.Serve(theirs, up, b.site)
		if err != nil {
			b.mu.Lock()
			b.failed = append(b.failed, err)
			b.mu.Unlock()
			theirs.(*net.TCPConn).SetLinger(0)
		}
		up.Close()
		theirs.Close()
	}()
	return ours, nil
}

func (b *bench) trust() *tls.Config {
	cert, err := x509.ParseCertificate(b.opener.Certificate())
	if err != nil {
		b.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{RootCAs: pool, ServerName: "a.test"}
}

func (b *bench) client() *http.Client {
	tr := &http.Transport{ForceAttemptHTTP2: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return b.dial() }, TLSClientConfig: b.trust(), DisableCompression: true}
	b.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// raw sends bytes over TLS and returns all that comes back.
func (b *bench) raw(text string) string {
	b.t.Helper()
	conn, err := b.dial()
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	c := tls.Client(conn, b.trust())
	if _, err := io.WriteString(c, text); err != nil {
		b.t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(time.Minute))
	out, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		out = append(out, "!"+err.Error()...)
	}
	return string(out)
}

// The server gets the value once, whatever the command sends under that name, and everything else as it was.
func TestHeader(t *testing.T) {
	var got http.Header
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		fmt.Fprint(w, "ok")
	})
	c := b.client()
	for range 2 {
		req, _ := http.NewRequest("POST", "https://a.test/v1?x=y", strings.NewReader("body"))
		req.Header["authorization"] = []string{"mine", "too"}
		req.Header["AUTHORIZATION"] = []string{"and this"}
		req.Header.Set("X-Own", "kept")
		req.Header.Set("Connection", "X-Hop")
		req.Header.Set("X-Hop", "dropped")
		req.Header.Set("Range", "bytes=0-1")
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || string(body) != "ok" {
			t.Errorf("answered %d %q", resp.StatusCode, body)
		}
		if a := got.Values("Authorization"); !slices.Equal(a, []string{"Bearer " + value}) {
			t.Errorf("the server got %q", a)
		}
		if got.Get("X-Own") != "kept" || got.Get("X-Hop") != "" || got.Get("Range") != "" || got.Get("Accept-Encoding") != "identity" {
			t.Errorf("the server got %v", got)
		}
	}
	if b.dials != 1 {
		t.Errorf("two requests took %d connections", b.dials)
	}
}

// A server that sends the value back does not bring it into the cell: in fields, in names of fields, in bodies of known and unknown length, encoded,
// in pieces. The promised length is kept.
func TestReflected(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		w.Header().Set("X-Echo", auth)
		w.Header()["X-"+strings.ReplaceAll(auth, " ", "-")] = []string{"name"}
		w.Header().Set("Location", "/?k="+value)
		text := "<" + auth + ">" + fmt.Sprintf("%x", auth) + "<end>"
		switch r.URL.Path {
		case "/known":
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			io.WriteString(w, text)
		case "/pieces":
			for _, c := range text {
				io.WriteString(w, string(c))
				w.(http.Flusher).Flush()
			}
		case "/hinted":
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, text)
		case "/cut": // the length is a lie
			w.Header().Set("Content-Length", fmt.Sprint(len(text)+10))
			io.WriteString(w, text)
		}
	})
	text := "<Bearer " + strings.Repeat("*", len(value)) + ">"
	for _, path := range []string{"/known", "/pieces", "/hinted"} {
		out := b.raw("GET " + path + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
		for _, s := range []string{value, fmt.Sprintf("%x", value)} {
			if strings.Contains(strings.ToLower(out), s) {
				t.Errorf("%s: the cell got %q", path, out)
			}
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(out[strings.Index(out, "HTTP/1.1 200"):])), nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, out)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.HasPrefix(string(body), text) || !strings.HasSuffix(string(body), "<end>") {
			t.Errorf("%s: %q, %v", path, body, err)
		}
	}
	out := b.raw("GET /cut HTTP/1.1\r\nHost: a.test\r\n\r\n")
	b.mu.Lock()
	defer b.mu.Unlock()
	if strings.Contains(out, value) || len(b.failed) == 0 {
		t.Errorf("an answer that is cut off: %q, %v", out, b.failed)
	}
}

// What would let the value through unseen, or would be another protocol, is refused.
func TestRefusedAnswers(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
		case "/both":
			w.Header()["Content-Encoding"] = []string{"identity, " + r.Header.Get("Authorization")}
		case "/messages":
			w.Header().Set("Grpc-Encoding", "br")
		case "/part":
			w.Header().Set("Content-Range", "bytes 0-1/9")
			w.WriteHeader(http.StatusPartialContent)
		case "/long":
			w.Header().Set("X-Long", strings.Repeat("x", 2*maxAnswerHead))
		case "/switch":
			c, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nfree")
			c.Close()
			return
		case "/garbage":
			c, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(c, "HTTP/1.1 "+r.Header.Get("Authorization")+"\r\n\r\n")
			c.Close()
			return
		}
		io.WriteString(w, r.Header.Get("Authorization"))
	})
	for path, why := range map[string]string{"/gzip": "gzip", "/both": "encoded", "/messages": `"br"`, "/part": "206", "/switch": "change of protocol", "/garbage": "no answer", "/long": "longer than"} {
		out := b.raw("GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if !strings.HasPrefix(out, "HTTP/1.1 502 ") || strings.Contains(out, value) {
			t.Errorf("%s: %.200q", path, out)
		}
		b.said(t, why)
	}
	for _, s := range b.refused {
		if strings.Contains(s, value) {
			t.Errorf("an event would have %q", s)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	asked := 0
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) { asked++ })
	for name, in := range map[string]string{
		"another host":          "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n",
		"two hosts":             "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
		"absolute form":         "GET https://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"absolute form, scheme": "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"folded":                "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n z\r\n\r\n",
		"length and coding":     "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"trace":                 "TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"connect":               "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"upgrade":               "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"preface of HTTP/2":     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"bare LF":               "GET / HTTP/1.1\nHost: a.test\n\n",
	} {
		if out := b.raw(in); !strings.HasPrefix(out, "HTTP/1.1 403 ") {
			t.Errorf("%s: %q", name, out)
		}
	}
	if asked != 0 {
		t.Errorf("the server got %d requests", asked)
	}
	// A good one before it is answered, and its answer comes first.
	out := b.raw("GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: b.test\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if i, j := strings.Index(out, " 200 "), strings.Index(out, " 403 "); i < 0 || j < i || asked != 1 {
		t.Errorf("%q, %d requests", out, asked)
	}
	if out := b.raw("GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(out, "HTTP/1.1 200 ") {
		t.Errorf("the absolute form: %q", out)
	}
	if out := b.raw("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"); !strings.HasPrefix(out, "HTTP/1.1 200 ") || strings.Contains(out, "chunked") {
		t.Errorf("HTTP/1.0: %q", out)
	}
}

// A server that is not the one of that name gets nothing, and the cell neither.
func TestWrongServer(t *testing.T) {
	asked := false
	b := newBench(t, func(http.ResponseWriter, *http.Request) { asked = true })
	for name, change := range map[string]func(){
		"not trusted": func() { _, b.opener.roots = issuer(t, "a.test") },
	} {
		change()
		if _, err := b.client().Get("https://a.test/"); err == nil || asked {
			t.Errorf("%s: %v, asked %v", name, err, asked)
		}
		b.said(t, CodeServer)
	}
	// Of another name.
	cert, roots := issuer(t, "b.test")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	b.opener.roots, b.at = roots, l.Addr().String()
	if _, err := b.client().Get("https://a.test/"); err == nil || asked {
		t.Errorf("a certificate of another name: %v", err)
	}
	b.said(t, "b.test")
}

// A cell that does not know the authority, or speaks another protocol, is told so in the record.
func TestCellTLS(t *testing.T) {
	b := newBench(t, func(http.ResponseWriter, *http.Request) {})
	for _, c := range []*tls.Config{{ServerName: "a.test"}, {ServerName: "a.test", InsecureSkipVerify: true, NextProtos: []string{"h2"}}} {
		conn, err := b.dial()
		if err != nil {
			t.Fatal(err)
		}
		if err := tls.Client(conn, c).Handshake(); err == nil {
			t.Errorf("%+v: a handshake", c)
		}
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	b.said(t, CodeClient)
}

// The authority vouches for its names and for nothing else, as every verifier reads it.
func TestAuthority(t *testing.T) {
	b := newBench(t, nil)
	roots := b.trust().RootCAs
	leaf, err := b.opener.ca.leaf("a.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.opener.ca.leaf("b.test"); err == nil {
		t.Error("a certificate for a name that no rule injects into")
	}
	verify := func(der []byte, name string) error {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
		return err
	}
	if err := verify(leaf.Certificate[0], "a.test"); err != nil {
		t.Error(err)
	}
	if err := verify(leaf.Certificate[0], "b.test"); err == nil {
		t.Error("a certificate is good for two names")
	}
	// Whoever had the key could not do more.
	for _, form := range []x509.Certificate{{DNSNames: []string{"b.test"}}, {IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, {IPAddresses: []net.IP{net.IPv6loopback}}} {
		form.SerialNumber, form.NotBefore, form.NotAfter = big.NewInt(2), time.Now().Add(-time.Minute), time.Now().Add(time.Minute)
		der, err := x509.CreateCertificate(rand.Reader, &form, b.opener.ca.cert, b.opener.ca.key.Public(), b.opener.ca.key)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(der, ""); err == nil {
			t.Errorf("the authority can vouch for %v %v", form.DNSNames, form.IPAddresses)
		}
	}
}

// What a server says at once is passed on at once.
func TestStreams(t *testing.T) {
	next := make(chan string)
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for s := range next {
			io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
	})
	go func() { next <- "data: 0\n\n" }()
	resp, err := b.client().Get("https://a.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for i := range 20 { // the server says the next only when the one before has arrived
		for range 2 {
			if s, err := r.ReadString('\n'); err != nil || s != fmt.Sprintf("data: %d\n", i) && s != "\n" {
				t.Fatalf("event %d: %q, %v", i, s, err)
			}
		}
		next <- fmt.Sprintf("data: %d\n\n", i+1)
	}
	close(next)
}

// Requests and answers of any size pass both ways at once; what is not read is not kept.
func TestLarge(t *testing.T) {
	const size = 8 << 20
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	resp, err := b.client().Post("https://a.test/", "application/octet-stream", io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A client that waits to be asked for its body is asked, and one whose answer comes before its body is through has it.
func TestExpect(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	out := b.raw("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nbody")
	if !strings.HasPrefix(out, "HTTP/1.1 100 ") || !strings.HasSuffix(out, "\r\n\r\nbody") {
		t.Errorf("%q", out)
	}
	out = b.raw("POST /early HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 413 ") {
		t.Errorf("%q", out)
	}
	if out := b.raw("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n"); strings.Contains(out, " 200 ") {
		t.Errorf("a body that is none was answered: %q", out)
	}
	if out := b.raw("HEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(out, "HTTP/1.1 200 ") {
		t.Errorf("%q", out)
	}
}

// A server that ends between two requests ends the connection, so that the client makes another one.
func TestIdleEnd(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	c := b.client()
	for range 3 {
		resp, err := c.Get("https://a.test/")
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "ok" || err != nil {
			t.Fatal(string(body), err)
		}
		resp.Body.Close()
		b.server.SetKeepAlivesEnabled(false) // ends those that are idle
		b.server.SetKeepAlivesEnabled(true)
	}
}

func TestTake(t *testing.T) {
	for _, bad := range []string{"", "short", "with\nnewline", "tab\tinside-it", " blank-before", "blank-after ", "nul\x00inside", "ünïcödé-value", strings.Repeat("x", 8<<10+1)} {
		o, err := New(rules(), nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Take("API_KEY", []byte(bad)); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := o.Take("OTHER", []byte(value)); err == nil {
			t.Error("a secret that no rule injects is taken")
		}
		if o.Ready() == nil {
			t.Error("it is ready")
		}
	}
	basic := rules()
	basic[0].Inject[0].Prefix = "Basic "
	o, err := New(basic, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Take("API_KEY", []byte("dXNlcjpwYXNzd29yZA==")); err != nil { // user:password, RFC 7617
		t.Fatal(err)
	}
	if got := o.Clean("a password of user:password"); got != "a [secret] of [secret]" {
		t.Error(got)
	}
}

// A plain is one side without TLS: what is read, and what was written.
type plain struct {
	io.Reader
	bytes.Buffer
}

func (p *plain) Read(b []byte) (int, error)      { return p.Reader.Read(b) }
func (p *plain) CloseWrite() error               { return nil }
func (p *plain) SetDeadline(time.Time) error     { return nil }
func (p *plain) SetReadDeadline(time.Time) error { return nil }

// FuzzRequest: whatever a cell sends, a server gets requests for the one host, each with the value once, in that field, and nowhere else.
func FuzzRequest(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: a.test\r\nauthorization: x\r\nAUTHORIZATION : y\r\n\r\n")
	f.Add("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close, authorization\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n")
	f.Add("GET https://a.test/ HTTP/1.0\r\nhost:a.test\r\nAuthorization_: x\r\nTE: trailers\r\n\r\n")
	o, err := New(rules(), nil, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	if err := o.Take("API_KEY", []byte(value)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if strings.Contains(in, value) {
			t.Skip()
		}
		x := &exchange{o: o, add: o.added(rules()[0].Inject), site: Site{Request: func(q *http1.Request, n int) error {
			if q.Host != "a.test" {
				return errors.New("another host")
			}
			return nil
		}}}
		r := http1.NewReader(strings.NewReader(in))
		r.Scheme = "https"
		var out bytes.Buffer
		passed := 0
		for {
			q, err := r.Next()
			if err != nil || x.pass(q, passed) != nil {
				break
			}
			before := out.Len()
			if _, err := q.WriteTo(&out); err != nil {
				out.Truncate(before)
				break
			}
			passed++
		}
		if n := strings.Count(out.String(), value); n != passed {
			t.Fatalf("%q: %d requests with the value %d times: %q", in, passed, n, &out)
		}
		again := bufio.NewReader(&out)
		for range passed {
			q, err := http.ReadRequest(again)
			if err != nil || q.Host != "a.test" && !strings.HasPrefix(strings.ToLower(q.Host), "a.test") || !slices.Equal(q.Header.Values("Authorization"), []string{"Bearer " + value}) {
				t.Fatalf("%q: %+v, %v", in, q, err)
			}
			if _, err := io.Copy(io.Discard, q.Body); err != nil {
				t.Fatalf("%q: %v", in, err)
			}
		}
	})
}

// FuzzAnswer: whatever a server answers, the cell does not get the value.
func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 24\r\nX: sk-live-0123456789abcdef\r\n\r\nsk-live-0123456789abcdef", "GET")
	f.Add("HTTP/1.1 100 sk-live-0123456789abcdef\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nsk-live-0123456789abcdef: x\r\n\r\n8\r\nsk-live-\r\n10\r\n0123456789abcdef\r\n0\r\nX: y\r\n\r\n", "POST")
	f.Add("HTTP/1.0 404 c2stbGl2ZS0wMTIzNDU2Nzg5YWJjZGVm\r\nConnection: x\r\nContent-Encoding: identity\r\n\r\n736b2d6c6976652d30313233343536373839616263646566", "HEAD")
	o, err := New(rules(), nil, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	if err := o.Take("API_KEY", []byte(value)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in, method string) {
		cell := &plain{Reader: strings.NewReader(method + " / HTTP/1.1\r\nHost: a.test\r\n\r\n")}
		up := &plain{Reader: strings.NewReader(in)}
		x := newExchange(o, Site{Inject: rules()[0].Inject, Request: func(*http1.Request, int) error { return nil }, Refused: func(_, why string) {
			if strings.Contains(why, value) {
				t.Errorf("the record would have %q", why)
			}
		}, Forbidden: func(*http1.Refusal) {}}, cell, up)
		q, err := x.in.Next()
		if err != nil {
			return
		}
		x.answer(q)
		if strings.Contains(cell.Buffer.String(), value) {
			t.Errorf("%q brings %q", in, cell.Buffer.String())
		}
	})
}
