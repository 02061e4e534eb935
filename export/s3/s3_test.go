package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"cellos.io/cellos/export"
)

// server is a real server of the protocol, with the bucket bkt, that counts requests.
func server(t *testing.T, before http.HandlerFunc) (url string, backend *s3mem.Backend, requests *atomic.Int32) {
	t.Helper()
	backend = s3mem.New()
	if err := backend.CreateBucket("bkt"); err != nil {
		t.Fatal(err)
	}
	requests = new(atomic.Int32)
	h := gofakes3.New(backend).Server()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIATEST/") {
			t.Errorf("%s %s without the credentials: %q", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		if before != nil {
			if before(w, r); w.Header().Get("X-Done") != "" {
				return
			}
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	for _, v := range []string{"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(v, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	return s.URL, backend, requests
}

func source(t *testing.T, text string) (*export.Source, string) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	s, err := export.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func stored(t *testing.T, b *s3mem.Backend, key string) (sum string, size int64) {
	t.Helper()
	o, err := b.GetObject("bkt", key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Contents.Close()
	h := sha256.New()
	n, err := io.Copy(h, o.Contents)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil)), n
}

func sink(url string) *Sink {
	return &Sink{Endpoint: url, Region: "us-east-1", Bucket: "bkt", Prefix: "/p/q/", Attempts: 1, Transport: &http.Transport{ResponseHeaderTimeout: 5 * time.Second}}
}

func TestPut(t *testing.T) {
	url, backend, requests := server(t, nil)
	for name, text := range map[string]string{"empty": "", "small": "hello", "one part": strings.Repeat("x", partSize), "parts": strings.Repeat("0123456789abcdef", (2*partSize+partSize/2)/16)} {
		requests.Store(0)
		src, _ := source(t, text)
		if err := sink(url).Put(context.Background(), "c", name, src); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sum, size := stored(t, backend, "p/q/"+name)
		if sum != src.SHA256() || size != int64(len(text)) {
			t.Errorf("%s: %d bytes with digest %s arrived, %d with %s were sent", name, size, sum, len(text), src.SHA256())
		}
		if n := requests.Load(); (n > 2) != (name == "parts") {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

// TestNothingIsOverwritten: an object that is there stays as it is, whether the new one comes in one piece or in parts. The server of these tests
// knows the condition for one piece only; for the end of an upload in parts it is kept in front of it, as S3 does (CompleteMultipartUpload).
func TestNothingIsOverwritten(t *testing.T) {
	var backend *s3mem.Backend
	url, backend, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !r.URL.Query().Has("uploadId") || r.Header.Get("If-None-Match") != "*" {
			return
		}
		if _, err := backend.HeadObject("bkt", strings.TrimPrefix(r.URL.Path, "/bkt/")); err == nil {
			w.Header().Set("X-Done", "1")
			w.WriteHeader(http.StatusPreconditionFailed)
			io.WriteString(w, "<Error><Code>PreconditionFailed</Code></Error>")
		}
	})
	first, _ := source(t, "first")
	if err := sink(url).Put(context.Background(), "c", "a", first); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"one piece": "second", "parts": strings.Repeat("x", partSize+1)} {
		src, _ := source(t, text)
		err := sink(url).Put(context.Background(), "c", "a", src)
		if err == nil || err.Error() != "s3 put s3://bkt/p/q/a: there is an object of that name already" {
			t.Errorf("%s: %v", name, err)
		}
		if sum, size := stored(t, backend, "p/q/a"); sum != first.SHA256() || size != 5 {
			t.Errorf("%s: replaced by %d bytes", name, size)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Run("no bucket", func(t *testing.T) {
		url, _, _ := server(t, nil)
		x := sink(url)
		x.Bucket = "other"
		src, _ := source(t, "hello")
		if err := x.Put(context.Background(), "c", "a", src); err == nil || err.Error() != "s3 put s3://other/p/q/a: NoSuchBucket (404 Not Found)" {
			t.Error(err)
		}
	})
	t.Run("a server that is busy twice", func(t *testing.T) {
		var n atomic.Int32
		url, backend, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) <= 2 {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("X-Done", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				io.WriteString(w, "<Error><Code>hunter2 said</Code><Message>hunter2</Message></Error>")
			}
		})
		x := sink(url)
		src, _ := source(t, "hello")
		if err := x.Put(context.Background(), "c", "a", src); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "503") {
			t.Error(err)
		}
		x.Attempts = 3
		src, _ = source(t, "hello")
		if err := x.Put(context.Background(), "c", "a", src); err != nil {
			t.Error(err)
		}
		if _, size := stored(t, backend, "p/q/a"); size != 5 {
			t.Errorf("%d bytes arrived", size)
		}
	})
	t.Run("a file that grows", func(t *testing.T) {
		url, backend, _ := server(t, nil)
		for _, text := range []string{"hello", strings.Repeat("x", partSize+5)} {
			src, p := source(t, text)
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(f, "!")
			f.Close()
			if err := sink(url).Put(context.Background(), "c", "grown", src); !errors.Is(err, export.ErrGrew) {
				t.Error(err)
			}
			if _, err := backend.GetObject("bkt", "p/q/grown", nil); err == nil {
				t.Error("something of it is there")
			}
		}
	})
	t.Run("told to stop", func(t *testing.T) {
		url, _, _ := server(t, nil)
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errors.New("told to stop"))
		src, _ := source(t, "hello")
		if err := sink(url).Put(ctx, "c", "a", src); err == nil || !strings.Contains(err.Error(), "told to stop") {
			t.Error(err)
		}
	})
	for _, bad := range []string{"h:1", "ftp://h", "http://h/path", "http://", "\x00"} {
		if err := sink(bad).Check(); err == nil {
			t.Errorf("%q is an endpoint", bad)
		}
	}
}
