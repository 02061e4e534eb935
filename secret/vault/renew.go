package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// longest bounds what a server says of the life of a token: a year.
const longest = 365 * 24 * time.Hour

func seconds(n int64) time.Duration {
	return min(time.Duration(min(max(n, 0), int64(longest/time.Second)))*time.Second, longest)
}

// keep renews the token as long as the lease is not revoked: after two thirds of its life, and again in what is left of it where that fails.
func (l *lease) keep() {
	if l.ttl == 0 {
		return
	}
	l.stop = make(chan struct{})
	l.renewing.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			select {
			case <-l.stop:
				cancel()
			case <-ctx.Done():
			}
		}()
		for end := l.began.Add(l.ttl); ; {
			left := time.Until(end)
			wait := left * 2 / 3
			if !l.renewable || left < l.ttl/100 { // it cannot be renewed, or a hundredth of its life is left
				wait = left
			}
			select {
			case <-l.stop:
				return
			case <-time.After(wait):
			}
			if time.Until(end) <= 0 {
				if l.Lost() == nil {
					l.lose(errors.New("it cannot be renewed"))
				}
				return
			}
			asked := time.Now()
			ttl, err := l.renew(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				l.lose(err) // until it succeeds
			case ttl == 0:
				l.lose(nil)
				return
			default:
				l.lose(nil)
				end = asked.Add(ttl)
			}
		}
	})
}

// endKeeping ends the renewals and waits for the one under way.
func (l *lease) endKeeping() {
	if l.stop != nil {
		close(l.stop)
		l.renewing.Wait()
		l.stop = nil
	}
}

// lose notes why the token will not live on; nil: it will.
func (l *lease) lose(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost = err; err != nil {
		l.lost = fmt.Errorf("the vault token of this run expired before its end: %w", err)
	}
}

// Lost says why the token does not live any more, although it was not revoked, or will not; nil: it does.
func (l *lease) Lost() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// renew asks for a longer life of the token, and returns how long it lives from then on; 0: without end.
func (l *lease) renew(ctx context.Context) (time.Duration, error) {
	const what = "vault token renew-self"
	answer, err := l.b.do(ctx, http.MethodPost, "auth/token/renew-self", []byte("{}"), l.token, what)
	if err != nil {
		return 0, err
	}
	defer clear(answer)
	var renewed struct {
		Auth *struct {
			Seconds *int64 `json:"lease_duration"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(answer, &renewed); err != nil || renewed.Auth == nil || renewed.Auth.Seconds == nil {
		return 0, errors.New(what + ": the answer has no number auth.lease_duration")
	}
	return seconds(*renewed.Auth.Seconds), nil
}
