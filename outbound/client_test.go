package outbound

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("the other server was asked") }))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer s.Close()
	for path, want := range map[string]string{"/here": "", "/loop": "more than 10", "/away": ErrRedirect.Error()} {
		resp, err := Client(Config{}).Get(s.URL + path)
		if err == nil {
			resp.Body.Close()
		}
		if (want == "") != (err == nil) || err != nil && !strings.Contains(Cause(err).Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTimes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // connections are made, and nobody answers
	_, err = Client(Config{Total: 50 * time.Millisecond}).Get("http://user:hunter2@" + l.Addr().String() + "/?key=hunter2")
	if err = Cause(err); err == nil || err.Error() != "no answer in time" {
		t.Errorf("%v", err)
	}
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Error("it is no timeout")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr().String()+"/?key=hunter2", nil)
	if _, err = Client(Config{}).Do(req); err == nil || strings.Contains(Cause(err).Error(), "hunter2") || !errors.Is(Cause(err), context.Canceled) {
		t.Errorf("cancelled: %v", Cause(err))
	}
}

func TestRoots(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer s.Close()
	s.Config.ErrorLog = nil
	file := filepath.Join(t.TempDir(), "ca.pem")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Client(Config{}).Get(s.URL); err == nil {
		t.Error("a server with an unknown certificate is trusted")
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	write("# ours\n" + block)
	pool, err := Roots(file)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := Client(Config{Roots: pool}).Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for text, want := range map[string]string{"": "no certificate", "x": "no certificate", strings.ReplaceAll(block, "MII", "AAA"): "certificate 1"} {
		write(text)
		if _, err := Roots(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := Roots(file + "x"); err == nil {
		t.Error("a file that is not there")
	}
}

func TestRead(t *testing.T) {
	if b, err := Read(strings.NewReader("12345"), 5); err != nil || string(b) != "12345" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Read(strings.NewReader("123456"), 5); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
}

func TestShown(t *testing.T) {
	u, _ := url.Parse("https://user:hunter2@h:1/a/b?sig=hunter2#hunter2")
	if got := Shown(u); got != "https://h:1/a/b" {
		t.Error(got)
	}
}
