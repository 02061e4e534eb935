package inject

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/gate/http1"
)

// FuzzStream: whatever a request of HTTP/2 is, one that is passed on goes to the host of the rule, by the path that it names, with the header once.
func FuzzStream(f *testing.F) {
	f.Add("GET", "a.test", "/x?y#z", "x", "y")
	f.Add("POST", "A.test.:443", "//b.test/", "authorization", "mine")
	f.Add("OPTIONS", "a.test", "*", "AUTHORIZATION", "")
	f.Add("PUT", "a.test", "/%2e%2e/\\b.test", "connection", "authorization, x")
	f.Add("GET", "a.test@b.test", "/", "host", "b.test")
	o, err := New(rules(), nil, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	if err := o.Take("API_KEY", []byte(value)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, host, path, name, text string) {
		x := &streams{o: o, add: o.added(rules()[0].Inject), site: Site{Request: func(q *http1.Request, _ int) error {
			if q.Host != "a.test" {
				return errors.New("another host")
			}
			return nil
		}}}
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.Host, r.RequestURI, r.TLS, r.ProtoMajor = method, host, path, &tls.ConnectionState{}, 2
		r.Header = http.Header{name: {text}}
		out, err := x.pass(r)
		if err != nil {
			return
		}
		if h, _, _ := strings.Cut(strings.ToLower(out.Host), ":"); strings.TrimSuffix(h, ".") != "a.test" || out.Host != host || out.URL.Host != host {
			t.Errorf("it goes to %q, %q", out.Host, out.URL.Host)
		}
		if got := strings.TrimPrefix(out.URL.RequestURI(), "https://"+host); got != path {
			t.Errorf("the path %q became %q", path, got)
		}
		if method == "TRACE" || method == "CONNECT" || !slices.Equal(out.Header.Values("Authorization"), []string{"Bearer " + value}) {
			t.Errorf("%s with %q", method, out.Header)
		}
		for n, values := range out.Header {
			if n != "Authorization" && (strings.EqualFold(strings.ReplaceAll(n, "_", "-"), "authorization") || slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, value) && !strings.Contains(text, value) })) {
				t.Errorf("a header %q: %q", n, values)
			}
		}
	})
}
