//go:build linux && (amd64 || arm64)

package microvm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"cellos.io/cellos/guest"
)

// The bodies of Firecracker's API that a machine of ours needs, by the names of its description.
type (
	instanceInfo struct {
		State   string `json:"state"`
		Version string `json:"vmm_version"`
	}
	machineConfig struct {
		CPUs      int    `json:"vcpu_count"`
		MemoryMiB uint64 `json:"mem_size_mib"`
	}
	bootSource struct {
		Kernel string `json:"kernel_image_path"`
		Initrd string `json:"initrd_path"`
		Args   string `json:"boot_args"`
	}
	drive struct { // a file, or the socket of a vhost-user device
		ID       string `json:"drive_id"`
		Root     bool   `json:"is_root_device"`
		Path     string `json:"path_on_host,omitempty"`
		ReadOnly *bool  `json:"is_read_only,omitempty"`
		Socket   string `json:"socket,omitempty"`
	}
	vsock struct {
		CID  uint32 `json:"guest_cid"`
		Path string `json:"uds_path"`
	}
	entropy struct {
		Limit *rateLimiter `json:"rate_limiter,omitempty"`
	}
	serial struct {
		Path  string       `json:"serial_out_path"`
		Limit *tokenBucket `json:"rate_limiter,omitempty"`
	}
	rateLimiter struct {
		Bandwidth  *tokenBucket `json:"bandwidth,omitempty"`
		Operations *tokenBucket `json:"ops,omitempty"`
	}
	tokenBucket struct {
		Size         int64 `json:"size"`        // tokens: bytes, or operations
		RefillTime   int64 `json:"refill_time"` // milliseconds until it is full again
		OneTimeBurst int64 `json:"one_time_burst,omitempty"`
	}
	action struct {
		Type string `json:"action_type"`
	}
	fault struct {
		Message string `json:"fault_message"`
	}
)

// An APIError is an answer of Firecracker that is not a success.
type APIError struct {
	Method, Path string
	Status       int
	Fault        string // what Firecracker says of it
}

func (e *APIError) Error() string {
	s := fmt.Sprintf("%s %s: status %d", e.Method, e.Path, e.Status)
	if e.Fault != "" {
		s += ": " + e.Fault
	}
	return s
}

// Bounds of what is taken from Firecracker, which a guest may have taken over. An answer has some hundred bytes.
const (
	maxAnswer  = 64 << 10
	maxHeader  = 16 << 10
	answerTime = 30 * time.Second // for one answer; building a machine of many drives takes milliseconds
)

// api speaks HTTP on one connection.
type api struct{ client http.Client }

func newAPI(dial func(context.Context) (net.Conn, error)) *api {
	return &api{http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableCompression:     true,
			MaxConnsPerHost:        1,
			MaxResponseHeaderBytes: maxHeader,
		},
	}}
}

func (a *api) close() { a.client.CloseIdleConnections() }

func (a *api) get(ctx context.Context, path string, into any) error {
	b, err := a.do(ctx, http.MethodGet, path, nil, http.StatusOK)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("GET %s: the answer is no such object: %w", path, err)
	}
	return nil
}

func (a *api) put(ctx context.Context, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("PUT %s: %w", path, err)
	}
	_, err = a.do(ctx, http.MethodPut, path, b, http.StatusNoContent)
	return err
}

// do makes one request, and takes no other answer than the one that the description has for success.
func (a *api) do(ctx context.Context, method, path string, body []byte, want int) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("%s %s: no answer for %v", method, path, answerTime))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	var b []byte
	if err == nil {
		defer resp.Body.Close()
		b, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the rest is the path, which is said here
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if len(b) > maxAnswer {
		return nil, fmt.Errorf("%s %s: an answer of more than %d bytes", method, path, maxAnswer)
	}
	if resp.StatusCode == want {
		return b, nil
	}
	e := &APIError{Method: method, Path: path, Status: resp.StatusCode}
	var f fault
	if json.Unmarshal(b, &f) == nil {
		e.Fault = guest.Clean(f.Message, 300)
	}
	return nil, e
}
