// Package web exports artifacts to a server: a PUT to a URL, which may be presigned, as object stores make them.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cellos.io/cellos/export"
	"cellos.io/cellos/outbound"
	"cellos.io/cellos/secret"
)

// A Sink puts files to URLs made from one.
type Sink struct {
	URL      string       // see For
	Exact    bool         // the URL is taken as it is, unless it has a placeholder
	Bearer   secret.Value // of the Authorization header; empty: none
	Type     string       // Content-Type; "": none
	Attempts int          // tries altogether, at least 1
	Backoff  time.Duration
	Client   *http.Client
	What     string // in errors: "http", "s3"
}

// For returns the URL that an artifact goes to. {cell_id} and {artifact_name} are replaced; else a URL with a query, and one that is Exact, is
// taken as it is; else cell and name are appended to the path.
func (s *Sink) For(cell, name string) (*url.URL, error) {
	text := s.URL
	switch {
	case strings.Contains(text, "{cell_id}") || strings.Contains(text, "{artifact_name}"):
		text = strings.NewReplacer("{cell_id}", url.PathEscape(cell), "{artifact_name}", url.PathEscape(name)).Replace(text)
	case s.Exact || strings.Contains(text, "?"):
	default:
		text = strings.TrimRight(text, "/") + "/" + url.PathEscape(cell) + "/" + url.PathEscape(name)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("it is no http or https URL") // and never the text, which may have a signature
	}
	u.Fragment = ""
	return u, nil
}

// Put sends the file, and again after errors that may pass: those of the connection, 5xx, 408, 425, 429.
func (s *Sink) Put(ctx context.Context, cell, name string, src *export.Source) error {
	u, err := s.For(cell, name)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		again, err := s.try(ctx, u, src)
		if err == nil || !again || try >= s.Attempts || src.Err() != nil || context.Cause(ctx) != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(s.Backoff):
		}
	}
}

// try sends the file once. again tells whether another try may help.
func (s *Sink) try(ctx context.Context, u *url.URL, src *export.Source) (again bool, err error) {
	what := fmt.Sprintf("%s put %s", s.What, outbound.Shown(u))
	if err := src.Rewind(); err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	var body io.ReadCloser = http.NoBody
	if src.Size() > 0 {
		body = io.NopCloser(src)
	} else if _, err := src.Read(make([]byte, 1)); err != io.EOF { // nothing to send, but a file that grew is none of nothing
		return false, fmt.Errorf("%s: %w", what, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), body)
	if err != nil {
		return false, fmt.Errorf("%s: it is no http or https URL", what)
	}
	req.ContentLength = src.Size()
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(src), src.Rewind() }
	if s.Type != "" {
		req.Header.Set("Content-Type", s.Type)
	}
	s.Bearer.Use(func(b []byte) error {
		if len(b) > 0 {
			req.Header.Set("Authorization", "Bearer "+string(b))
		}
		return nil
	})
	resp, err := s.Client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	}
	switch {
	case src.Err() != nil:
		return false, fmt.Errorf("%s: %w", what, src.Err())
	case err != nil:
		return !errors.Is(err, outbound.ErrRedirect), fmt.Errorf("%s: %w", what, outbound.Cause(err))
	case resp.StatusCode/100 != 2:
		code := resp.StatusCode
		return code >= 500 || code == 408 || code == 425 || code == 429, fmt.Errorf("%s returned %d %s", what, code, http.StatusText(code))
	case !src.Done():
		return false, fmt.Errorf("%s: the server took the file without reading it", what)
	}
	return false, nil
}
