package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A liar answers for the site's resolver, and beside it.
type liar struct {
	s      *site
	beside net.PacketConn // has the resolver's port on another address
	flips  atomic.Int64
}

const evil = "127.0.0.66" // where the liar's own server is

// record is a record of an answer.
func record(name, value string, ttl uint32) dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name + "."), Class: dnsmessage.ClassINET, TTL: ttl}
	if a, err := netip.ParseAddr(value); err == nil {
		return dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}
	}
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(value + ".")}}
}

// answer is a reply to m, which change may spoil.
func answer(m dnsmessage.Message, change func(*dnsmessage.Message), records ...dnsmessage.Resource) []byte {
	r := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions, Answers: records}
	if m.Questions[0].Type != dnsmessage.TypeA {
		r.Answers = nil
	}
	if change != nil {
		change(&r)
	}
	b, _ := r.Pack()
	return b
}

func (l *liar) answers(m dnsmessage.Message, from net.Addr) (list [][]byte, ok bool) {
	name := strings.TrimSuffix(m.Questions[0].Name.String(), ".")
	lie := record(name, evil, 60)
	switch name {
	case "forged.test", "never.test":
		// Everything right but where it comes from, again and again; then, from the resolver itself, what answers another question.
		for range 200 {
			l.beside.WriteTo(answer(m, nil, lie), from)
		}
		for n := range uint16(200) {
			list = append(list, answer(m, func(r *dnsmessage.Message) { r.ID += 1 + n }, lie))
		}
		for _, change := range []func(*dnsmessage.Message){
			func(r *dnsmessage.Message) { r.Questions = nil },
			func(r *dnsmessage.Message) { r.Response = false },
			func(r *dnsmessage.Message) { r.OpCode = 4 },
			func(r *dnsmessage.Message) {
				r.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("x.test."), Type: m.Questions[0].Type, Class: dnsmessage.ClassINET}}
			},
			func(r *dnsmessage.Message) { r.Questions = append(r.Questions, r.Questions[0]) },
		} {
			list = append(list, answer(m, change, lie))
		}
		list = append(list, nil, []byte("x"), make([]byte, 4000))
		if name == "forged.test" {
			list = append(list, answer(m, nil, record(name, "127.0.0.1", 60)))
		}
		return list, true
	case "extra.test": // records of other names, in every section
		return [][]byte{answer(m, func(r *dnsmessage.Message) {
			r.Authorities, r.Additionals = []dnsmessage.Resource{lie}, []dnsmessage.Resource{lie}
		}, record("other.test", evil, 60), record(name, "127.0.0.1", 60), record("www."+name, evil, 60))}, true
	case "alias.test":
		return [][]byte{answer(m, nil, record(name, "inner.test", 60), record("inner.test", "169.254.169.254", 60))}, true
	case "loop.test":
		return [][]byte{answer(m, nil, record(name, "inner.test", 60), record("inner.test", name, 60))}, true
	case "flip.test": // between what is granted and a metadata service, with nothing to keep
		to := "127.0.0.1"
		if m.Questions[0].Type == dnsmessage.TypeA && l.flips.Add(1)%2 == 0 {
			to = "169.254.169.254"
		}
		return [][]byte{answer(m, nil, record(name, to, 0))}, true
	}
	return nil, false
}

// TestForgedAnswers: a connection goes where the resolver that was asked says, and nowhere else; where an answer changes between two
// connections, each goes to an address that was checked.
func TestForgedAnswers(t *testing.T) {
	needs(t, "curl")
	each(t, func(t *testing.T, u user) {
		s := newSite(t)
		dns := netip.MustParseAddrPort(s.dns)
		pc, err := net.ListenPacket("udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), dns.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pc.Close() })
		l := &liar{s: s, beside: pc}
		s.mu.Lock()
		s.answers = l.answers
		s.mu.Unlock()
		bad, err := net.Listen("tcp", net.JoinHostPort(evil, s.http))
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "evil\n") })}
		go srv.Serve(bad)
		t.Cleanup(func() { srv.Close() })
		b := online(t, u)
		flags := []string{"--dns", s.dns}
		script := "get() { curl -s http://$1:" + s.http + "/ || echo $1 refused; }\n"
		for _, n := range []string{"forged.test", "never.test", "extra.test", "alias.test", "loop.test", "flip.test"} {
			flags = append(flags, "--net", n+":"+s.http+"/http", "--private", n+"=127.0.0.0/8")
			script += "get " + n + "\n"
		}
		r, events := b.gated(flags, "sh", "-c", script+"get flip.test; get flip.test; get flip.test")
		want := "GET forged.test 0\nnever.test refused\nGET extra.test 0\nalias.test refused\nloop.test refused\nGET flip.test 0\nflip.test refused\nGET flip.test 0\nflip.test refused\n"
		if out := r.ok(t); out != want {
			t.Errorf("printed %q, want %q\n%s", out, want, r.err)
		}
		got := map[string]int{}
		for _, e := range events {
			if e.Type == observed+"network_flow_decision" {
				got[fmt.Sprint(e.Data["decision"], " ", e.Data["dstAddr"], " ", e.Data["reasonCode"])]++
			}
		}
		for what, n := range map[string]int{"allow forged.test nft_egress_rule_match": 1, "deny never.test name_unresolved": 1, "allow extra.test nft_egress_rule_match": 1, "deny alias.test address_blocked": 1,
			"deny loop.test name_unresolved": 1, "allow flip.test nft_egress_rule_match": 2, "deny flip.test address_blocked": 2} {
			if got[what] != n {
				t.Errorf("%d events say %q, want %d: %v", got[what], what, n, got)
			}
		}
	})
}
