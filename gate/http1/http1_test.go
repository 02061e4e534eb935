package http1

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// pass reads every request of a connection and returns what a server would get, the hosts, and what ended it.
func pass(in string) (out string, hosts []string, err error) {
	r := NewReader(iotest.OneByteReader(strings.NewReader(in)))
	var w bytes.Buffer
	for {
		q, err := r.Next()
		if err != nil {
			return w.String(), hosts, err
		}
		hosts = append(hosts, q.Host)
		if _, err := q.WriteTo(&w); err != nil {
			return w.String(), hosts, err
		}
	}
}

func TestPassed(t *testing.T) {
	for _, x := range []struct{ in, out, hosts string }{
		{"GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\n", "a.example"},
		{"GET /x HTTP/1.1\r\nhost:a.example.\r\nX:  y \r\n\r\n", "GET /x HTTP/1.1\r\nhost: a.example.\r\nX: y\r\n\r\n", "a.example"},
		{"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET /x?y HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example"},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a"},
		{"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "2001:db8::1"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: b\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: b\r\n\r\n", "a b"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "a"},
	} {
		out, hosts, err := pass(x.in)
		if err != io.EOF || out != x.out || strings.Join(hosts, " ") != x.hosts {
			t.Errorf("%q: %q %v %v", x.in, out, hosts, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, in := range map[string]string{
		"connect":             "CONNECT evil:443 HTTP/1.1\r\nHost: a\r\n\r\n",
		"absolute form":       "GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"absolute form, user": "GET http://a@evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"https form":          "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"two hosts":           "GET / HTTP/1.1\r\nHost: a\r\nHost: evil\r\n\r\n",
		"host twice, same":    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"blank before colon":  "GET / HTTP/1.1\r\nHost : evil\r\nHost: a\r\n\r\n",
		"folded":              "GET / HTTP/1.1\r\nHost: a\r\n evil\r\n\r\n",
		"bare LF":             "GET / HTTP/1.1\nHost: a\n\n",
		"bare LF inside":      "GET / HTTP/1.1\r\nX: y\nHost: evil\r\nHost: a\r\n\r\n",
		"bare CR":             "GET / HTTP/1.1\r\nX: y\rHost: evil\r\nHost: a\r\n\r\n",
		"NUL":                 "GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
		"h2c":                 "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
		"length and coding":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"signed length":       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
		"coding twice":        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"strange coding":      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"HTTP/0.9":            "GET /\r\n\r\n",
		"HTTP/2.0":            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
		"control in target":   "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
		"blank in target":     "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
		"host is a list":      "GET / HTTP/1.1\r\nHost: a, evil\r\n\r\n",
		"host with user":      "GET / HTTP/1.1\r\nHost: a@evil\r\n\r\n",
		"connection: host":    "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n",
		"long":                "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", MaxHead) + "\r\n\r\n",
		"bad chunk":           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"no host":             "GET / HTTP/1.1\r\n\r\n",
	} {
		_, _, err := pass(in)
		var r *Refusal
		if !errors.As(err, &r) {
			t.Errorf("%s: %v", name, err)
		} else if r.NoHost != (name == "no host") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A request that came another way is held to the same.
func TestOf(t *testing.T) {
	for _, x := range []struct{ method, host, target, why string }{
		{"GET", "A.test.:443", "/x", ""}, {"OPTIONS", "a.test", "*", ""}, {"GET", "", "/", "no Host"}, {"GET", "a.test/x", "/", "the Host is no host"}, {"GET", "a.test:0", "/", "the Host is no host"},
		{"GE T", "a.test", "/", "no request line"}, {"GET", "a.test", "/ /", "no request line"}, {"GET", "a.test", "", "no request line"}, {"CONNECT", "a.test", "/", "CONNECT"}, {"GET", "a.test", "*", "the target is no path"},
		{"GET", "a.test", "https://a.test/", "the target is no path"},
	} {
		q, err := Of(x.method, x.host, x.target)
		var bad *Refusal
		if x.why == "" && (err != nil || q.Host != "a.test" || q.Method != x.method) || x.why != "" && (!errors.As(err, &bad) || bad.Why != x.why || bad.NoHost != (x.host == "")) {
			t.Errorf("%+v: %+v, %v", x, q, err)
		}
	}
}

func TestLooks(t *testing.T) {
	for in, want := range map[string][3]bool{
		"": {false, false, true}, "GE": {false, false, true}, "GET /": {true, false, false}, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": {false, true, false},
		"PRI * ": {false, false, true}, "PATCH /": {true, false, false}, "\x16\x03": {}, "SSH-2.0": {}, "get /": {}, "EHLO x": {true, false, false},
	} {
		a, b, c := Looks([]byte(in))
		if [3]bool{a, b, c} != want {
			t.Errorf("%q: %v %v %v", in, a, b, c)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: a.example:80\r\n\r\n")
	f.Add("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n")
	f.Add("GET http://a/ HTTP/1.0\r\nhost:a\r\nconnection: close\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		out, hosts, err := pass(in)
		if err != io.EOF {
			return
		}
		// What was passed on says the same to a second reader, and is not changed by it.
		again, hosts2, err := pass(out)
		if err != io.EOF || again != out || strings.Join(hosts, " ") != strings.Join(hosts2, " ") {
			t.Fatalf("%q became %q, then %q (%v, %v, %v)", in, out, again, hosts, hosts2, err)
		}
	})
}
