package vault

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// until waits for what a server will have seen some time.
func (s *server) until(t *testing.T, what string, seen func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		ok := seen()
		s.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: never", what)
		}
	}
}

// TestRenewal: a token is renewed before it expires, as often as it takes, and not after its revocation.
func TestRenewal(t *testing.T) {
	s := newServer(t)
	s.seconds, s.renew = 1, func() string { return `{"auth":{"client_token":"hvs.token-0","lease_duration":1}}` }
	ctx := context.Background()
	l, err := brokerFor(s.URL).Lease(ctx, []string{"K"})
	if err != nil {
		t.Fatal(err)
	}
	s.until(t, "a third renewal", func() bool { return s.renewals >= 3 })
	if v, err := l.Resolve(ctx, "K"); err != nil || v.Len() == 0 {
		t.Errorf("after renewals: %v", err)
	}
	if err := l.Revoke(ctx); err != nil || s.live() != 0 {
		t.Errorf("%v, %d tokens are valid", err, s.live())
	}
	if err := l.(*lease).Lost(); err != nil {
		t.Errorf("lost: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.log[len(s.log)-1]; last != "POST auth/token/revoke-self " {
		t.Errorf("the last request was %q", last)
	}
}

// TestLostLease: a token that cannot be renewed is lost when its life is over; requests and the revocation say so.
func TestLostLease(t *testing.T) {
	for name, c := range map[string]struct {
		fixed bool
		renew func() string
		asked bool
		want  string
	}{
		"not renewable":     {true, nil, false, "it cannot be renewed"},
		"refused":           {false, func() string { return "" }, true, "vault token renew-self returned 400 Bad Request"},
		"no answer":         {false, func() string { return `{"auth":{"lease_duration":"hunter2"}}` }, true, "vault token renew-self: the answer has no number auth.lease_duration"},
		"its longest life":  {false, func() string { return `{"auth":{"lease_duration":-5}}` }, true, ""}, // 0 or less: it does not expire
		"no object at auth": {false, func() string { return `{"auth":null}` }, true, "vault token renew-self: the answer has no number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.seconds, s.fixed, s.renew = 1, c.fixed, c.renew
			ctx := context.Background()
			got, err := brokerFor(s.URL).Lease(ctx, []string{"K"})
			if err != nil {
				t.Fatal(err)
			}
			l := got.(*lease)
			l.renewing.Wait() // until nothing can be done any more
			s.mu.Lock()
			for k := range s.tokens {
				s.tokens[k] = false // expired
			}
			asked := s.renewals > 0
			s.mu.Unlock()
			_, rerr := l.Resolve(ctx, "K")
			verr := l.Revoke(ctx)
			if c.want == "" {
				if l.Lost() != nil {
					t.Errorf("lost: %v", l.Lost())
				}
				return
			}
			for what, err := range map[string]error{"a request": rerr, "the revocation": verr} {
				text := strings.ReplaceAll(fmt.Sprint(err), "\n", "; ")
				if !strings.Contains(text, "the vault token of this run expired before its end: "+c.want) || !strings.Contains(text, "403") || strings.Contains(text, "hunter2") {
					t.Errorf("%s: %s", what, text)
				}
			}
			if asked != c.asked {
				t.Errorf("asked for a renewal: %v", asked)
			}
		})
	}
}
