package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"cellos.io/cellos/gate/wire"
)

// serve answers on a loopback socket over UDP and TCP. The answer function returns the replies to one question.
func serve(t *testing.T, answer func(m dnsmessage.Message, tcp bool) []dnsmessage.Message) string {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	for range 20 { // the same number must be free for both
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	t.Cleanup(func() { pc.Close(); l.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			for _, r := range answer(m, false) {
				if b, err := r.Pack(); err == nil {
					pc.WriteTo(b, from)
				}
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			io.ReadFull(c, size[:])
			b := make([]byte, binary.BigEndian.Uint16(size[:]))
			io.ReadFull(c, b)
			var m dnsmessage.Message
			if m.Unpack(b) == nil {
				for _, r := range answer(m, true) {
					b, _ := r.Pack()
					c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
				}
			}
			c.Close()
		}
	}()
	return pc.LocalAddr().String()
}

func reply(m dnsmessage.Message, answers ...dnsmessage.Resource) dnsmessage.Message {
	return dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions, Answers: answers}
}

func a(name, addr string, ttl uint32) dnsmessage.Resource {
	ip := netip.MustParseAddr(addr)
	h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl}
	if ip.Is4() {
		return dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: ip.As4()}}
	}
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}}
}

func cname(name, to string) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 7},
		Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}}
}

func only4(m dnsmessage.Message) bool { return m.Questions[0].Type == dnsmessage.TypeA }

func ask(t *testing.T, transport Transport, answer func(m dnsmessage.Message, tcp bool) []dnsmessage.Message) (Answer, error) {
	t.Helper()
	r := New([]Server{{Transport: transport, Endpoint: serve(t, answer)}}, nil)
	return r.Addresses(context.Background(), "name.example")
}

func TestAddresses(t *testing.T) {
	both := func(m dnsmessage.Message, _ bool) []dnsmessage.Message {
		if only4(m) {
			return []dnsmessage.Message{reply(m, a("name.example.", "192.0.2.1", 60), a("NAME.example.", "192.0.2.2", 30), a("other.example.", "192.0.2.9", 1))}
		}
		return []dnsmessage.Message{reply(m, a("name.example.", "2001:db8::1", 90))}
	}
	for _, tr := range []Transport{wire.UDP, wire.TCP} {
		got, err := ask(t, tr, both)
		if err != nil || len(got.Addrs) != 3 || got.TTL != 30*time.Second || got.Addrs[1] != netip.MustParseAddr("192.0.2.2") {
			t.Errorf("%s: %+v, %v", tr, got, err)
		}
	}
}

func TestAliases(t *testing.T) {
	got, err := ask(t, wire.UDP, func(m dnsmessage.Message, _ bool) []dnsmessage.Message {
		return []dnsmessage.Message{reply(m, a("b.example.", "192.0.2.1", 60), cname("name.example.", "a.example."), cname("A.example.", "b.example."))}
	})
	if err != nil || len(got.Addrs) != 1 || len(got.Chain) != 2 || got.TTL != 7*time.Second {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = ask(t, wire.UDP, func(m dnsmessage.Message, _ bool) []dnsmessage.Message {
		return []dnsmessage.Message{reply(m, cname("name.example.", "a.example."), cname("a.example.", "name.example."))}
	})
	if !errors.Is(err, ErrChain) {
		t.Errorf("a loop: %v", err)
	}
}

func TestCutOffAnswersComeOverTCP(t *testing.T) {
	got, err := ask(t, wire.UDP, func(m dnsmessage.Message, tcp bool) []dnsmessage.Message {
		r := reply(m)
		if !tcp {
			r.Truncated = true
		} else if only4(m) {
			r.Answers = []dnsmessage.Resource{a("name.example.", "192.0.2.1", 60)}
		}
		return []dnsmessage.Message{r}
	})
	if err != nil || len(got.Addrs) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Replies with another id, another question or no question are somebody else's; the true one after them is taken.
func TestForgedReplies(t *testing.T) {
	got, err := ask(t, wire.UDP, func(m dnsmessage.Message, _ bool) []dnsmessage.Message {
		evil := a("name.example.", "6.6.6.6", 60)
		id, other, none, query := reply(m, evil), reply(m, evil), reply(m, evil), reply(m, evil)
		id.ID++
		other.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("x.example."), Type: m.Questions[0].Type, Class: dnsmessage.ClassINET}}
		none.Questions = nil
		query.Response = false
		return []dnsmessage.Message{id, other, none, query, reply(m, a("name.example.", "192.0.2.1", 60))}
	})
	if err != nil || len(got.Addrs) != 1 || got.Addrs[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFailures(t *testing.T) {
	for code, want := range map[dnsmessage.RCode]error{dnsmessage.RCodeNameError: ErrNotFound, dnsmessage.RCodeServerFailure: ErrServer, dnsmessage.RCodeRefused: ErrServer, dnsmessage.RCodeSuccess: ErrNotFound} {
		_, err := ask(t, wire.UDP, func(m dnsmessage.Message, _ bool) []dnsmessage.Message {
			r := reply(m)
			r.RCode = code
			return []dnsmessage.Message{r}
		})
		if !errors.Is(err, want) {
			t.Errorf("%v: %v", code, err)
		}
	}
	r := New([]Server{{Transport: wire.UDP, Endpoint: serve(t, func(dnsmessage.Message, bool) []dnsmessage.Message { return nil })}}, nil)
	r.Wait = 50 * time.Millisecond
	if _, err := r.Addresses(context.Background(), "name.example"); !errors.Is(err, ErrServer) {
		t.Errorf("silence: %v", err)
	}
	if _, err := New(nil, nil).Addresses(context.Background(), "name.example"); !errors.Is(err, ErrServer) {
		t.Errorf("no server: %v", err)
	}
}

func TestHostFiles(t *testing.T) {
	s := ParseConf("search x\nnameserver 192.0.2.1 # c\n nameserver fe80::1%eth0\nnameserver junk\noptions edns0\nnameserver ::1\nnameserver 192.0.2.4\n")
	if len(s) != 3 || s[0].Endpoint != "192.0.2.1:53" || s[1].Endpoint != "[fe80::1%eth0]:53" || s[2].Endpoint != "[::1]:53" {
		t.Errorf("%v", s)
	}
	h := ParseHosts("127.0.0.1 localhost Me # c\n::1 localhost\nx y\n")
	if len(h["localhost"]) != 2 || len(h["me"]) != 1 || h["y"] != nil {
		t.Errorf("%v", h)
	}
}

func FuzzReply(f *testing.F) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("name.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{q}}
	for _, r := range []dnsmessage.Message{reply(m, a("name.example.", "192.0.2.1", 60)), reply(m, cname("name.example.", "a.example."), cname("a.example.", "name.example."))} {
		b, _ := r.Pack()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := accept(raw, 7, q)
		if err != nil {
			return
		}
		addrs, chain, _, err := follow(m, "name.example", dnsmessage.TypeA)
		if len(chain) > maxChain || err != nil && len(addrs) > 0 {
			t.Fatalf("%v %v %v", addrs, chain, err)
		}
	})
}
