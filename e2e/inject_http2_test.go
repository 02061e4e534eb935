package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// With a server that speaks HTTP/2, so does the cell: each stream is a request like those of HTTP/1.1, in both directions at once if need be, as in gRPC.
func TestInjectedHTTP2(t *testing.T) {
	needs(t, "curl")
	s := newSite(t)
	node := `node -e "
const c = require('http2').connect('https://a.test:' + process.env.API), r = c.request({':method': 'POST', ':path': '/lines', authorization: 'mine', te: 'trailers'})
let heard = '', n = 0
r.setEncoding('utf8')
r.on('response', h => r.write('0\n'))
r.on('data', d => { heard += d; if (heard.split('\n').length > n + 1) { n++; n < 3 ? r.write(n + '\n') : r.end() } })
r.on('trailers', h => { heard += h['grpc-status'] + ' ' + h['x-late'] + '\n' })
r.on('close', () => { process.stdout.write(heard); c.close() })"`
	stars := strings.Repeat("*", len(injectedValue))
	want := "GET /two 0 <Bearer " + stars + ">\n2\nGET /one 0 <Bearer " + stars + ">\n1.1\n403\n403\n502\n104857600\n"
	if _, err := os.Stat("/usr/bin/node"); err == nil {
		want += "0 <Bearer " + stars + ">\n1 <Bearer " + stars + ">\n2 <Bearer " + stars + ">\n0 Bearer [secret]\n"
	} else {
		node = ""
	}
	each(t, func(t *testing.T, u user) {
		a := s.newAPI("h2", "http/1.1")
		b, flags := s.injecting(t, u, a)
		r, events := b.gated(flags, "sh", "-c", `
curl -sS -H 'authorization: mine' -w '%{http_version}\n' https://a.test:$API/two
curl -sS --http1.1 -w '%{http_version}\n' https://a.test:$API/one
curl -sS -o /dev/null -w '%{http_code}\n' -H 'Host: b.test' https://a.test:$API/host
curl -sS -o /dev/null -w '%{http_code}\n' -X TRACE https://a.test:$API/trace
curl -sS -o /dev/null -w '%{http_code}\n' https://a.test:$API/gzip
head -c 104857600 /dev/zero | curl -sS -T - https://a.test:$API/large | wc -c
`+node)
		if out := r.ok(t); out != want {
			t.Errorf("printed %q, want %q\n%s", out, want, r.err)
		}
		b.clean(t, r)
		for path, n := range map[string]int{"/two": 1, "/one": 1, "/host": 0, "/trace": 0} {
			if got := a.got(path); len(got) != n || n > 0 && got[0] != "Bearer "+injectedValue {
				t.Errorf("%s came with %q", path, got)
			}
		}
		said := reasons(events)
		for _, code := range []string{"allow l7_secret_injected", "deny l7_answer_refused", "deny l7_unknown_protocol"} {
			if !said[code] {
				t.Errorf("no event says %s: %v", code, said)
			}
		}
		// The budget counts the requests of a connection, not the connection.
		argv, _ := json.Marshal([]string{"sh", "-c", "curl -sS https://a.test:" + a.port + "/b1 https://a.test:" + a.port + "/b2 https://a.test:" + a.port + "/b3 || echo refused"})
		d := b.write("d.json", fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","lifetime":{"ttlSeconds":60},"run":{"argv":%s,"secretDelivery":"runtimeBroker"},
"authority":{"secretRefs":["API_KEY"],"egressRules":[{"host":"a.test","port":%s,"protocol":"https","inject":[{"secret":"API_KEY","header":"Authorization","prefix":"Bearer "}],"budget":{"requests":2}}],
"dnsAuthority":{"resolvers":[{"resolverId":"r","endpoint":%q,"protocol":"do53-udp"}],"rebindingPolicy":{"maxNovelIpsPerHostname":64,"responseIpAllowlist":["a.test:127.0.0.1"],"rejectOnRebind":false}}}}}`, argv, a.port, s.dns), 0o644)
		b.env = append(b.env, "CELLOS_BROKER=env", "CELLOS_SECRET_API_KEY="+injectedValue)
		r = b.cellos("run", d)
		if out := r.ok(t); !strings.HasSuffix(out, "/b2 0 <Bearer "+stars+">\nrefused\n") || !strings.Contains(r.err, "budget") || len(a.got("/b3")) > 0 {
			t.Errorf("printed %q, and /b3 came with %q\n%s", out, a.got("/b3"), r.err)
		}
	})
}
