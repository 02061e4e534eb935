// Package vault gets secrets from HashiCorp Vault, and from what speaks its protocol: login with an AppRole, secrets from a key-value store of
// version 2, tokens revoked when they are done with.
//
// Three requests of its API are all that is needed, so that the package makes them itself (docs/adr/0031-vault-requests.md).
package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"cellos.io/cellos/outbound"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/broker"
)

// A Broker is an AppRole at one server.
type Broker struct {
	Addr      string // http or https URL
	Namespace string // X-Vault-Namespace; may be empty
	RoleID    string
	SecretID  secret.Value
	Mount     string // of the key-value store; "secret" by default
	Prefix    string // of the path before the key; may be empty
	Client    *http.Client
}

// Check reports what is wrong with the address.
func (b *Broker) Check() error {
	u, err := url.Parse(b.Addr)
	switch {
	case err != nil:
		return errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("scheme must be http or https")
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("want http or https, a host, and no user, query or fragment")
	}
	return nil
}

// Name returns "vault-approle".
func (*Broker) Name() string { return "vault-approle" }

// maxAnswer bounds an answer: twice a value, for what JSON adds to it.
const maxAnswer = 2 * broker.MaxValue

// revokeTime bounds the revocation of a token, which must go on when the caller gave up.
const revokeTime = 10 * time.Second

// Resolve logs in, reads one key, and revokes the token.
func (b *Broker) Resolve(ctx context.Context, key string) (secret.Value, error) {
	l, err := b.login(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	v, err := l.Resolve(ctx, key)
	rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTime)
	defer cancel()
	if e := l.Revoke(rctx); e != nil {
		v.Wipe()
		return secret.Value{}, errors.Join(err, e)
	}
	return v, err
}

// Lease logs in and reads every key once. Its token is used for all that follows.
func (b *Broker) Lease(ctx context.Context, keys []string) (broker.Lease, error) {
	l, err := b.login(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		v, err := l.Resolve(ctx, k)
		v.Wipe()
		if err != nil {
			rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTime)
			defer cancel()
			return nil, errors.Join(err, l.Revoke(rctx))
		}
	}
	l.keep()
	return l, nil
}

// A lease is a token.
type lease struct {
	b       *Broker
	token   secret.Value
	once    sync.Once
	revoked error

	began     time.Time
	ttl       time.Duration // of the token; 0: it does not expire
	renewable bool
	stop      chan struct{} // closed by Revoke; nil: nobody renews
	renewing  sync.WaitGroup

	mu   sync.Mutex
	lost error // why the token will not live as long as the cell
}

func (b *Broker) login(ctx context.Context) (*lease, error) {
	var body []byte
	err := b.SecretID.Use(func(id []byte) (err error) {
		body, err = json.Marshal(map[string]string{"role_id": b.RoleID, "secret_id": string(id)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("vault approle login: %w", err)
	}
	defer clear(body)
	answer, err := b.do(ctx, http.MethodPost, "auth/approle/login", body, secret.Value{}, "vault approle login")
	if err != nil {
		return nil, err
	}
	defer clear(answer)
	var login struct {
		Auth *struct {
			Token     *secret.Value `json:"client_token"`
			Seconds   int64         `json:"lease_duration"`
			Renewable bool          `json:"renewable"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(answer, &login); err != nil || login.Auth == nil || login.Auth.Token == nil || login.Auth.Token.Len() == 0 {
		return nil, errors.New("vault approle login: the answer has no string auth.client_token")
	}
	return &lease{b: b, token: *login.Auth.Token, began: time.Now(), ttl: seconds(login.Auth.Seconds), renewable: login.Auth.Renewable}, nil
}

// Resolve reads one key. The secret's field must have the name of the key, and be a string.
func (l *lease) Resolve(ctx context.Context, key string) (secret.Value, error) {
	path := l.b.Mount + "/data/"
	if l.b.Prefix != "" {
		path += l.b.Prefix + "/"
	}
	answer, err := l.b.do(ctx, http.MethodGet, path+key, nil, l.token, "vault kv read of "+key)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound {
		return secret.Value{}, fmt.Errorf("vault kv secret not found: %s", key)
	}
	if lost := l.Lost(); lost != nil && status != nil && status.code == http.StatusForbidden {
		err = fmt.Errorf("%w: %w", lost, err)
	}
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(answer)
	var read struct {
		Data *struct {
			Data map[string]json.RawMessage `json:"data"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &read); err != nil || read.Data == nil {
		return secret.Value{}, fmt.Errorf("vault kv read of %s: the answer has no object data.data", key)
	}
	raw, ok := read.Data.Data[key]
	for k, v := range read.Data.Data {
		if k != key {
			clear(v)
		}
	}
	if !ok {
		return secret.Value{}, fmt.Errorf("vault kv secret %s has no field of that name", key)
	}
	defer clear(raw)
	var v secret.Value
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &v) != nil {
		return secret.Value{}, fmt.Errorf("vault kv secret %s: the field of that name is no string", key)
	}
	return v, nil
}

// Revoke ends the token at the server.
func (l *lease) Revoke(ctx context.Context) error {
	l.once.Do(func() {
		l.endKeeping()
		answer, err := l.b.do(ctx, http.MethodPost, "auth/token/revoke-self", []byte{}, l.token, "vault token revoke-self")
		clear(answer)
		l.token.Wipe()
		if l.revoked = err; err != nil {
			l.revoked = errors.Join(l.Lost(), err)
		}
	})
	return l.revoked
}

// A statusError is an answer that is none. What the server wrote is not in it.
type statusError struct {
	what string
	code int
}

func (e *statusError) Error() string {
	return strings.TrimRight(fmt.Sprintf("%s returned %d %s", e.what, e.code, http.StatusText(e.code)), " ")
}

func (b *Broker) do(ctx context.Context, method, path string, body []byte, token secret.Value, what string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(b.Addr, "/")+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, outbound.Cause(err))
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", b.Namespace)
	}
	token.Use(func(t []byte) error {
		if len(t) > 0 {
			req.Header.Set("X-Vault-Token", string(t))
		}
		return nil
	})
	resp, err := b.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, outbound.Cause(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, &statusError{what, resp.StatusCode}
	}
	answer, err := outbound.Read(resp.Body, maxAnswer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, outbound.Cause(err))
	}
	return answer, nil
}
