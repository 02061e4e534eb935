package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Leases are what a Vault gives: its secret K has another value each time it is read, hunter-1 first.
type leases struct {
	url     string
	reads   atomic.Int32
	revoked atomic.Int32
	fail    atomic.Bool // revoking fails
}

// newLeases starts one. More are secrets by name that stay what they are.
func newLeases(t *testing.T, more map[string]string) *leases {
	l := &leases{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, secret := strings.CutPrefix(r.URL.Path, "/v1/secret/data/")
		switch {
		case r.URL.Path == "/v1/auth/approle/login":
			io.WriteString(w, `{"auth":{"client_token":"hunter-token"}}`)
		case r.URL.Path == "/v1/auth/token/revoke-self":
			if l.revoked.Add(1); l.fail.Load() {
				http.Error(w, "hunter-body", 500)
			}
		case secret && name == "K":
			fmt.Fprintf(w, `{"data":{"data":{"K":"hunter-%d"}}}`, l.reads.Add(1))
		case secret && more[name] != "":
			fmt.Fprintf(w, `{"data":{"data":{%q:%q}}}`, name, more[name])
		default:
			w.WriteHeader(404)
		}
	}))
	t.Cleanup(s.Close)
	l.url = s.URL
	return l
}

// env are the variables with which cellos asks it.
func (l *leases) env() []string {
	return []string{"CELLOS_BROKER=vault-approle", "CELLOS_VAULT_ADDR=" + l.url + "/", "CELLOS_VAULT_ROLE_ID=rid", "CELLOS_VAULT_SECRET_ID=hunter-sid"}
}
