package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A site is a piece of internet of the test's own, on the host's loopback interface: servers, a DNS, and a certificate authority.
type site struct {
	t      *testing.T
	dns    string // address of the resolver
	http   string // port of a cleartext server
	tls    string // of a TLS server for a.test, b.test
	echo   string // of a TCP server that sends back what it gets, after a greeting
	udp    string // of a UDP server that sends back what it gets
	silent string // of a TCP server that takes connections and says nothing
	dead   string // where nobody is
	reset  string // of a TCP server that resets every connection
	ca     string // file with the authority's certificate
	pair   *tls.Config

	mu    sync.Mutex
	hosts []string // that the cleartext server was asked for
	asked []string // names that the DNS was asked for
	zone  map[string][]netip.Addr
	ttl   map[string]uint32 // of a name's addresses; 1 s where it says nothing
	// answers are in place of the zone's: what is sent for a question, one after the other; nil: the zone answers.
	answers func(m dnsmessage.Message, from net.Addr) (list [][]byte, ok bool)
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, zone: map[string][]netip.Addr{}}
	for _, n := range []string{"a.test", "b.test", "echo.test"} {
		s.zone[n] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	s.serveDNS()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.hosts = append(s.hosts, r.Host)
		s.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d\n", r.Method, r.Host[:strings.IndexByte(r.Host+":", ':')], len(body))
	})
	files := http.FileServer(http.Dir(s.repository()))
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.Handle("/repo.git/", files)
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(s.packages()))))
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		io.CopyN(w, zeros{}, 20<<20)
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	})
	serve := func(l net.Listener) {
		srv := &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
	}
	l := s.listen()
	s.http = port(l.Addr())
	serve(l)
	l = s.listen()
	s.tls = port(l.Addr())
	serve(tls.NewListener(l, s.certificates()))
	l = s.listen()
	s.echo = port(l.Addr())
	go accept(l, func(c net.Conn) {
		io.WriteString(c, "hello\n")
		io.Copy(c, c)
		c.(*net.TCPConn).CloseWrite()
	})
	l = s.listen()
	s.silent = port(l.Addr())
	go accept(l, func(c net.Conn) { io.Copy(io.Discard, c) })
	l = s.listen()
	s.reset = port(l.Addr())
	go accept(l, func(c net.Conn) {
		c.Read(make([]byte, 1))
		c.(*net.TCPConn).SetLinger(0)
	})
	s.dead = s.nobody()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	s.udp = port(pc.LocalAddr())
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(buf[:n], from)
		}
	}()
	return s
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func port(a net.Addr) string {
	_, p, _ := net.SplitHostPort(a.String())
	return p
}

func (s *site) listen() net.Listener {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close() })
	return l
}

// nobody takes a port on which nobody listens while the test runs.
func (s *site) nobody() string {
	s.t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		s.t.Cleanup(func() { syscall.Close(fd) })
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		s.t.Fatal(err)
	}
	return strconv.Itoa(at.(*syscall.SockaddrInet4).Port)
}

func accept(l net.Listener, f func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			f(c)
		}()
	}
}

// has gives a name its addresses while the servers run.
func (s *site) has(name string, addrs ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[name] = addrs
}

// serveDNS answers for the zone over UDP; everything else does not exist.
func (s *site) serveDNS() {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { pc.Close() })
	s.dns = pc.LocalAddr().String()
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
			q := m.Questions[0]
			name := strings.TrimSuffix(q.Name.String(), ".")
			s.mu.Lock()
			s.asked = append(s.asked, name)
			addrs, ok := s.zone[name]
			ttl, answers := max(1, s.ttl[name]), s.answers
			s.mu.Unlock()
			if answers != nil {
				if list, ok := answers(m, from); ok {
					for _, b := range list {
						pc.WriteTo(b, from)
					}
					continue
				}
			}
			r := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true}, Questions: m.Questions}
			if !ok {
				r.RCode = dnsmessage.RCodeNameError
			}
			for _, a := range addrs {
				h := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: ttl}
				switch {
				case a.Is4() && q.Type == dnsmessage.TypeA:
					r.Answers = append(r.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
				case a.Is6() && q.Type == dnsmessage.TypeAAAA:
					r.Answers = append(r.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			if q.Type == dnsmessage.TypeTXT {
				r.Answers = append(r.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}, Body: &dnsmessage.TXTResource{TXT: []string{"text of " + name}}})
			}
			b, _ := r.Pack()
			pc.WriteTo(b, from)
		}
	}()
}

// certificates makes an authority and a server's certificate.
func (s *site) certificates() *tls.Config {
	s.t.Helper()
	must := func(err error) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	make1 := func(tmpl, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		if signer == nil {
			signer = key
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
		must(err)
		return der, key
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, SubjectKeyId: []byte{1}}
	caDER, caKey := make1(ca, ca, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a.test"}, DNSNames: []string{"a.test", "b.test"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, AuthorityKeyId: []byte{1}}
	der, key := make1(leaf, ca, caKey)
	dir, err := os.MkdirTemp("/var/tmp", "cellos-e2e-ca-") // in the cell, /tmp is another
	must(err)
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	must(os.Chmod(dir, 0o755))
	s.ca = filepath.Join(dir, "ca.pem")
	must(os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o644))
	s.pair = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return s.pair
}

// grant are the flags that let a cell reach the site: destinations NAME:PORT[/PROTOCOL].
func (s *site) grant(to ...string) []string {
	flags := []string{"--dns", s.dns, "--read", s.ca}
	seen := map[string]bool{}
	for _, d := range to {
		flags = append(flags, "--net", d)
		if name, _, _ := strings.Cut(d, ":"); !seen[name] && s.zone[name] != nil {
			seen[name] = true
			flags = append(flags, "--private", name+"=127.0.0.1")
		}
	}
	return flags
}

// online makes a bench whose user can make network devices.
func online(t *testing.T, u user) *bench {
	t.Helper()
	b := newBench(t, u)
	fi, err := os.Stat("/dev/net/tun")
	if err != nil {
		t.Skip("no /dev/net/tun")
	}
	if fi.Mode()&0o6 != 0o6 && os.Getuid() != 0 {
		t.Skip("/dev/net/tun is closed to ordinary users here")
	}
	b.closedTUN = tunClosed(u)
	return b
}

// tunClosed reports whether the user needs another /dev/net/tun than the host's, and root can give it one.
func tunClosed(u user) bool {
	fi, err := os.Stat("/dev/net/tun")
	return err == nil && fi.Mode()&0o6 != 0o6 && u.uid != 0 && os.Getuid() == 0
}
