package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"cellos.io/cellos/outbound"
	"cellos.io/cellos/secret"
)

// A server behaves as Vault does: AppRole logins make tokens, which read a key-value store until they are revoked.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	tokens map[string]bool   // true: valid
	store  map[string]string // path to the JSON of the data
	log    []string

	seconds  int           // life of a token
	fixed    bool          // tokens are not renewable
	renew    func() string // the answer to a renewal; "" refuses it
	renewals int
}

func newServer(t *testing.T) *server {
	s := &server{seconds: 60, tokens: map[string]bool{}, store: map[string]string{"kv/data/a/b/K": `{"K":"from-vault","other":"x"}`, "secret/data/K": `{"K":"plain"}`, "secret/data/L": `{"L":"second"}`}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	s.log = append(s.log, r.Method+" "+path+" "+r.Header.Get("X-Vault-Namespace"))
	token := r.Header.Get("X-Vault-Token")
	switch {
	case path == "auth/approle/login" && r.Method == http.MethodPost:
		var in struct{ RoleID, SecretID string }
		var raw map[string]string
		json.NewDecoder(r.Body).Decode(&raw)
		if in.RoleID, in.SecretID = raw["role_id"], raw["secret_id"]; in.RoleID != "rid" || in.SecretID != "sid-hunter2" {
			w.WriteHeader(400)
			io.WriteString(w, `{"errors":["invalid role or secret ID sid-hunter2"]}`)
			return
		}
		token := fmt.Sprintf("hvs.token-%d", len(s.tokens))
		s.tokens[token] = true
		fmt.Fprintf(w, `{"auth":{"client_token":%q,"lease_duration":%d,"renewable":%v}}`, token, s.seconds, !s.fixed)
	case !s.tokens[token]:
		w.WriteHeader(403)
		io.WriteString(w, `{"errors":["permission denied"]}`)
	case path == "auth/token/renew-self" && r.Method == http.MethodPost:
		s.renewals++
		if answer := s.renew(); answer != "" {
			io.WriteString(w, answer)
			return
		}
		w.WriteHeader(400)
		io.WriteString(w, `{"errors":["token not renewable"]}`)
	case path == "auth/token/revoke-self" && r.Method == http.MethodPost:
		s.tokens[token] = false
		w.WriteHeader(204)
	default:
		data, ok := s.store[path]
		if !ok || r.Method != http.MethodGet {
			w.WriteHeader(404)
			io.WriteString(w, `{"errors":[]}`)
			return
		}
		fmt.Fprintf(w, `{"data":{"data":%s,"metadata":{"version":3}}}`, data)
	}
}

func (s *server) live() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, valid := range s.tokens {
		if valid {
			n++
		}
	}
	return n
}

func brokerFor(url string) *Broker {
	return &Broker{Addr: url, RoleID: "rid", SecretID: secret.FromString("sid-hunter2"), Mount: "secret",
		Client: outbound.Client(outbound.Config{Connect: time.Second, Total: 2 * time.Second})}
}

func TestResolve(t *testing.T) {
	s := newServer(t)
	b := brokerFor(s.URL)
	b.Mount, b.Prefix, b.Namespace = "kv", "a/b", "ns"
	v, err := b.Resolve(context.Background(), "K")
	if err != nil || string(v.AppendTo(nil)) != "from-vault" {
		t.Fatalf("%q, %v", v.AppendTo(nil), err)
	}
	want := []string{"POST auth/approle/login ns", "GET kv/data/a/b/K ns", "POST auth/token/revoke-self ns"}
	if fmt.Sprint(s.log) != fmt.Sprint(want) {
		t.Errorf("asked %q, want %q", s.log, want)
	}
	if s.live() != 0 {
		t.Error("a token is still valid")
	}
}

func TestLease(t *testing.T) {
	s := newServer(t)
	b := brokerFor(s.URL)
	ctx := context.Background()
	l, err := b.Lease(ctx, []string{"K", "L"})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"K": "plain", "L": "second"} {
		if v, err := l.Resolve(ctx, key); err != nil || string(v.AppendTo(nil)) != want {
			t.Errorf("%s: %q, %v", key, v.AppendTo(nil), err)
		}
	}
	s.mu.Lock()
	s.store["secret/data/K"] = `{"K":"rotated"}`
	s.mu.Unlock()
	if v, err := l.Resolve(ctx, "K"); err != nil || string(v.AppendTo(nil)) != "rotated" {
		t.Errorf("%q, %v", v.AppendTo(nil), err)
	}
	if len(s.tokens) != 1 || s.live() != 1 {
		t.Errorf("tokens %v", s.tokens)
	}
	if err := l.Revoke(ctx); err != nil || s.live() != 0 {
		t.Errorf("%v, %d tokens are valid", err, s.live())
	}
	n := len(s.log)
	if err := l.Revoke(ctx); err != nil || len(s.log) != n {
		t.Errorf("a second revocation: %v", err)
	}
	if _, err := l.Resolve(ctx, "K"); err == nil {
		t.Error("a revoked lease resolves")
	}
	if _, err := b.Lease(ctx, []string{"K", "missing"}); err == nil || err.Error() != "vault kv secret not found: missing" || s.live() != 0 {
		t.Errorf("%v, %d tokens are valid", err, s.live())
	}
}

// TestFaults: whatever the server answers, the error says what was asked for and not what came back, and nothing hangs.
func TestFaults(t *testing.T) {
	const login = `{"auth":{"client_token":"hvs.hunter2"}}`
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "hunter2 said the server", code) }
	}
	gone := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.2:1/hunter2", http.StatusTemporaryRedirect)
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		for _, err := io.WriteString(w, `{"data":{"data":{"K":"hunter2`); err == nil; {
			_, err = io.WriteString(w, strings.Repeat("x", 1<<16))
		}
	}
	slow := func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }
	for name, c := range map[string]struct {
		login, read, revoke http.HandlerFunc
		want                string
	}{
		"login refused":       {login: status(400), want: "vault approle login returned 400 Bad Request"},
		"login is no object":  {login: say(`[]`), want: "client_token"},
		"token is no string":  {login: say(`{"auth":{"client_token":5}}`), want: "client_token"},
		"token is empty":      {login: say(`{"auth":{"client_token":""}}`), want: "client_token"},
		"login nested":        {login: say(strings.Repeat(`{"auth":`, 90000)), want: "client_token"},
		"login endless":       {login: endless, want: "vault approle login: the answer is too long"},
		"login slow":          {login: slow, want: "vault approle login: no answer in time"},
		"login elsewhere":     {login: gone, want: "vault approle login: the server redirects to another server"},
		"read refused":        {read: status(500), want: "vault kv read of K returned 500 Internal Server Error"},
		"read denied":         {read: status(403), want: "vault kv read of K returned 403 Forbidden"},
		"not found":           {read: status(404), want: "vault kv secret not found: K"},
		"no data":             {read: say(`{"data":null}`), want: "no object data.data"},
		"data is a list":      {read: say(`{"data":{"data":[1]}}`), want: "no object data.data"},
		"another field":       {read: say(`{"data":{"data":{"k":"hunter2"}}}`), want: "vault kv secret K has no field of that name"},
		"field is a number":   {read: say(`{"data":{"data":{"K":7}}}`), want: "is no string"},
		"field is an object":  {read: say(`{"data":{"data":{"K":{"hunter2":"x"}}}}`), want: "is no string"},
		"field is null":       {read: say(`{"data":{"data":{"K":null}}}`), want: "is no string"},
		"read endless":        {read: endless, want: "too long"},
		"read slow":           {read: slow, want: "no answer in time"},
		"read elsewhere":      {read: gone, want: "another server"},
		"revocation refused":  {revoke: status(503), want: "vault token revoke-self returned 503 Service Unavailable"},
		"revocation is silly": {revoke: say(`{`), want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, x := range []struct {
					path string
					h    http.HandlerFunc
					good string
				}{{"/v1/auth/approle/login", c.login, login}, {"/v1/secret/data/K", c.read, `{"data":{"data":{"K":"good"}}}`}, {"/v1/auth/token/revoke-self", c.revoke, ""}} {
					if r.URL.Path == x.path {
						if x.h != nil {
							x.h(w, r)
						} else {
							io.WriteString(w, x.good)
						}
					}
				}
			}))
			defer s.Close()
			defer s.CloseClientConnections()
			v, err := brokerFor(s.URL).Resolve(context.Background(), "K")
			if c.want == "" {
				if err != nil || string(v.AppendTo(nil)) != "good" {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells what the server said: %v", err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for addr, want := range map[string]string{"http://h": "", "https://h:8200/base": "", "vault:8200": "scheme must be http or https", "": "scheme", "ftp://h": "scheme", "http://": "a host",
		"http://u:p@h": "no user", "http://h?x=1": "query", "http://h\x7f": "no URL"} {
		err := (&Broker{Addr: addr}).Check()
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", addr, err, want)
		}
	}
}
