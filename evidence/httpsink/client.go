// Package httpsink sends events over HTTP: as CloudEvents, one a request or many (CloudEvents HTTP Protocol Binding 1.0, structured and
// batched content mode), or as OpenTelemetry log records (OTLP/HTTP with JSON).
//
//	client, err := httpsink.New(httpsink.Config{URL: "https://events.example.org/in"})
//	sink := delivery.New(httpsink.Events{Client: client, Batch: true}, delivery.Config{Patience: 10 * time.Second})
//
// A server is not trusted: of what it answers a bounded part is read for a bounded time, redirects are not followed, and nothing of it
// but its status gets into an error.
package httpsink

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/evidence/delivery"
	"cellos.io/cellos/secret"
)

// Config says where events go.
type Config struct {
	URL     string         // http or https; user:password@ becomes basic authentication
	Bearer  secret.Value   // token for the header Authorization; empty: none
	Roots   *x509.CertPool // root certificates; nil: the system's
	Timeout time.Duration  // for one request with its answer; 0: 10 s
}

// Client posts to one URL. It is used by one goroutine at a time.
type Client struct {
	c    Config
	url  *url.URL
	name string // the URL as errors name it: without password and query
	http *http.Client
}

// New checks the configuration, and does not connect. Proxies are those of HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
func New(c Config) (*Client, error) {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errors.New("no URL of a server, such as https://events.example.org/in") // and never what stands there
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the scheme %q is neither http nor https", u.Scheme)
	case u.Fragment != "":
		return nil, errors.New("the URL has a fragment (#), which is never sent")
	case c.Bearer.Len() > 0 && u.User != nil:
		return nil, errors.New("a token and a password in the URL are two ways to be let in")
	}
	name := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: c.Timeout}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    c.Timeout,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a small answer may unpack to a large one
	}
	return &Client{c, u, name.String(), &http.Client{
		Transport: transport,
		// A redirected event would go, with its token, to whoever the server names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// maxAnswer is how much of an answer is read. An OTLP answer that refuses records has some hundred bytes.
const maxAnswer = 64 << 10

// answerTime is how long is waited for the rest of an answer whose status is known.
const answerTime = time.Second

// post sends body, and returns the beginning of the answer when its status is 2xx.
func (c *Client) post(ctx context.Context, contentType string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, delivery.Permanent(c.cause(err))
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "cellos")
	c.c.Bearer.Use(func(token []byte) error {
		if len(token) > 0 {
			req.Header.Set("Authorization", "Bearer "+string(token))
		}
		return nil
	})
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, c.cause(err)
	}
	defer answer.Body.Close()
	over := time.AfterFunc(answerTime, cancel)
	defer over.Stop()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // whatever is wrong with it: the status says what became of the event
	if answer.StatusCode/100 == 2 {
		return text, nil
	}
	return nil, c.refused(answer)
}

// refused is the error of an answer that is not 2xx.
func (c *Client) refused(answer *http.Response) error {
	err := fmt.Errorf("posting to %s: status %d", c.name, answer.StatusCode)
	switch code := answer.StatusCode; {
	case code/100 == 3:
		return delivery.Permanent(fmt.Errorf("%w: redirects are not followed; name the last URL", err))
	case code/100 == 5, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests:
		if s, bad := strconv.Atoi(answer.Header.Get("Retry-After")); bad == nil && s > 0 {
			return delivery.After(err, time.Duration(min(s, 3600))*time.Second)
		}
		return err
	}
	return delivery.Permanent(err)
}

// cause drops the URL with its password and query that net/http puts into errors.
func (c *Client) cause(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v", c.c.Timeout)
	}
	text := err.Error()
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' }); i >= 0 || len(text) > 200 {
		// The text holds what a server sent.
		err = errors.New("the answer is not HTTP")
	}
	return fmt.Errorf("posting to %s: %w", c.name, err)
}

// Close closes the connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}
