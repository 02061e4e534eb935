package httpsink_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence/delivery"
	"cellos.io/cellos/evidence/httpsink"
)

// TestHostileAnswers: an answer that does not end, is a gigabyte, or is nested deeply costs bounded time and memory. With a status of 2xx
// the event is delivered whatever follows.
func TestHostileAnswers(t *testing.T) {
	endless := func(w http.ResponseWriter, what string) {
		for {
			if _, err := io.WriteString(w, what); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
	for name, answer := range map[string]func(w http.ResponseWriter){
		"gigabyte": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1073741824")
			endless(w, strings.Repeat("x", 1<<16))
		},
		"endless":      func(w http.ResponseWriter) { endless(w, strings.Repeat("x", 1<<16)) },
		"drop by drop": func(w http.ResponseWriter) { w.WriteHeader(200); w.(http.Flusher).Flush(); time.Sleep(3 * time.Second) },
		"nested":       func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat(`{"partialSuccess":`, 100_000)) },
		"compressed": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "\x1f\x8b\x08\x00")
		},
		"other numbers": func(w http.ResponseWriter) {
			io.WriteString(w, `{"partialSuccess":{"rejectedLogRecords":"99999999999999999999"}}`)
		},
		"something else": func(w http.ResponseWriter) { io.WriteString(w, `<html>`) },
		"partial, but 0": func(w http.ResponseWriter) {
			io.WriteString(w, `{"partialSuccess":{"rejectedLogRecords":0,"errorMessage":"w"}}`)
		},
		"partial, absent": func(w http.ResponseWriter) { io.WriteString(w, `{"partialSuccess":null}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, func(_ int, w http.ResponseWriter) bool { answer(w); return true })
			for _, d := range []delivery.Transport{httpsink.Events{Client: client(t, httpsink.Config{URL: r.URL})}, httpsink.Logs{Client: client(t, httpsink.Config{URL: r.URL})}} {
				if n, err := d.Deliver(t.Context(), lines(1)); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
	t.Run("endless header", func(t *testing.T) {
		t.Parallel()
		r := receive(t, func(_ int, w http.ResponseWriter) bool {
			conn, _, _ := w.(http.Hijacker).Hijack()
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(conn, "X-A: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return false
				}
			}
		})
		n, err := httpsink.Events{Client: client(t, httpsink.Config{URL: r.URL})}.Deliver(t.Context(), lines(1))
		if n != 0 || err == nil || len(err.Error()) > 300 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = httpsink.Events{Client: client(t, httpsink.Config{URL: "http://" + l.Addr().String(), Timeout: 200 * time.Millisecond})}.Deliver(context.Background(), lines(1))
	if err == nil || !strings.Contains(err.Error(), "no answer within 200ms") {
		t.Errorf("%v", err)
	}
}
