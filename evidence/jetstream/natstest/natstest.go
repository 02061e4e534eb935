// Package natstest runs a real nats-server for tests, and reads its streams with the client library of the NATS project.
package natstest

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Server is a nats-server on loopback, with its store in a folder of the test.
type Server struct {
	Port int
	t    testing.TB
	dir  string
	args []string
	cmd  *exec.Cmd
}

// Start starts one with JetStream, and stops it at the end of the test. args are further arguments of nats-server(1).
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartPlain(t, append([]string{"-js"}, args...)...)
}

// StartPlain starts one without JetStream.
func StartPlain(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := program(); err != nil {
		t.Skip("needs nats-server (Debian package nats-server)")
	}
	s := &Server{t: t, dir: t.TempDir(), args: args, Port: FreePort(t)}
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

// program finds nats-server, also where an ordinary user's PATH does not lead.
func program() (string, error) {
	if p, err := exec.LookPath("nats-server"); err == nil {
		return p, nil
	}
	return exec.LookPath("/usr/sbin/nats-server")
}

// FreePort is a port of loopback that nobody listened on a moment ago.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// URL is where it listens.
func (s *Server) URL() string { return "nats://127.0.0.1:" + strconv.Itoa(s.Port) }

// Run starts the server again, on the same port and with the same store, and returns when it greets.
func (s *Server) Run() {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(path, append([]string{"-a", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-sd", filepath.Join(s.dir, "store"),
		"-l", filepath.Join(s.dir, "log")}, s.args...)...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(s.Port))
		if err == nil {
			conn.SetReadDeadline(until)
			_, err = conn.Read(make([]byte, 4))
			conn.Close()
		}
		if err == nil {
			return
		}
		if time.Now().After(until) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("nats-server does not answer: %v\n%s", err, log)
		}
	}
}

// Stop kills the server. Stopping twice is no error.
func (s *Server) Stop() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// jetStream connects with the client library.
func (s *Server) jetStream(f func(nats.JetStreamContext)) {
	s.t.Helper()
	conn, err := nats.Connect(s.URL(), nats.Timeout(10*time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	js, err := conn.JetStream(nats.MaxWait(20 * time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	f(js)
}

// Stream makes a stream that takes subjects.
func (s *Server) Stream(name string, subjects ...string) {
	s.t.Helper()
	s.jetStream(func(js nats.JetStreamContext) {
		if _, err := js.AddStream(&nats.StreamConfig{Name: name, Subjects: subjects, Storage: nats.FileStorage}); err != nil {
			s.t.Fatal(err)
		}
	})
}

// A Message is what a stream holds.
type Message struct {
	Subject, ID string
	Event       map[string]any
	Line        []byte
}

// Messages reads everything in a stream, in its order.
func (s *Server) Messages(stream, subjects string) (list []Message) {
	s.t.Helper()
	s.jetStream(func(js nats.JetStreamContext) {
		info, err := js.StreamInfo(stream)
		if err != nil {
			s.t.Fatal(err)
		}
		sub, err := js.SubscribeSync(subjects, nats.OrderedConsumer())
		if err != nil {
			s.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for range info.State.Msgs {
			m, err := sub.NextMsgWithContext(ctx)
			if err != nil {
				s.t.Fatal(err)
			}
			var e map[string]any
			if err := json.Unmarshal(m.Data, &e); err != nil {
				s.t.Fatalf("message %q: %v", m.Data, err)
			}
			list = append(list, Message{m.Subject, m.Header.Get("Nats-Msg-Id"), e, m.Data})
		}
	})
	return list
}
