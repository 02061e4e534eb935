package oidc

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/outbound"
)

const token = "request-token-hunter2"

func ask(t *testing.T, handler http.HandlerFunc, path, audience string) (string, error) {
	t.Helper()
	s := httptest.NewServer(handler)
	defer s.Close()
	defer s.CloseClientConnections()
	b := Broker{
		URL: func() string { return s.URL + path }, Token: func() string { return token },
		Client: outbound.Client(outbound.Config{Connect: time.Second, Total: 2 * time.Second}),
	}
	v, err := b.Resolve(context.Background(), audience)
	if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "from the server")) {
		t.Errorf("the error tells too much: %v", err)
	}
	return string(v.AppendTo(nil)), err
}

func TestResolve(t *testing.T) {
	got, err := ask(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.RequestURI != "/t?v=2&audience=sts.example%2F%C3%A9%20x~" || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("asked %s %s with %q", r.Method, r.RequestURI, r.Header["Authorization"])
		}
		io.WriteString(w, `{"count":1,"value":"JWT.x.y"}`)
	}, "/t?v=2", "sts.example/é x~")
	if err != nil || got != "JWT.x.y" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestBadAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"status":  {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "from the server", http.StatusForbidden) }, "403 Forbidden"},
		"type":    {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"value":{"from the server":1}}`) }, "no string value"},
		"number":  {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"value":7}`) }, "no string value"},
		"nothing": {func(w http.ResponseWriter, r *http.Request) {}, "no string value"},
		"no JSON": {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>from the server") }, "no string value"},
		"nested":  {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat(`{"value":`, 200000)) }, "too long"},
		"deep": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"value":`+strings.Repeat(`[`, 100000))
		}, "no string value"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for _, err := io.WriteString(w, `{"value":"`); err == nil; {
				_, err = io.WriteString(w, strings.Repeat("x", 1<<16))
			}
		}, "too long"},
		"slow": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.2:1/?from the server", http.StatusTemporaryRedirect)
		}, "another server"},
		"cut off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{`)
		}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := ask(t, c.handler, "/", "a"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestNotConfigured(t *testing.T) {
	for _, x := range [][2]string{{"", "t"}, {"http://h", ""}, {"://", "t"}, {"ftp://h", "t"}, {"no url", "t"}} {
		b := Broker{URL: func() string { return x[0] }, Token: func() string { return x[1] }, Client: outbound.Client(outbound.Config{})}
		if _, err := b.Resolve(context.Background(), "a"); err == nil || !strings.Contains(err.Error(), "ACTIONS_ID_TOKEN_REQUEST_URL") {
			t.Errorf("%q: %v", x, err)
		}
	}
}
