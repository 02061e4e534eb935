package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const injectedValue = "sk-live-0123456789abcdef"

// An api is an HTTPS server that wants a header, tells who came with which, and sends it back in more ways than one.
type api struct {
	port string

	mu   sync.Mutex
	came map[string][]string // by path: values of Authorization
}

// newAPI has a server that speaks these protocols, or else HTTP/1.1.
func (s *site) newAPI(protocols ...string) *api {
	a := &api{came: map[string][]string{}}
	l := s.listen()
	a.port = port(l.Addr())
	files := http.FileServer(http.Dir(s.repository()))
	next := make(chan bool, 8)
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Values("Authorization")
		a.mu.Lock()
		a.came[r.URL.Path] = append(a.came[r.URL.Path], auth...)
		a.mu.Unlock()
		w.Header().Set("X-Echo", strings.Join(auth, " "))
		switch {
		case strings.HasPrefix(r.URL.Path, "/repo.git/"):
			files.ServeHTTP(w, r)
		case r.URL.Path == "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
		case r.URL.Path == "/next":
			next <- true
		case r.URL.Path == "/stream": // an event is sent when the one before has come
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				select {
				case <-next:
				case <-r.Context().Done():
					return
				}
			}
		case r.URL.Path == "/lines": // each is answered when it has come
			w.Header().Set("Content-Type", "application/grpc")
			w.(http.Flusher).Flush()
			for lines := bufio.NewScanner(r.Body); lines.Scan(); w.(http.Flusher).Flush() {
				fmt.Fprintf(w, "%s <%s>\n", lines.Text(), strings.Join(auth, " "))
			}
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
			w.Header().Set(http.TrailerPrefix+"X-Late", strings.Join(auth, " "))
		case r.URL.Path == "/large":
			n, _ := io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", fmt.Sprint(n))
			io.CopyN(w, zeros{}, n)
		default:
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %d <%s>\n", r.Method, r.URL.Path, len(body), strings.Join(auth, " "))
		}
	})}
	pair := s.pair.Clone()
	pair.NextProtos = protocols
	go srv.Serve(tls.NewListener(l, pair))
	s.t.Cleanup(func() { srv.Close() })
	return a
}

func (a *api) got(path string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.came[path]
}

// injecting is a bench whose user has a key, and flags that have it put into the requests to a.test.
func (s *site) injecting(t *testing.T, u user, a *api) (*bench, []string) {
	b := online(t, u)
	if err := os.Mkdir(b.tmp(), 0o700); err != nil {
		t.Fatal(err)
	}
	b.own(b.tmp())
	b.env = append(b.env, "TMPDIR="+b.tmp(), "API_KEY="+injectedValue, "CELLOS_CA_BUNDLE="+s.ca)
	return b, append(s.grant(), "--private", "a.test=127.0.0.1", "--inject", "API_KEY=a.test:"+a.port, "--env", "API="+a.port, "--env", "CA="+s.ca)
}

// clean demands that the value is nowhere, and that nothing is left of the certificates.
func (b *bench) clean(t *testing.T, r result) {
	t.Helper()
	if strings.Contains(r.out, injectedValue) {
		t.Errorf("the command had the value:\n%s", r.out)
	}
	nowhere(t, b, r, injectedValue)
	if left, _ := filepath.Glob(filepath.Join(b.tmp(), "*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestInjected: the server has the key, the command does not. Real clients find it so with nothing set up in the cell, and whatever they send
// themselves in that header is gone.
func TestInjected(t *testing.T) {
	s := newSite(t)
	a := s.newAPI()
	programs := map[string]string{
		"curl":    `curl -sS -H 'authorization: mine' -H "X-Key: $API_KEY" https://a.test:$API/curl`,
		"env":     `env -i curl -sS https://a.test:$API/env`,
		"posts":   `head -c 100000 /dev/zero | curl -sS -H 'Transfer-Encoding: chunked' --data-binary @- https://a.test:$API/posts`,
		"python3": `python3 -c "import urllib.request as u,os; print(u.urlopen('https://a.test:'+os.environ['API']+'/python3').read().decode().strip())"`,
		"node":    `node -e "fetch('https://a.test:'+process.env.API+'/node').then(r=>r.text()).then(t=>process.stdout.write(t))"`,
		"wget":    `wget -qO- https://a.test:$API/wget`,
		"openssl": `printf 'GET /openssl HTTP/1.0\r\nHost: a.test\r\n\r\n' | openssl s_client -quiet -verify_return_error -servername a.test -connect a.test:$API 2>/dev/null | tail -1`,
		"git":     `git clone -q https://a.test:$API/repo.git x && cat x/file`,
	}
	for name := range programs {
		program := name
		if name == "env" || name == "posts" {
			program = "curl"
		}
		if _, err := os.Stat("/usr/bin/" + program); err != nil {
			delete(programs, name)
		}
	}
	if _, err := os.Stat("/usr/lib/python3/dist-packages/requests"); err == nil {
		programs["requests"] = `python3 -c "import requests,os; print(requests.get('https://a.test:'+os.environ['API']+'/requests').text.strip())"`
	}
	if _, err := os.Stat("/etc/ssl/certs/ca-certificates.crt"); err != nil {
		delete(programs, "env") // without a bundle, only variables say where certificates are
	}
	everywhere(t, func(t *testing.T, u user) {
		b, flags := s.injecting(t, u, a)
		script := "echo $API_KEY; cat /proc/*/environ /proc/*/cmdline /run/cellos-ca/* 2>/dev/null | tr '\\0' '\\n' | grep -a sk-live\n"
		for _, p := range programs {
			script += p + "\n"
		}
		r, events := b.gated(flags, "sh", "-c", script)
		out := r.ok(t)
		b.clean(t, r)
		if !regexp.MustCompile(`(?m)^cellos-placeholder-[0-9a-f]{32}$`).MatchString(out) {
			t.Errorf("there is no placeholder:\n%s", out)
		}
		stars := strings.Repeat("*", len(injectedValue))
		for name := range programs {
			path, want := "/"+name, "GET /"+name+" 0 <Bearer "+stars+">"
			switch name {
			case "posts":
				want = "POST /posts 100000 <Bearer " + stars + ">"
			case "git":
				path, want = "/repo.git/info/refs", "content"
			}
			if !strings.Contains(out, want+"\n") {
				t.Errorf("%s: no %q in\n%s\n%s", name, want, out, r.err)
			}
			if got := a.got(path); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return s != "Bearer "+injectedValue }) {
				t.Errorf("%s: the server got %q", name, got)
			}
		}
		said := reasons(events)
		for _, code := range []string{"allow nft_egress_rule_match", "allow l7_tls_terminated", "allow l7_secret_injected"} {
			if !said[code] {
				t.Errorf("no event says %s: %v", code, said)
			}
		}
		shown := b.cellos("show", "last").ok(t)
		for _, want := range []string{"TLS opened", "of a.test:" + a.port + " by the gate, which put API_KEY into Authorization; authority sha256:", "placeholder", "put into "} {
			if !strings.Contains(shown, want) {
				t.Errorf("show says nothing of %q:\n%s", want, shown)
			}
		}
		b.cellos("verify", "last").ok(t)
	})
	s.onlyGranted()
}

// What is not the one rule is as it was: another granted name gets no header and shows its own certificate, the host trusts nobody more, and
// what the gate must not carry is refused and written.
func TestInjectedNothingElse(t *testing.T) {
	needs(t, "curl", "openssl")
	s := newSite(t)
	a := s.newAPI()
	each(t, func(t *testing.T, u user) {
		b, flags := s.injecting(t, u, a)
		flags = append(flags, "--net", "b.test:"+a.port+"/https", "--private", "b.test=127.0.0.1")
		r, events := b.gated(flags, "sh", "-c", `
curl -sS --cacert $CA https://b.test:$API/other
openssl s_client -CAfile $CA -servername b.test -connect b.test:$API </dev/null 2>/dev/null | grep -a '^issuer'
curl -s --cacert $CA https://a.test:$API/untrusting || echo untrusting $?
curl -s -o /dev/null -w '%{http_code}\n' -H 'Host: b.test' https://a.test:$API/host
curl -s -o /dev/null -w '%{http_code}\n' https://a.test:$API/gzip
curl -s -o /dev/null -w '%{http_code}\n' -X TRACE https://a.test:$API/trace
curl -s --connect-to b.test:$API:a.test:$API --cacert $CA https://b.test:$API/sni || echo sni $?
curl -s http://a.test:$API/clear || echo clear $?
curl -s --http2-prior-knowledge -o /dev/null -w '%{http_version}\n' https://a.test:$API/two`)
		want := "GET /other 0 <>\nissuer=CN = test authority\nuntrusting 60\n403\n502\n403\nsni 35\nclear 56\n1.1\n"
		if out := strings.Replace(r.ok(t), "issuer=CN=test", "issuer=CN = test", 1); out != want {
			t.Errorf("printed %q, want %q\n%s", out, want, r.err)
		}
		b.clean(t, r)
		for _, path := range []string{"/other", "/untrusting", "/host", "/trace", "/sni", "/clear"} {
			if got := a.got(path); len(got) != 0 {
				t.Errorf("%s came with %q", path, got)
			}
		}
		said := reasons(events)
		for _, code := range []string{"deny l7_client_tls_failed", "deny l7_sni_address_mismatch", "deny l7_answer_refused", "deny l7_unknown_protocol"} {
			if !said[code] {
				t.Errorf("no event says %s: %v", code, said)
			}
		}
	})
}

// A server whose certificate nobody vouches for gets nothing.
func TestInjectedWrongServer(t *testing.T) {
	needs(t, "curl")
	s := newSite(t)
	a := s.newAPI()
	each(t, func(t *testing.T, u user) {
		b, flags := s.injecting(t, u, a)
		b.env = slices.DeleteFunc(b.env, func(v string) bool { return strings.HasPrefix(v, "CELLOS_CA_BUNDLE=") })
		r, events := b.gated(flags, "sh", "-c", `curl -sk https://a.test:$API/wrong || echo refused $?`)
		if out := r.ok(t); out != "refused 35\n" {
			t.Errorf("printed %q\n%s", out, r.err)
		}
		b.clean(t, r)
		if len(a.got("/wrong")) != 0 || !reasons(events)["deny l7_server_certificate_refused"] || !strings.Contains(r.err, "certificate signed by unknown authority") {
			t.Errorf("%v, %v\n%s", a.got("/wrong"), reasons(events), r.err)
		}
	})
}

// What cannot be put into a header is refused before anything starts, and a document that asks for more than the gate can do with all of its mistakes.
func TestInjectedRefused(t *testing.T) {
	s := newSite(t)
	each(t, func(t *testing.T, u user) {
		b, flags := s.injecting(t, u, &api{port: "1"})
		for _, bad := range []string{"with\nnewline", "short", " blank-first"} {
			b.env = append(b.env, "API_KEY="+bad)
			r := b.cell(flags, "sh", "-c", "echo ran")
			if r.fails(t, 125, "secret API_KEY: it "); r.out != "" || strings.Contains(r.err, bad) {
				t.Errorf("%q: %q\n%s", bad, r.out, r.err)
			}
			if left, _ := filepath.Glob(filepath.Join(b.tmp(), "*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		}
		// A killed supervisor leaves certificates, and runs --clean removes them.
		b.env = append(b.env, "API_KEY="+injectedValue)
		cmd := b.command(append(append([]string{"run"}, flags...), "--", "sh", "-c", "echo ready; sleep 60")...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(out, make([]byte, 6))
		cmd.Process.Kill()
		cmd.Wait()
		if left, _ := filepath.Glob(filepath.Join(b.tmp(), "cellos-ca-*")); len(left) != 1 {
			t.Errorf("%v is left of a killed run", left)
		}
		b.cellos("runs", "--clean").ok(t)
		b.clean(t, result{})
		d := b.write("d.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","lifetime":{"ttlSeconds":60},"run":{"argv":["true"]},"authority":{"secretRefs":["A"],
"egressRules":[{"host":"a.test","port":443,"protocol":"tls","inject":[{"secret":"B","header":"Host"}]},{"host":"192.0.2.1","port":443,"protocol":"https","inject":[{"secret":"A","header":"X-Key","prefix":"\u0007"}]},
{"host":"b.test","port":443,"protocol":"https","inject":[{"secret":"A","header":"X-Key"},{"secret":"A","header":"x-key"}]},{"host":"B.test","port":443}]}}}`, 0o644)
		b.cellos("validate", d).fails(t, 2, "egressRules[0].protocol: must be https", `egressRules[0].inject[0].header: "Host" carries the message`, `egressRules[0].inject[0].secret: "B" is not granted`,
			"egressRules[1].host: \"192.0.2.1\" is an address", "egressRules[1].inject[0].prefix: ", "egressRules[2].inject[1].header: ", "egressRules[2]: spec.authority.egressRules[3] grants the same destination")
	})
}

// Each mode of delivery gives the placeholder, and the value goes into the requests.
func TestInjectedOnRequest(t *testing.T) {
	needs(t, "curl")
	s := newSite(t)
	a := s.newAPI()
	each(t, func(t *testing.T, u user) {
		b, _ := s.injecting(t, u, a)
		b.env = append(b.env, "CELLOS_BROKER=env", "CELLOS_SECRET_API_KEY="+injectedValue, "CELLOS_SECRET_OTHER=other-value")
		argv, _ := json.Marshal([]string{"sh", "-c", "/opt/cellos secret get API_KEY; echo; /opt/cellos secret get OTHER; echo; curl -sS https://a.test:" + a.port + "/request; curl -sS https://a.test:" + a.port + "/more || echo refused"})
		d := b.write("d.json", fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","lifetime":{"ttlSeconds":60},"run":{"argv":%s,"secretDelivery":"runtimeBroker"},
"authority":{"secretRefs":["API_KEY","OTHER"],"filesystem":{"exec":[{"path":%q,"at":"/opt/cellos"}]},"egressRules":[{"host":"a.test","port":%s,"protocol":"https","inject":[{"secret":"API_KEY","header":"Authorization","prefix":"Bearer "}],"budget":{"requests":1}}],
"dnsAuthority":{"resolvers":[{"resolverId":"r","endpoint":%q,"protocol":"do53-udp"}],"rebindingPolicy":{"maxNovelIpsPerHostname":64,"responseIpAllowlist":["a.test:127.0.0.1"],"rejectOnRebind":false}}}}}`, argv, binary, a.port, s.dns), 0o644)
		r := b.cellos("run", d)
		out := r.ok(t)
		b.clean(t, r)
		if !regexp.MustCompile(`^cellos-placeholder-[0-9a-f]{32}\nother-value\nGET /request 0 <Bearer \*{24}>\nrefused\n$`).MatchString(out) {
			t.Errorf("printed %q\n%s", out, r.err)
		}
		// The budget was one request.
		if !strings.Contains(r.err, "budget") || len(a.got("/more")) > 0 {
			t.Errorf("a request above the budget reached the server with %q; told was\n%s", a.got("/more"), r.err)
		}
	})
}

// What a server says arrives when it says it, and what is large is not kept in memory.
func TestInjectedStreams(t *testing.T) {
	needs(t, "curl", "python3")
	s := newSite(t)
	once(t, func(t *testing.T, u user) {
		a := s.newAPI()
		b, flags := s.injecting(t, u, a)
		r, _ := b.gated(flags, "sh", "-c", `python3 -c "
import urllib.request as u,os
at='https://a.test:'+os.environ['API']
for line in u.urlopen(at+'/stream'):
  print(line.decode().strip())
  if line.startswith(b'data'): u.urlopen(at+'/next').read()"
head -c 104857600 /dev/zero | curl -sS -T - https://a.test:$API/large | wc -c`)
		if out := r.ok(t); out != "data: 0\n\ndata: 1\n\ndata: 2\n\n104857600\n" {
			t.Errorf("printed %q\n%s", out, r.err)
		}
		b.clean(t, r)
		if _, err := os.Stat("/etc/ssl/certs/java/cacerts"); err != nil || u.backend != "" {
			return
		}
		// Java has a list of its own, and is told as docs/network.md says.
		r, _ = b.gated(flags, "sh", "-c", `cat >H.java <<'END'
import java.net.URI; import java.net.http.*;
class H { public static void main(String[] a) throws Exception {
  System.out.print(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("https://a.test:" + System.getenv("API") + "/java")).build(), HttpResponse.BodyHandlers.ofString()).body());
} }
END
cp /etc/ssl/certs/java/cacerts /tmp/c && chmod u+w /tmp/c && keytool -importcert -noprompt -alias cell -keystore /tmp/c -storepass changeit -file /run/cellos-ca/ca.crt 2>/dev/null
java -Djavax.net.ssl.trustStore=/tmp/c H.java`)
		if out := r.ok(t); out != "GET /java 0 <Bearer "+strings.Repeat("*", len(injectedValue))+">\n" {
			t.Errorf("Java printed %q\n%s", out, r.err)
		}
		b.clean(t, r)
	})
}
