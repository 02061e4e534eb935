package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"cellos.io/cellos/secret"
)

// Limits of one request. A command that asks for more does something else than asking for secrets.
const (
	MaxRequest  = 64 << 10        // bytes of the line
	RequestTime = 5 * time.Second // from the connection to the answer's last byte
)

// A request is a line of JSON; fields that are not known are not looked at.
type request struct {
	Token string `json:"token"`
	Key   string `json:"key"`
}

// received is a request of which a field may be missing.
type received struct {
	Token *string `json:"token"`
	Key   *string `json:"key"`
}

// A desk answers the requests of one command, whichever way they come.
type desk struct {
	session *Session
	keys    []string
	token   secret.Value
	began   time.Time

	ctx    context.Context // ends with the delivery
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	all    sync.WaitGroup // those that are being answered
}

func (s *Session) open(token secret.Value) *desk {
	d := &desk{session: s, keys: s.keys(), token: token, began: time.Now()}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// close ends the answers, also those that are waited for.
func (v *desk) close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.cancel()
	v.all.Wait()
	v.token.Wipe()
}

// enter notes that somebody is answered; false means that the end has come.
func (v *desk) enter() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.all.Add(1)
	}
	return !v.closed
}

// serve answers on a socket.
func (v *desk) serve(ctx context.Context, line []byte, to io.Writer) {
	answer := v.answer(ctx, line)
	to.Write(answer)
	clear(answer)
}

// answer returns the line that answers a request, nil if it is none. Whoever calls wipes it.
func (v *desk) answer(ctx context.Context, line []byte) []byte {
	if !v.enter() {
		return nil
	}
	defer v.all.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(v.ctx, cancel)()
	var q received
	if json.Unmarshal(line, &q) != nil || q.Token == nil || q.Key == nil {
		return nil
	}
	if !v.token.Equal([]byte(*q.Token)) {
		return failed("unauthorized")
	}
	s, key := v.session, *q.Key
	if !slices.Contains(v.keys, key) {
		s.count(&s.denied, key)
		return failed(fmt.Sprintf("unknown secret key %q", key))
	}
	ttl := s.TTL
	if key == s.Alias && s.AliasTTL != 0 {
		ttl = s.AliasTTL
	}
	if time.Since(v.began) >= max(ttl, time.Second) {
		return failed("secret expired")
	}
	value, ok := s.got[key]
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, RequestTime)
		defer cancel()
		var err error
		if value, err = s.lease.Resolve(ctx, s.asked(key)); err != nil {
			return failed(err.Error())
		}
		defer value.Wipe()
		if err := s.known(key, value); err != nil {
			return failed(err.Error())
		}
	}
	s.count(&s.taken, key)
	return given(value)
}

func failed(text string) []byte {
	b, _ := json.Marshal(struct {
		Error string `json:"error"`
	}{text})
	return append(b, '\n')
}

// given writes a value as JSON without leaving copies behind: its length is known before.
func given(value secret.Value) (line []byte) {
	value.Use(func(b []byte) error {
		if !utf8.Valid(b) {
			line = failed("the secret is not UTF-8")
			return nil
		}
		const head, tail = `{"value":"`, "\"}\n"
		line = make([]byte, 0, len(head)+6*len(b)+len(tail)) // \u00xx at the most
		line = append(line, head...)
		const hex = "0123456789abcdef"
		for _, c := range b {
			switch {
			case c == '"' || c == '\\':
				line = append(line, '\\', c)
			case c == '\n':
				line = append(line, '\\', 'n')
			case c < 0x20:
				line = append(line, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				line = append(line, c)
			}
		}
		line = append(line, tail...)
		return nil
	})
	return line
}
