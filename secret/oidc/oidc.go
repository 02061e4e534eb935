// Package oidc gets workload identity tokens from GitHub Actions: a JSON Web Token that says which workflow runs, made for one audience.
//
// See "OpenID Connect" in GitHub's documentation of Actions; the runner sets ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN.
package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"cellos.io/cellos/outbound"
	"cellos.io/cellos/secret"
)

// A Broker asks for tokens. The zero value is not ready: Client is needed.
type Broker struct {
	URL, Token func() string // read at each request, as the runner may renew them
	Client     *http.Client
}

// Name returns "github-oidc".
func (Broker) Name() string { return "github-oidc" }

// maxAnswer bounds an answer; tokens have a few kilobytes.
const maxAnswer = 1 << 20

// Resolve asks for a token for an audience, which is the key.
func (b Broker) Resolve(ctx context.Context, audience string) (secret.Value, error) {
	base, token := b.URL(), b.Token()
	if base == "" || token == "" {
		return secret.Value{}, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not both set (permissions: id-token: write)")
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return secret.Value{}, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is no http or https URL")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"&audience="+escape(audience), nil)
	if err != nil {
		return secret.Value{}, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is no http or https URL")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := b.Client.Do(req)
	if err != nil {
		return secret.Value{}, fmt.Errorf("asking %s for a token: %w", outbound.Shown(u), outbound.Cause(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return secret.Value{}, fmt.Errorf("asking %s for a token: it returned %d %s", outbound.Shown(u), resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	body, err := outbound.Read(resp.Body, maxAnswer)
	if err != nil {
		return secret.Value{}, fmt.Errorf("asking %s for a token: %w", outbound.Shown(u), outbound.Cause(err))
	}
	defer clear(body)
	var answer struct {
		Value *secret.Value `json:"value"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Value == nil {
		return secret.Value{}, fmt.Errorf("asking %s for a token: the answer has no string value", outbound.Shown(u))
	}
	return *answer.Value, nil
}

// escape writes a query value: only unreserved characters of RFC 3986 stay.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var out []byte
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~':
			out = append(out, c)
		default:
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}
