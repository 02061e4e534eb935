// Package outbound makes the HTTP clients that the supervisor uses for itself: to get secrets and to export artifacts.
//
//	c, err := outbound.Client(outbound.Config{Connect: 10 * time.Second, Total: 30 * time.Second, Roots: roots})
//
// What such a client does with a server that is slow, endless, or sends it somewhere else, is the same everywhere: every wait is bounded,
// a redirect is followed only where the credentials would go to the same server, and what a server says is in no error text. It is not
// the way of a cell's own traffic.
package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Config says how a client behaves. The zero value waits for ever and trusts the system's roots.
type Config struct {
	Connect time.Duration  // to set up a connection, TLS included; 0: no bound
	Total   time.Duration  // for a whole exchange; 0: no bound
	Roots   *x509.CertPool // nil: the system's
}

// Client makes a client. It honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as net/http reads them.
func Client(c Config) *http.Client {
	dialer := &net.Dialer{Timeout: c.Connect}
	return &http.Client{
		Timeout:       c.Total,
		CheckRedirect: sameOrigin,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    c.Connect,
			TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
			ExpectContinueTimeout:  time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// ErrRedirect is the error of an answer that leads to another server.
var ErrRedirect = errors.New("the server redirects to another server")

const maxRedirects = 10

// sameOrigin follows redirects to the same scheme, host and port only: credentials and contents are for that server.
func sameOrigin(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("the server redirects more than 10 times")
	}
	if from := via[0].URL; next.URL.Scheme != from.Scheme || next.URL.Host != from.Host {
		return ErrRedirect
	}
	return nil
}

// Roots are the certificates of the file of CELLOS_CA_BUNDLE, and the system's.
func Roots(file string) (*x509.CertPool, error) {
	_, list, err := Bundle(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, cert := range list {
		pool.AddCert(cert)
	}
	return pool, nil
}

// Bundle reads the file of CELLOS_CA_BUNDLE: PEM certificates that are trusted besides the system's. There is one at least.
func Bundle(file string) (text []byte, list []*x509.Certificate, err error) {
	if text, err = os.ReadFile(file); err != nil {
		return nil, nil, err
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: certificate %d: %w", file, len(list)+1, err)
		}
		list = append(list, cert)
	}
	if len(list) == 0 {
		return nil, nil, fmt.Errorf("%s: it has no certificate in PEM", file)
	}
	return text, list, nil
}

// ErrTooLong is the error of an answer that is longer than its reader takes.
var ErrTooLong = errors.New("the answer is too long")

// Read reads an answer of up to max bytes.
func Read(body io.Reader, max int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, max+1))
	if err == nil && int64(len(b)) > max {
		clear(b)
		err = ErrTooLong
	}
	return b, err
}

// Cause makes the error of a client fit to be shown: without the URL, whose user and query may be credentials.
func Cause(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	if u.Timeout() {
		return timeout{u.Err}
	}
	return u.Err
}

// timeout says in words that time was up, whatever the layer that noticed.
type timeout struct{ error }

func (timeout) Error() string   { return "no answer in time" }
func (t timeout) Unwrap() error { return t.error }
func (timeout) Timeout() bool   { return true }

// Shown is a URL as it may be shown: without user, password, query and fragment.
func Shown(u *url.URL) string {
	c := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return c.String()
}
