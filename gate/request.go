package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/gate/http1"
)

// httpMethod reports whether a line begins like a request of HTTP, and not of another protocol with words in capitals (SMTP, IMAP).
func httpMethod(b []byte) bool {
	word, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok {
		return false
	}
	switch string(word) {
	case "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE":
		return true
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return bytes.Contains(line, []byte(" HTTP/1."))
}

// http passes on the requests of a cleartext connection, each of which is checked.
func (f *tcpFlow) http(first []byte, must bool) error {
	f.src.within(0) // this one reads by itself
	f.cell.SetReadDeadline(time.Now().Add(firstTime))
	r := http1.NewReader(io.MultiReader(bytes.NewReader(first), touching{f}))
	up := meter{f}
	serving := !must // what upstream sends is passed on
	for n := 0; ; n++ {
		q, err := r.Next()
		if err == io.EOF && n > 0 {
			return nil
		}
		if err == nil {
			err = f.request(q, n)
		}
		if err == nil {
			f.cell.SetReadDeadline(time.Time{})
			if !serving {
				serving = true
				f.gate.hands.do(f.fromUpstream)
			}
			_, err = q.WriteTo(up)
		}
		var bad *http1.Refusal
		if errors.As(err, &bad) {
			return f.forbid(bad, serving, n > 0)
		}
		if err != nil {
			if isTimeout(err) {
				return f.refuse(codeTimeout, "")
			}
			return err
		}
		if q.Switch { // what follows is another protocol, if the server takes it: the connection is spent on this one name
			return f.toUpstream(r.Rest())
		}
		if q.Close {
			return nil
		}
	}
}

// request decides on one request.
func (f *tcpFlow) request(q *http1.Request, n int) error {
	g := f.gate
	good := q.Host == f.to.name || f.to.front && g.table.granted(q.Host)
	if f.to.name == "" {
		good = authority.MatchesAny(q.Host, g.names.Allow)
	}
	if q.Port != "" && q.Port != fmt.Sprint(f.rule.Port) {
		good = false
	}
	if !good {
		return &http1.Refusal{Host: q.Host, Why: "another host"}
	}
	if q.Switch && n > 0 {
		return &http1.Refusal{Host: q.Host, Why: "a change of protocol on a connection in use"}
	}
	if err := f.rule.request(); err != nil {
		return f.spent(err)
	}
	if n > 0 {
		return nil
	}
	return f.allow(codeHostMatch, q.Host)
}

// forbid answers a request that is not passed on. Answers to the requests before it come first.
//
// Serving says that what upstream sends is passed on already, sent that upstream has a request.
func (f *tcpFlow) forbid(bad *http1.Refusal, serving, sent bool) error {
	f.refuse(f.codeOf(bad), bad.Host)
	f.answering.Store(true)
	if serving {
		if sent {
			f.up.Conn.(interface{ CloseWrite() error }).CloseWrite()
		} else {
			f.up.Conn.Close()
		}
		select {
		case <-f.down:
		case <-time.After(2 * time.Second):
			f.up.Conn.Close()
			<-f.down
		}
	} else {
		close(f.down)
	}
	f.cell.Write([]byte(http1.Forbidden))
	f.cell.CloseWrite()
	// The rest of the request is read away, so that the answer is not lost to a reset (RFC 9112 section 9.6).
	f.cell.SetReadDeadline(time.Now().Add(time.Second))
	io.Copy(io.Discard, io.LimitReader(f.cell, 1<<20))
	return nil
}

// codeOf is the reason code of a request that is not passed on.
func (f *tcpFlow) codeOf(bad *http1.Refusal) string {
	switch {
	case bad.NoHost:
		return codeHostMissing
	case bad.Why == "another host" && f.gate.table.granted(bad.Host) && bad.Host != f.to.name:
		return codeMismatch
	case bad.Why == "another host":
		return codeHostMiss
	}
	return codeUnknown
}

// goAway is a SETTINGS frame, which a client of HTTP/2 must see first, and GOAWAY with PROTOCOL_ERROR (RFC 9113 sections 6.5, 6.8).
func goAway() []byte {
	return []byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
}
