package jetstream_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/delivery"
	"cellos.io/cellos/evidence/jetstream"
	"cellos.io/cellos/evidence/jetstream/natstest"
)

// line is event number n of a run.
func line(n int, id string) []byte {
	e := evidence.Event{ID: id, Source: "test", Type: "t", Time: time.Unix(1, 0), Data: []byte(fmt.Sprintf(`{"n":%d}`, n)), Run: "r", Sequence: uint64(n + 1)}
	return append(e.AppendJSON(nil), '\n')
}

func lines(n int) (list [][]byte) {
	for i := range n {
		list = append(list, line(i, evidence.NewID()))
	}
	return list
}

// stored checks that a stream holds the lines, once each and in order.
func stored(t *testing.T, s *natstest.Server, want [][]byte) {
	t.Helper()
	got := s.Messages("EVENTS", "cellos.>")
	if len(got) != len(want) {
		t.Fatalf("the stream holds %d messages, want %d", len(got), len(want))
	}
	for i, m := range got {
		if string(m.Line)+"\n" != string(want[i]) || m.ID != m.Event["id"] || m.Subject != "cellos.t" {
			t.Errorf("message %d is %+v, want %s", i, m, want[i])
		}
	}
}

func publisher(t *testing.T, url string) *jetstream.Publisher {
	t.Helper()
	p, err := jetstream.New(jetstream.Config{URL: url, Subject: "cellos.t"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestPublish(t *testing.T) {
	s := natstest.Start(t)
	s.Stream("EVENTS", "cellos.>")
	p := publisher(t, s.URL())
	want := lines(300) // more than one window
	for _, some := range [][][]byte{want[:1], want[1:200], want[200:], want[100:120]} {
		if n, err := p.Deliver(t.Context(), some); n != len(some) || err != nil {
			t.Fatalf("%d of %d, %v", n, len(some), err)
		}
	}
	stored(t, s, want) // what came twice is there once
}

// TestRestart: a server that goes away and comes back between and during deliveries loses nothing and stores nothing twice.
func TestRestart(t *testing.T) {
	s := natstest.Start(t)
	s.Stream("EVENTS", "cellos.>")
	sink := delivery.New(publisher(t, s.URL()), delivery.Config{Patience: time.Minute})
	want := lines(120)
	for i, l := range want {
		switch i {
		case 30, 60:
			s.Stop()
			s.Run()
		case 90: // it comes back while the sink is trying
			s.Stop()
			back := make(chan struct{})
			go func() { defer close(back); s.Run() }()
			defer func() { <-back }()
		}
		if _, err := sink.Write(l); err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 || i == 90 {
			if err := sink.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := sink.Flush(); err != nil {
		t.Fatal(err)
	}
	stored(t, s, want)
}

func TestWithoutStream(t *testing.T) {
	for name, s := range map[string]*natstest.Server{"no stream": natstest.Start(t), "no JetStream": natstest.StartPlain(t)} {
		n, err := publisher(t, s.URL()).Deliver(t.Context(), lines(3))
		if n != 0 || err == nil || !strings.Contains(err.Error(), "no JetStream stream takes subject cellos.t") {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

func TestPassword(t *testing.T) {
	s := natstest.Start(t, "--user", "u", "--pass", "pw-sentinel")
	host := strings.TrimPrefix(s.URL(), "nats://")
	if err := publisher(t, "nats://u:pw-sentinel@"+host).Connect(t.Context()); err != nil {
		t.Error(err)
	}
	err := publisher(t, "nats://u:pw-wrong@"+host).Connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "Authorization Violation") || strings.Contains(err.Error(), "pw-") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestConfig(t *testing.T) {
	for url, subject := range map[string]string{
		"": "a", "http://x": "a", "nats://u:pw-sentinel@": "a", "nats://x/path": "a", "nats://[::1": "a", "nats://x": "", "nats://y": "a b", "nats://z": "a..b",
		"nats://a": "a.*", "nats://b": "a\r\nPUB x", "nats://c": strings.Repeat("a", 1025),
	} {
		_, err := jetstream.New(jetstream.Config{URL: url, Subject: subject})
		if err == nil || strings.Contains(err.Error(), "pw-sentinel") {
			t.Errorf("%q, %q: %v", url, subject, err)
		}
	}
}

// TestHostileServer: whatever a server says, a delivery ends with an error, in bounded time and memory.
func TestHostileServer(t *testing.T) {
	const greeting = "INFO {\"headers\":true,\"max_payload\":1048576}\r\n"
	forever := func(c net.Conn, text string) {
		for {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
	for name, serve := range map[string]func(c net.Conn){
		"silent":           func(c net.Conn) { io.Copy(io.Discard, c) },
		"closes":           func(c net.Conn) {},
		"other protocol":   func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") },
		"endless greeting": func(c net.Conn) { io.WriteString(c, "INFO "); forever(c, strings.Repeat("x", 1<<16)) },
		"nested greeting":  func(c net.Conn) { io.WriteString(c, "INFO "+strings.Repeat("[", 500_000)+"\r\n") },
		"endless pings":    func(c net.Conn) { go io.Copy(io.Discard, c); io.WriteString(c, greeting); forever(c, "PING\r\n") },
		"endless line":     func(c net.Conn) { io.WriteString(c, greeting+"PONG\r\n"); forever(c, strings.Repeat("x", 1<<16)) },
		"huge message": func(c net.Conn) {
			io.WriteString(c, greeting+"PONG\r\nMSG a 1 1073741824\r\n")
			forever(c, strings.Repeat("x", 1<<16))
		},
		"negative message":   func(c net.Conn) { io.WriteString(c, greeting+"PONG\r\nMSG a 1 -5\r\n"); io.Copy(io.Discard, c) },
		"bad header":         func(c net.Conn) { io.WriteString(c, greeting+"PONG\r\nHMSG a 1 9 2\r\nxx\r\n"); io.Copy(io.Discard, c) },
		"half a message":     func(c net.Conn) { io.WriteString(c, greeting+"PONG\r\nMSG a 1 10\r\nxx") },
		"messages of others": func(c net.Conn) { io.WriteString(c, greeting+"PONG\r\n"); forever(c, "MSG a 1 2\r\n{}\r\n") },
		"old":                func(c net.Conn) { io.WriteString(c, "INFO {\"max_payload\":1048576}\r\n") },
		"error":              func(c net.Conn) { io.WriteString(c, greeting+"-ERR '"+strings.Repeat("e", 30_000)+"'\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				if c, err := l.Accept(); err == nil {
					serve(c)
					c.Close()
				}
			}()
			p, err := jetstream.New(jetstream.Config{URL: "nats://" + l.Addr().String(), Subject: "cellos.t", Connect: time.Second, Ack: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			n, err := p.Deliver(t.Context(), lines(2))
			if n != 0 || err == nil || len(err.Error()) > 500 {
				t.Errorf("%d, %v", n, err)
			}
			p.Close()
			l.Close()
			<-served
		})
	}
}

// TestRefusals: what JetStream refuses is an error with its words; what it acknowledged is not sent again.
func TestRefusals(t *testing.T) {
	for answer, want := range map[string]string{
		`{"error":{"code":400,"description":"wrong last sequence"}}`:       "wrong last sequence",
		`{"error":{"code":503,"description":"maximum messages exceeded"}}`: "maximum messages exceeded",
		`{"error":{"code":400,"description":"a\u001b[31mb\u0007"}}`:        "a_[31mb_",
		`{"stream":""}`: "names no stream",
		`x`:             "not one of JetStream's",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, "INFO {\"headers\":true,\"max_payload\":1048576}\r\nPONG\r\n")
			var seen strings.Builder
			b := make([]byte, 4096)
			for !strings.Contains(seen.String(), "HPUB ") {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				seen.Write(b[:n])
			}
			_, rest, _ := strings.Cut(seen.String(), "HPUB ")
			reply := strings.Fields(rest)[1]
			fmt.Fprintf(c, "MSG %s 1 14\r\n{\"stream\":\"S\"}\r\n", reply)
			fmt.Fprintf(c, "MSG %s1 1 %d\r\n%s\r\n", strings.TrimSuffix(reply, "0"), len(answer), answer)
			io.Copy(io.Discard, c)
		}()
		n, err := publisher(t, "nats://"+l.Addr().String()).Deliver(t.Context(), lines(2))
		l.Close()
		if n != 1 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v", answer, n, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	err := publisher(t, fmt.Sprintf("nats://u:pw-sentinel@127.0.0.1:%d", natstest.FreePort(t))).Connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "pw-sentinel") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := publisher(t, "nats://127.0.0.1:1").Connect(ctx); err == nil {
		t.Errorf("%v", err)
	}
}
