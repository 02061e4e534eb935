package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cellos.io/cellos/export"
	"cellos.io/cellos/outbound"
	"cellos.io/cellos/secret"
)

func source(t *testing.T, text string) (*export.Source, string) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	s, err := export.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func sink(url string) *Sink {
	return &Sink{URL: url, Attempts: 1, What: "http", Client: outbound.Client(outbound.Config{Connect: time.Second, Total: 2 * time.Second})}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		url   string
		exact bool
		want  string
	}{
		{"http://h/up/", false, "http://h/up/c%201/a%2Fb"},
		{"http://h", false, "http://h/c%201/a%2Fb"},
		{"http://h/o?sig=1", false, "http://h/o?sig=1"},
		{"https://h/o", true, "https://h/o"},
		{"http://h/{artifact_name}/x?c={cell_id}", true, "http://h/a%2Fb/x?c=c%201"},
		{"ftp://h/", false, ""}, {"h:1", false, ""}, {"http://", false, ""}, {"http://h\x00/", false, ""},
	} {
		u, err := (&Sink{URL: c.url, Exact: c.exact}).For("c 1", "a/b")
		if c.want == "" {
			if err == nil {
				t.Errorf("%s gives %s", c.url, u)
			}
		} else if err != nil || u.String() != c.want {
			t.Errorf("%s gives %v, %v; want %s", c.url, u, err, c.want)
		}
	}
}

func TestPut(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization") + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("Content-Length") + " " + string(b)
		w.WriteHeader(201)
	}))
	defer s.Close()
	x := sink(s.URL + "/up/")
	x.Type, x.Bearer = "text/x-demo", secret.FromString("BT")
	src, _ := source(t, "hello")
	if err := x.Put(context.Background(), "cell-1", "a", src); err != nil || got != "PUT /up/cell-1/a Bearer BT text/x-demo 5 hello" {
		t.Errorf("%q, %v", got, err)
	}
	src, _ = source(t, "")
	x = sink(s.URL + "/o?sig=1")
	if err := x.Put(context.Background(), "c", "a", src); err != nil || got != "PUT /o?sig=1   0 " {
		t.Errorf("%q, %v", got, err)
	}
}

// TestRetries: what may pass is tried again, from the beginning; what will not is not.
func TestRetries(t *testing.T) {
	for codes, want := range map[string]int32{"503 429 200": 3, "500 408 425 201": 4, "403": 1, "404": 1, "301": 1, "503 503 503 503 503": 4, "200": 1} {
		list := strings.Fields(codes)
		var n atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); string(b) != "hello" {
				t.Errorf("%s: the body is %q", codes, b)
			}
			code := list[n.Add(1)-1]
			w.WriteHeader(map[string]int{"503": 503, "429": 429, "200": 200, "500": 500, "408": 408, "425": 425, "201": 201, "403": 403, "404": 404, "301": 301}[code])
			io.WriteString(w, "hunter2 said the server")
		}))
		x := sink(s.URL + "/?sig=hunter2")
		x.Attempts = 4
		src, _ := source(t, "hello")
		err := x.Put(context.Background(), "c", "a", src)
		s.Close()
		good := list[len(list)-1][0] == '2'
		if good != (err == nil) || n.Load() != want || err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "http put "+s.URL+"/ returned ")) {
			t.Errorf("%s: %d tries, %v", codes, n.Load(), err)
		}
	}
	x := sink("http://user:hunter2@127.0.0.1:1/?sig=hunter2")
	x.Attempts = 2
	src, _ := source(t, "hello")
	if err := x.Put(context.Background(), "c", "a", src); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"slow": {func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }, "no answer in time"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.2:1/hunter2", http.StatusTemporaryRedirect)
		}, "another server"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			for err := error(nil); err == nil; {
				_, err = io.WriteString(w, strings.Repeat("hunter2", 10000))
			}
		}, ""},
		"cut off": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(c.handler)
			defer s.Close()
			defer s.CloseClientConnections()
			src, _ := source(t, "hello")
			err := sink(s.URL).Put(context.Background(), "c", "a", src)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

// TestRedirectOnTheSameServer repeats the PUT there, with all of the file.
func TestRedirectOnTheSameServer(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/there" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
			return
		}
		got = r.Method + " " + string(b) + " " + r.Header.Get("Authorization")
	}))
	defer s.Close()
	x := sink(s.URL)
	x.Bearer = secret.FromString("BT")
	src, _ := source(t, "hello")
	if err := x.Put(context.Background(), "c", "a", src); err != nil || got != "PUT hello Bearer BT" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAFileThatGrows: the server never gets the bytes that it was promised, and so keeps nothing.
func TestAFileThatGrows(t *testing.T) {
	var whole atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			whole.Store(true)
		}
	}))
	defer s.Close()
	for text, change := range map[string]func(string) error{
		"hello":  func(p string) error { return os.WriteFile(p, []byte("hello!"), 0o600) },
		"":       func(p string) error { return os.WriteFile(p, []byte("!"), 0o600) },
		"longer": func(p string) error { return os.Truncate(p, 2) },
	} {
		src, p := source(t, text)
		if err := change(p); err != nil {
			t.Fatal(err)
		}
		x := sink(s.URL)
		x.Attempts = 3
		if err := x.Put(context.Background(), "c", "a", src); !errors.Is(err, export.ErrGrew) && !errors.Is(err, export.ErrShrank) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if whole.Load() {
		t.Error("the server got a whole body")
	}
}
