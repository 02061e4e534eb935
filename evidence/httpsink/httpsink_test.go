package httpsink_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/delivery"
	"cellos.io/cellos/evidence/httpsink"
	"cellos.io/cellos/secret"
)

func lines(n int) (list [][]byte) {
	for i := range n {
		e := evidence.Event{ID: evidence.NewID(), Source: "test", Type: "t", Time: time.Unix(1, 5e8), Data: []byte(fmt.Sprintf(`{"n":%d,"text":"é\n<"}`, i)),
			Run: "r", Sequence: uint64(i + 1), Material: "bWF0ZXJpYWw="}
		list = append(list, append(e.AppendJSON(nil), '\n'))
	}
	return list
}

func client(t *testing.T, c httpsink.Config) *httpsink.Client {
	t.Helper()
	x, err := httpsink.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// A received request.
type received struct {
	contentType, authorization string
	body                       []byte
}

// receiver is a server that answers each request as answer says, and keeps those that it accepts.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
	n   int
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter) bool) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Method != http.MethodPost {
			t.Errorf("%s, %v", req.Method, err)
		}
		r.mu.Lock()
		n := r.n
		r.n++
		r.mu.Unlock()
		if answer == nil || answer(n, w) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = append(r.got, received{req.Header.Get("Content-Type"), req.Header.Get("Authorization"), body})
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func TestStructured(t *testing.T) {
	r := receive(t, nil)
	want := lines(3)
	n, err := httpsink.Events{Client: client(t, httpsink.Config{URL: r.URL + "/in?key=k", Bearer: secret.FromString("token-1")})}.Deliver(t.Context(), want)
	if n != 3 || err != nil || len(r.got) != 3 {
		t.Fatalf("%d, %v; %d requests", n, err, len(r.got))
	}
	for i, q := range r.got {
		if q.contentType != "application/cloudevents+json; charset=utf-8" || q.authorization != "Bearer token-1" || string(q.body)+"\n" != string(want[i]) {
			t.Errorf("request %d is %+v", i, q)
		}
	}
}

func TestBatched(t *testing.T) {
	r := receive(t, nil)
	want := lines(250)
	n, err := httpsink.Events{Client: client(t, httpsink.Config{URL: strings.Replace(r.URL, "://", "://user:pw@", 1)}), Batch: true}.Deliver(t.Context(), want)
	if n != 250 || err != nil || len(r.got) != 3 {
		t.Fatalf("%d, %v; %d requests", n, err, len(r.got))
	}
	i := 0
	for _, q := range r.got {
		var events []json.RawMessage
		if err := json.Unmarshal(q.body, &events); err != nil || q.contentType != "application/cloudevents-batch+json; charset=utf-8" || q.authorization != "Basic dXNlcjpwdw==" {
			t.Fatalf("%s, %s: %v", q.contentType, q.authorization, err)
		}
		for _, e := range events {
			if string(e)+"\n" != string(want[i]) {
				t.Errorf("event %d is %s", i, e)
			}
			i++
		}
	}
}

// TestFaults: every fault of a server that may pass is met with another try, until everything is there, once and in order but for what
// was accepted without an answer.
func TestFaults(t *testing.T) {
	hijack := func(w http.ResponseWriter, text string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, text)
		conn.(*net.TCPConn).SetLinger(0) // a reset and no end
		conn.Close()
	}
	for name, fault := range map[string]func(w http.ResponseWriter){
		"500":         func(w http.ResponseWriter) { w.WriteHeader(500) },
		"503":         func(w http.ResponseWriter) { w.Header().Set("Retry-After", "1"); w.WriteHeader(503) },
		"429":         func(w http.ResponseWriter) { w.WriteHeader(429) },
		"408":         func(w http.ResponseWriter) { w.WriteHeader(408) },
		"reset":       func(w http.ResponseWriter) { hijack(w, "") },
		"half answer": func(w http.ResponseWriter) { hijack(w, "HTTP/1.1 20") },
		"no HTTP":     func(w http.ResponseWriter) { hijack(w, "SSH-2.0-x\r\n") },
		"slow":        func(w http.ResponseWriter) { time.Sleep(700 * time.Millisecond); w.WriteHeader(500) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, func(n int, w http.ResponseWriter) bool {
				if n%2 == 0 {
					fault(w)
				}
				return n%2 != 0
			})
			s := delivery.New(httpsink.Events{Client: client(t, httpsink.Config{URL: r.URL, Timeout: 500 * time.Millisecond})}, delivery.Config{Patience: time.Minute})
			want := lines(3)
			for _, l := range want {
				if _, err := s.Write(l); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if len(r.got) != 3 {
				t.Fatalf("%d of 3 came", len(r.got))
			}
			for i, q := range r.got {
				if string(q.body)+"\n" != string(want[i]) {
					t.Errorf("event %d is %s", i, q.body)
				}
			}
		})
	}
}

// TestRestart: a server that is away for a while gets everything when it is back.
func TestRestart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	var mu sync.Mutex
	var got []string
	serve := func(l net.Listener) *http.Server {
		s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(body))
		})}
		go s.Serve(l)
		return s
	}
	first := serve(l)
	s := delivery.New(httpsink.Events{Client: client(t, httpsink.Config{URL: "http://" + address})}, delivery.Config{Patience: time.Minute})
	want := lines(4)
	put := func(l []byte) {
		if _, err := s.Write(l); err != nil {
			t.Fatal(err)
		}
	}
	put(want[0])
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	first.Close()
	back := make(chan *http.Server, 1)
	go func() {
		time.Sleep(300 * time.Millisecond) // while the sink is trying; nothing depends on how long
		for {
			if l, err := net.Listen("tcp", address); err == nil {
				back <- serve(l)
				return
			}
		}
	}()
	for _, l := range want[1:] {
		put(l)
	}
	err = s.Close()
	second := <-back
	second.Close()
	if err != nil || strings.Join(got, "\n")+"\n" != string(want[0])+string(want[1])+string(want[2])+string(want[3]) {
		t.Errorf("%v; came %q", err, got)
	}
}

// TestRefused: what trying again does not mend is an error at once, without the password, the query and the words of the server.
func TestRefused(t *testing.T) {
	elsewhere := receive(t, nil)
	for status, want := range map[int]string{400: "status 400", 401: "status 401", 404: "status 404", 413: "status 413", 302: "redirects are not followed", 307: "redirects are not followed"} {
		r := receive(t, func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(status)
			io.WriteString(w, "body-sentinel")
			return false
		})
		s := delivery.New(httpsink.Events{Client: client(t, httpsink.Config{URL: strings.Replace(r.URL, "://", "://u:pw-sentinel@", 1) + "/in?q=query-sentinel"})},
			delivery.Config{Patience: time.Hour})
		s.Write(lines(1)[0])
		err := s.Flush()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sentinel") || !strings.Contains(err.Error(), "/in") {
			t.Errorf("%d: %v", status, err)
		}
	}
	if len(elsewhere.got) != 0 {
		t.Error("a redirect was followed")
	}
}

func TestConfig(t *testing.T) {
	for _, url := range []string{"", "ftp://x", "http://", "http://u:pw-sentinel@[::1", "https://x/#f", "x"} {
		if _, err := httpsink.New(httpsink.Config{URL: url}); err == nil || strings.Contains(err.Error(), "pw-sentinel") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := httpsink.New(httpsink.Config{URL: "http://u:p@x", Bearer: secret.FromString("t")}); err == nil {
		t.Error("two ways to be let in")
	}
}
