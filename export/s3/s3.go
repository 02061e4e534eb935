// Package s3 exports artifacts to a bucket of Amazon S3, or of a server that speaks its protocol, with the credentials that its tools find:
// environment variables, the shared configuration files, a web identity, a container's or a machine's role.
//
// Large files go in parts, one after the other; parts of an upload that failed are given up at the server.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"cellos.io/cellos/export"
	"cellos.io/cellos/outbound"
)

// A Sink puts objects into one bucket.
type Sink struct {
	Endpoint  string // URL of the server; "": Amazon's
	Region    string // "": found out
	Bucket    string
	Prefix    string // of the object's key; may be empty
	Type      string // Content-Type; "": none
	Attempts  int
	Backoff   time.Duration
	Transport http.RoundTripper
}

// partSize is what is sent at once, and so what is held in memory: 16 MiB for files of up to 160 GiB (10,000 parts).
const partSize = 16 << 20

// chain is where credentials are looked for, in this order.
func chain(client *http.Client, endpoint string) *credentials.Credentials {
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.FileAWSCredentials{},
		&credentials.IAM{Client: client, Endpoint: endpoint}, // web identity, container and machine roles
	})
}

func (s *Sink) client() (*minio.Client, error) {
	u := &url.URL{Scheme: "https", Host: "s3.amazonaws.com"}
	if s.Endpoint != "" {
		var err error
		if u, err = url.Parse(s.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return nil, errors.New("the endpoint is no http or https URL without a path")
		}
	}
	return minio.New(u.Host, &minio.Options{
		Creds:  chain(&http.Client{Transport: s.Transport, Timeout: 10 * time.Second}, ""),
		Secure: u.Scheme == "https", Region: s.Region, Transport: conditional{s.Transport}, MaxRetries: 1,
	})
}

// conditional repeats the condition of an upload in parts at its end, where S3 looks at it and the library leaves it out. It is not among the headers
// that are signed: those are the host and what begins with x-amz- (Signature Version 4).
type conditional struct{ next http.RoundTripper }

// RoundTrip sends one request.
func (c conditional) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
		r = r.Clone(r.Context())
		r.Header.Set("If-None-Match", "*")
	}
	return c.next.RoundTrip(r)
}

// Check reports what is wrong with the sink itself.
func (s *Sink) Check() error {
	_, err := s.client()
	return err
}

// Put uploads the file as PREFIX/NAME. The cell's name is not part of the key. An object that is there is not replaced: the server is asked
// to refuse (conditional writes of S3).
func (s *Sink) Put(ctx context.Context, cell, name string, src *export.Source) error {
	key := name
	if p := strings.Trim(s.Prefix, "/"); p != "" {
		key = p + "/" + name
	}
	opt := minio.PutObjectOptions{ContentType: s.Type, PartSize: partSize, NumThreads: 1, DisableContentSha256: true}
	opt.SetMatchETagExcept("*") // If-None-Match: nothing is overwritten
	c, err := s.client()
	for try := 1; err == nil; try++ {
		if err = src.Rewind(); err != nil {
			break
		}
		var body io.Reader = plain{src}
		if src.Size() == 0 { // then the length must be known to be nothing
			if _, err = src.Read(make([]byte, 1)); err != io.EOF {
				break
			}
			body = bytes.NewReader(nil)
		}
		_, err = c.PutObject(ctx, s.Bucket, key, body, src.Size(), opt)
		if err == nil && !src.Done() {
			err = errors.New("the file was not read to its end")
			break
		}
		if err == nil || try >= s.Attempts || src.Err() != nil || context.Cause(ctx) != nil || !passes(err) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.Backoff):
		}
		err = nil
	}
	switch {
	case src.Err() != nil:
		err = src.Err()
	case err != nil && context.Cause(ctx) != nil:
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("s3 put s3://%s/%s: %w", s.Bucket, key, shown(err))
	}
	return nil
}

// plain hides everything of a source but its reading: it is one stream.
type plain struct{ src *export.Source }

func (p plain) Read(b []byte) (int, error) { return p.src.Read(b) }

// passes reports whether an error may pass: of the connection, 5xx, 408, 425, 429.
func passes(err error) bool {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) || answer.StatusCode == 0 {
		return true
	}
	code := answer.StatusCode
	return code >= 500 || code == 408 || code == 425 || code == 429
}

// shown is an error without what the server wrote, but its code.
func shown(err error) error {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && answer.StatusCode == http.StatusPreconditionFailed {
		return errors.New("there is an object of that name already")
	} else if errors.As(err, &answer) {
		return fmt.Errorf("%s (%d %s)", word(answer.Code), answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return outbound.Cause(err)
}

// word is an error code of the protocol, such as NoSuchBucket; anything else is not repeated.
func word(code string) string {
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') }) {
		return "the server refused"
	}
	return code
}
