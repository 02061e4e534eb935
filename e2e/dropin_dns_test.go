package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// stubDNS is the resolver of a stored case: its port; empty if the case has none.
func stubDNS(t *testing.T, zone json.RawMessage) string {
	t.Helper()
	if len(zone) == 0 || string(zone) == "null" {
		return ""
	}
	var names map[string]struct {
		A   []netip.Addr
		TTL uint32
	}
	if err := json.Unmarshal(zone, &names); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, zone: map[string][]netip.Addr{}, ttl: map[string]uint32{}}
	for n, x := range names {
		s.zone[n], s.ttl[n] = x.A, x.TTL
	}
	s.serveDNS()
	return s.dns[strings.LastIndexByte(s.dns, ':')+1:]
}

const observed = "dev.cellos.events.cell.observability.v1."

// TestDropinResolvedHosts: with CELLOS_RESOLVE_EGRESS_DNS what a declared host leads to follows its decision, in the documented form.
func TestDropinResolvedHosts(t *testing.T) {
	s := newSite(t)
	s.has("two.test", netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7"))
	doc := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"vec-resolve","lifetime":{"ttlSeconds":100},"authority":{
		"egressRules":[{"host":"192.0.2.10","port":8443},{"host":"nothing.invalid","port":443},{"host":"two.test","port":80}],
		"dnsAuthority":{"resolvers":[{"resolverId":"res-1","endpoint":"` + s.dns + `","protocol":"do53-udp"}]}},"run":{"secretDelivery":"env","argv":["/bin/true"]}}}`
	each(t, func(t *testing.T, u user) {
		b := online(t, u)
		file := filepath.Join(b.dir, "events.jsonl")
		b.portable("CELL_OS_USE_NOOP_SINK=1", "CELLOS_RESOLVE_EGRESS_DNS=yes", "CELLOS_RUN_ID=run-r-1", "CELL_OS_JSONL_EVENTS="+file)
		b.cellos("supervise", b.write("spec.json", doc, 0o644)).ok(t)
		var got []string
		for _, e := range readEvents(t, file) {
			switch e.Type {
			case observed + "l7_egress_decision":
				got = append(got, fmt.Sprint("declared ", e.Data["sniHost"]))
			case observed + "dns_resolution":
				got = append(got, fmt.Sprint(e.Data["fqdn"], " ", e.Data["targets"], " ", e.Data["ttlSeconds"], " ", e.Data["receiptId"]))
			}
		}
		want := []string{
			"declared 192.0.2.10", "192.0.2.10 [map[address:192.0.2.10 family:inet port:8443]] 300 rcp-run-r-1-192.0.2.10",
			"declared nothing.invalid", "nothing.invalid [] 0 rcp-run-r-1-nothing.invalid",
			"declared two.test", "two.test [map[address:192.0.2.7 family:inet port:80] map[address:2001:db8::7 family:inet6 port:80]] 1 rcp-run-r-1-two.test",
		}
		if !slices.Equal(got, want) {
			t.Errorf("the events are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestDropinRefreshGoesOn: with CELLOS_DNS_AUTHORITY_CONTINUOUS a change while the command runs is an event.
func TestDropinRefreshGoesOn(t *testing.T) {
	s := newSite(t)
	each(t, func(t *testing.T, u user) {
		b := online(t, u)
		name := fmt.Sprintf("moves-%d.test", u.uid) // both users run at once
		s.has(name, netip.MustParseAddr("192.0.2.7"))
		argv, _ := json.Marshal([]string{"/bin/sh", "-c", "while [ ! -e " + b.dir + "/go ]; do sleep 0.1; done"})
		doc := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"vec-tick","lifetime":{"ttlSeconds":200},"authority":{
		"filesystem":{"workingDirectory":"read"},
		"dnsAuthority":{"resolvers":[{"resolverId":"res-1","endpoint":"` + s.dns + `","protocol":"do53-udp"}],"hostnameAllowlist":["` + name + `"],"refreshPolicy":{}}},
		"run":{"secretDelivery":"env","argv":` + string(argv) + `}}}`
		file := filepath.Join(filepath.Dir(b.dir), "events.jsonl")
		os.Remove(file)
		b.portable("CELL_OS_USE_NOOP_SINK=1", "CELLOS_DNS_AUTHORITY_REFRESH=1", "CELLOS_DNS_AUTHORITY_CONTINUOUS=1", "CELLOS_DNS_AUTHORITY_TICK_INTERVAL_SECS=5", "CELL_OS_JSONL_EVENTS="+file)
		cmd := b.command("supervise", b.write("spec.json", doc, 0o644))
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		drifts := func() (list []string) {
			for _, e := range readEvents(t, file) {
				if e.Type == observed+"dns_authority_drift" {
					list = append(list, fmt.Sprint(e.Data["previousTargets"], " ", e.Data["currentTargets"]))
				}
			}
			return list
		}
		time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
		t.Cleanup(func() { t.Log(said.String(), drifts()); cmd.Process.Kill() })
		// Once before the run, and once by the ticker, which keeps to itself what it has seen.
		until(t, "the name was asked for twice", func() bool { return len(drifts()) >= 2 })
		s.has(name, netip.MustParseAddr("192.0.2.8"))
		until(t, "the change was seen", func() bool { return len(drifts()) >= 3 })
		b.write("go", "", 0o644)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, said.String())
		}
		want := []string{"[] [192.0.2.7]", "[] [192.0.2.7]", "[192.0.2.7] [192.0.2.8]"}
		if got := drifts(); !slices.Equal(got, want) {
			t.Errorf("the drifts are %q, want %q", got, want)
		}
	})
}
