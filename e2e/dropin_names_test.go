package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cellos.io/cellos/evidence/eventtest"
)

// TestDropinNameDecisions: decisions on the names in connections are the documented events, member by member as in the stored stream of
// the existing program's proxy, but for the identifiers of the run, which are the real ones here.
func TestDropinNameDecisions(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	stored, err := eventtest.Load(os.DirFS("../evidence/testdata/streams"), "sni-proxy")
	if err != nil {
		t.Fatal(err)
	}
	stream := filepath.Join(t.TempDir(), "stream")
	if err := os.WriteFile(stream, stored.Stream, 0o600); err != nil {
		t.Fatal(err)
	}
	const decided = "dev.cellos.events.cell.observability.v1.l7_egress_decision"
	want := decisions(readEvents(t, stream), decided)
	if len(want) != 4 {
		t.Fatalf("%d decisions are stored", len(want))
	}
	script := `import socket
def ask(data):
    s = socket.create_connection(('a.test', ` + s.http + `), timeout=60); s.sendall(data)
    try: return s.recv(12)
    except ConnectionResetError: return b''
for host in ('evil.test', 'a.test', ''):
    print(ask(b'GET / HTTP/1.1\r\n' + (b'Host: ' + host.encode() + b'\r\n' if host else b'') + b'Connection: close\r\n\r\n').decode())
print(ask(b'\0\1garbage').decode())
`
	argv, _ := json.Marshal([]string{"python3", "-c", script})
	doc := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"vec-sni","correlation":{"platform":"ci","correlationId":"corr-9"},"lifetime":{"ttlSeconds":100},
		"authority":{"egressRules":[{"host":"a.test","port":` + s.http + `,"protocol":"http"}],"dnsAuthority":{"resolvers":[{"resolverId":"res-1","endpoint":"` + s.dns + `","protocol":"do53-udp"}],
		"hostnameAllowlist":["a.test"],"rebindingPolicy":{"responseIpAllowlist":["a.test:127.0.0.1"]}}},"run":{"secretDelivery":"env","argv":` + string(argv) + `}}}`
	each(t, func(t *testing.T, u user) {
		b := online(t, u)
		file := filepath.Join(b.dir, "events.jsonl")
		b.portable("CELL_OS_USE_NOOP_SINK=1", "CELLOS_SNI_PROXY=1", "CELL_OS_JSONL_EVENTS="+file)
		r := b.cellos("supervise", b.write("spec.json", doc, 0o644))
		if out := r.ok(t); out != "HTTP/1.1 403\nHTTP/1.1 200\nHTTP/1.1 403\n\n" {
			t.Errorf("the command was answered %q\n%s", out, r.err)
		}
		got := decisions(readEvents(t, file), decided)
		got = got[1:] // the first repeats the document's rule, before the run
		var codes []string
		for _, d := range got {
			codes = append(codes, fmt.Sprint(d["action"], " ", d["reasonCode"], " ", d["sniHost"]))
			if fmt.Sprint(d["correlation"]) != "map[correlationId:corr-9 externalJobId:<nil> externalRunId:<nil> labels:<nil> platform:ci]" || d["specId"] != "vec-sni" {
				t.Errorf("a decision belongs to %v, %v", d["specId"], d["correlation"])
			}
			delete(d, "ruleRef") // more than the existing program says
			if a, b := slices.Sorted(maps.Keys(d)), slices.Sorted(maps.Keys(want[0])); !slices.Equal(a, b) {
				t.Errorf("a decision has the members %v, documented are %v", a, b)
			}
		}
		expected := []string{"deny l7_http_host_allowlist_miss evil.test", "allow l7_http_host_allowlist_match a.test", "deny l7_http_host_missing (unknown)", "deny l7_unknown_protocol (unknown)"}
		if !slices.Equal(codes, expected) {
			t.Errorf("decided %q, want %q", codes, expected)
		}
	})
}

// decisions are the data of the events of one type.
func decisions(list []event, kind string) (all []map[string]any) {
	for _, e := range list {
		if e.Type == kind {
			all = append(all, e.Data)
		}
	}
	return all
}
