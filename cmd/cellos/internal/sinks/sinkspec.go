package sinks

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/deadletter"
	"cellos.io/cellos/evidence/delivery"
	"cellos.io/cellos/evidence/httpsink"
	"cellos.io/cellos/evidence/jetstream"
	"cellos.io/cellos/secret"
)

// A sinkSpec is one sink as --sink and CELLOS_SINKS declare it: [required|best-effort] WHERE [OPTION...], separated by blanks.
type sinkSpec struct {
	best    bool
	kind    string // "http", "otlp", "nats", "file", "stdout"
	where   string // URL or path
	options map[string]string
}

// sinkOptions are the options of each kind.
func sinkOptions(kind string) []string {
	switch kind {
	case "http":
		return []string{"batch", "spool", "patience", "ca", "token-file"}
	case "otlp":
		return []string{"spool", "patience", "ca", "token-file"}
	case "nats":
		return []string{"subject", "spool", "patience", "ca"}
	}
	return nil
}

// parseSink reads a declaration. Its errors never repeat a URL, which may hold a password.
func parseSink(text string) (s sinkSpec, err error) {
	words := strings.Fields(text)
	if len(words) > 0 && (words[0] == "required" || words[0] == "best-effort") {
		s.best, words = words[0] == "best-effort", words[1:]
	}
	if len(words) == 0 {
		return s, errors.New("it names no destination")
	}
	s.where = words[0]
	scheme, rest, _ := strings.Cut(s.where, ":")
	switch scheme {
	case "http", "https":
		s.kind = "http"
	case "otlp+http", "otlp+https":
		s.kind, s.where = "otlp", httpsink.LogsURL(strings.TrimPrefix(s.where, "otlp+"))
	case "nats", "tls":
		s.kind = "nats"
	case "file":
		s.kind, s.where = "file", rest
	case "stdout", "-":
		s.kind = "stdout"
	default:
		return s, errors.New("it must begin with https:, http:, otlp+http:, otlp+https:, nats:, tls: or file:, or be stdout")
	}
	s.options = map[string]string{}
	for _, w := range words[1:] {
		name, value, given := strings.Cut(w, "=")
		_, twice := s.options[name]
		switch known := sinkOptions(s.kind); {
		case !slices.Contains(known, name) && len(known) == 0:
			return s, fmt.Errorf("there is no option %s: it takes none", cli.Quote(cli.Brief(name)))
		case !slices.Contains(known, name):
			return s, fmt.Errorf("there is no option %s; there are %s", cli.Quote(cli.Brief(name)), strings.Join(known, ", "))
		case twice:
			return s, fmt.Errorf("the option %s is given twice", name)
		case given != (name != "batch") || given && value == "":
			return s, fmt.Errorf("write batch without, and %s with =VALUE", name)
		}
		s.options[name] = value
	}
	if p, set := s.options["patience"]; set {
		if d, err := time.ParseDuration(p); err != nil || d < 0 || d > time.Hour {
			return s, fmt.Errorf("patience=%s is no time from 0s to 1h", cli.Brief(p))
		}
	}
	return s, nil
}

// shown is the destination as messages name it: without password and query.
func (s sinkSpec) shown() string {
	if s.kind == "stdout" || s.kind == "file" {
		return s.where
	}
	u, err := url.Parse(s.where)
	if err != nil {
		return s.kind
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func (s sinkSpec) name() string { return "sink " + s.shown() }

// open opens it. A server is not connected to before there is something to send, but for NATS.
func (s sinkSpec) open(doc *document.Document, env cli.Environment, ui *cli.Console) (evidence.Sink, error) {
	switch s.kind {
	case "stdout":
		return evidence.WriterSink(env.Out), nil
	case "file":
		return evidence.OpenShared(s.where, 0o666)
	}
	t, err := s.transport(doc)
	if err != nil {
		return nil, err
	}
	c := delivery.Config{Patience: patience}
	if p, set := s.options["patience"]; set {
		c.Patience, _ = time.ParseDuration(p)
	}
	if dir, set := s.options["spool"]; set {
		if c.Spool, err = deadletter.Open(dir); err != nil {
			return nil, err
		}
	}
	if s.best {
		note := lossNote(ui, s.name())
		return delivery.Aside(t, c, func(err error) { note(evidence.Event{}, err) }), nil
	}
	return delivery.New(t, c), nil
}

// transport makes what speaks to the server.
func (s sinkSpec) transport(doc *document.Document) (delivery.Transport, error) {
	roots, err := rootsWith(s.options["ca"])
	if err != nil {
		return nil, fmt.Errorf("ca=%s: %w", s.options["ca"], err)
	}
	if s.kind == "nats" {
		subject := s.options["subject"]
		if subject == "" {
			subject = defaultSubject
		}
		if strings.Contains(subject, "{") {
			id := ""
			if doc != nil {
				id = doc.Spec.ID
			}
			subject = strings.ReplaceAll(subject, "{spec_id}", id)
		}
		return jetstream.New(jetstream.Config{URL: s.where, Subject: subject, Roots: roots})
	}
	token, err := readToken(s.options["token-file"])
	if err != nil {
		return nil, err
	}
	client, err := httpsink.New(httpsink.Config{URL: s.where, Bearer: token, Roots: roots})
	if err != nil {
		return nil, err
	}
	if s.kind == "otlp" {
		return httpsink.Logs{Client: client}, nil
	}
	_, batch := s.options["batch"]
	return httpsink.Events{Client: client, Batch: batch}, nil
}

// rootsWith returns the system's root certificates and those of a file in PEM; nil, which means the system's, without one.
func rootsWith(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, _, err := cli.ReadSmall(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("there is no certificate in PEM in it")
	}
	return pool, nil
}

// readToken reads a token from a file that only its owner may read. One line feed at its end does not count.
func readToken(file string) (secret.Value, error) {
	if file == "" {
		return secret.Value{}, nil
	}
	text, mode, err := cli.ReadSmall(file)
	text = []byte(strings.TrimSuffix(string(text), "\n"))
	switch {
	case err != nil:
	case mode&0o077 != 0:
		err = fmt.Errorf("others may read it (mode %04o); chmod 600 it", mode)
	case len(text) == 0 || len(text) > 16<<10 || strings.ContainsFunc(string(text), func(r rune) bool { return r <= ' ' || r > '~' }):
		err = errors.New("it holds no token: 1 to 16384 visible ASCII characters in one line")
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("token-file=%s: %w", file, err)
	}
	return secret.Take(text), nil
}
