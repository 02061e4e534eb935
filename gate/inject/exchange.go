package inject

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"cellos.io/cellos/gate/http1"
)

// lingerTime is how long the rest of a request is taken after its answer, so that the answer is not lost to a reset (RFC 9112 section 9.6).
const lingerTime = time.Second

// maxAnswerHead bounds the head of an answer, in bytes.
const maxAnswerHead = 256 << 10

// A side is one of the two connections, above TLS.
type side interface {
	io.ReadWriter
	CloseWrite() error
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
}

// An exchange is the requests of one connection, one after the other.
type exchange struct {
	o    *Opener
	site Site
	add  []http1.Field

	cell side
	in   *http1.Reader // of cell
	up   side
	out  *bufio.Reader // of up, through head
	head *bounded

	waiting atomic.Bool // for the cell's next request
}

func newExchange(o *Opener, s Site, cell, up side) *exchange {
	x := &exchange{o: o, site: s, add: o.added(s.Inject), cell: cell, in: http1.NewReader(cell), up: up, head: &bounded{r: up}}
	x.in.Scheme = "https"
	x.out = bufio.NewReaderSize(x.head, 16<<10)
	return x
}

// bounded reads so many bytes.
type bounded struct {
	r    io.Reader
	left int64
}

var errLongHead = fmt.Errorf("the head of the answer is longer than %d bytes", maxAnswerHead)

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLongHead
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// past is a time at which whatever waits is to end.
func past() time.Time { return time.Unix(1, 0) }

func (x *exchange) run() error {
	for n := 0; ; n++ {
		more, err := x.one(n)
		switch {
		case err == errAnswered:
			x.drain()
			return nil
		case err != nil:
			return err
		case !more:
			x.cell.CloseWrite()
			return nil
		}
	}
}

// drain takes the rest of what the cell says when it has its last answer.
func (x *exchange) drain() {
	x.cell.CloseWrite()
	x.cell.SetReadDeadline(time.Now().Add(lingerTime))
	io.Copy(io.Discard, io.LimitReader(x.cell, 1<<20))
}

// one carries one request and its answer. More says that another one may follow.
func (x *exchange) one(n int) (more bool, err error) {
	// The answer is waited for from now on: a server that ends between two requests ends the cell's connection, and not its next request.
	arrived := make(chan error, 1)
	x.head.left = maxAnswerHead
	x.waiting.Store(true)
	go func() {
		_, err := x.out.Peek(1)
		if x.waiting.Load() {
			x.cell.SetReadDeadline(past())
		}
		arrived <- err
	}()
	q, err := x.in.Next()
	x.waiting.Store(false)
	if err == nil {
		err = x.pass(q, n)
	}
	var bad *http1.Refusal
	switch {
	case errors.As(err, &bad):
		x.site.Forbidden(bad)
		x.abandon(arrived)
		if _, err := io.WriteString(x.cell, http1.Forbidden); err != nil {
			return false, err
		}
		return false, errAnswered
	case err != nil:
		x.abandon(arrived)
		if err == io.EOF || isTimeout(err) { // it has nothing more to say, or the server has
			return false, nil
		}
		return false, err
	}
	select {
	case <-arrived: // the server ended before it was asked, or speaks unasked: the client asks again, on another connection
		return false, nil
	default:
	}
	sent := make(chan error, 1)
	go func() {
		_, err := q.WriteTo(x.up)
		if errors.As(err, &bad) || err != nil && errors.Is(err, io.ErrUnexpectedEOF) {
			x.up.SetDeadline(past()) // the server must not take what came for the whole
		}
		sent <- err
	}()
	err = <-arrived
	if err == nil {
		more, err = x.answer(q)
	}
	if err != nil {
		x.up.SetDeadline(past())
		x.cell.SetReadDeadline(past())
		if serr := <-sent; errors.As(serr, &bad) {
			x.site.Forbidden(bad)
		}
		return false, err
	}
	select {
	case serr := <-sent:
		return more && serr == nil, nil
	case <-time.After(lingerTime):
	}
	x.up.SetDeadline(past())
	x.cell.SetReadDeadline(past())
	<-sent
	return false, nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// abandon ends the waiting for an answer that will not come.
func (x *exchange) abandon(arrived <-chan error) {
	x.up.SetReadDeadline(past())
	<-arrived
}

// pass decides on a request, and makes it the one that is passed on.
func (x *exchange) pass(q *http1.Request, n int) error {
	if q.Switch {
		return &http1.Refusal{Host: q.Host, Why: "a change of protocol"}
	}
	if err := notTrace(q); err != nil {
		return err
	}
	if err := x.site.Request(q, n); err != nil {
		return err
	}
	rewrite(q, x.add)
	return nil
}

// notTrace refuses what has the server send back what it got (RFC 9110 section 9.3.8).
func notTrace(q *http1.Request) error {
	if q.Method == "TRACE" {
		return &http1.Refusal{Host: q.Host, Why: "TRACE"}
	}
	return nil
}

// answer passes on the answer of a request.
func (x *exchange) answer(q *http1.Request) (more bool, err error) {
	for {
		x.head.left = maxAnswerHead
		resp, err := http.ReadResponse(x.out, &http.Request{Method: q.Method})
		x.head.left = math.MaxInt64
		if err != nil {
			return false, x.bad("it is no answer: " + err.Error())
		}
		if resp.StatusCode/100 != 1 {
			return x.final(q, resp)
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return false, x.bad("a change of protocol")
		}
		if !q.OldVersion() { // RFC 9110 section 15.2
			if _, err := x.cell.Write(x.headOf(resp, "")); err != nil {
				return false, err
			}
		}
	}
}

// bad answers in place of an answer that is not passed on.
func (x *exchange) bad(why string) error {
	why = x.o.Clean(why)
	x.site.Refused(CodeAnswer, why)
	text := "cellos: the answer was refused: " + why + "\n"
	fmt.Fprintf(x.cell, "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text)
	return errAnswered
}
