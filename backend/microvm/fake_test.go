//go:build linux && (amd64 || arm64)

package microvm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"go.yaml.in/yaml/v3"
)

// apiRouter is Firecracker's own description of its API, which every request and every answer is held against. What the description leaves
// open the program closes: it takes no field that it does not know.
var apiRouter = sync.OnceValues(func() (routers.Router, error) {
	text, err := os.ReadFile("testdata/firecracker.yaml")
	if err != nil {
		return nil, err
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(textKeys(tree))
	if err != nil {
		return nil, err
	}
	var two openapi2.T
	if err := json.Unmarshal(asJSON, &two); err != nil {
		return nil, err
	}
	doc, err := openapi2conv.ToV3(&two)
	if err != nil {
		return nil, err
	}
	no := false
	for _, s := range doc.Components.Schemas {
		if len(s.Value.Properties) > 0 {
			s.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
		}
	}
	doc.Servers = openapi3.Servers{{URL: "http://localhost"}}
	return gorillamux.NewRouter(doc)
})

// textKeys makes JSON of YAML whose keys are numbers, as those of responses are.
func textKeys(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := map[string]any{}
		for k, x := range v {
			m[fmt.Sprint(k)] = textKeys(x)
		}
		return m
	case map[string]any:
		for k, x := range v {
			v[k] = textKeys(x)
		}
	case []any:
		for i, x := range v {
			v[i] = textKeys(x)
		}
	}
	return v
}

// A fakeVMM is the part of Firecracker that is seen from outside: its API with the description's bodies, the order of the documentation,
// the rules of what may be said before and after the start, and a guest that connects.
type fakeVMM struct {
	t       *testing.T
	dir     string // what the monitor has as its working directory
	version string
	state   string
	silent  bool // the guest never connects

	// fault may answer in the place of the machine; then it returns true.
	fault func(w http.ResponseWriter, r *http.Request) bool

	mu     sync.Mutex
	bodies map[string]map[string]any
	seen   []string
	guest  chan net.Conn // the guest's end of the channel
}

// order is that of the documentation (docs/getting-started.md): what a request may follow.
var order = []string{"GET /", "PUT /logger", "PUT /machine-config", "PUT /boot-source", "PUT /drives/", "PUT /network-interfaces/", "PUT /vsock", "PUT /entropy", "PUT /serial", "PUT /actions"}

func startFake(t *testing.T, dir string) *fakeVMM {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, apiSocket))
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeVMM{t: t, dir: dir, version: "1.17.0-dev", state: "Not started", bodies: map[string]map[string]any{}, guest: make(chan net.Conn, 1)}
	s := &http.Server{Handler: http.HandlerFunc(f.serve)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return f
}

func (f *fakeVMM) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r.Method+" "+r.URL.Path)
	if f.fault != nil && f.fault(w, r) {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 51200)) // HTTP_MAX_PAYLOAD_SIZE
	if err != nil {
		f.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.URL.Scheme, r.URL.Host = "http", "localhost"
	router, err := apiRouter()
	if err != nil {
		f.t.Error(err)
		return
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		f.t.Errorf("%s %s is not in the description: %v", r.Method, r.URL.Path, err)
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		f.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	status, answer := f.answer(r, body)
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: http.Header{"Content-Type": {"application/json"}}}
	if answer != nil {
		out.SetBodyBytes(answer)
		w.Header().Set("Content-Type", "application/json")
	}
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		f.t.Errorf("the fake's own answer to %s %s: %v", r.Method, r.URL.Path, err)
	}
	w.WriteHeader(status)
	w.Write(answer)
}

// answer plays the machine.
func (f *fakeVMM) answer(r *http.Request, text []byte) (int, []byte) {
	bad := func(format string, a ...any) (int, []byte) {
		b, err := json.Marshal(map[string]string{"fault_message": fmt.Sprintf(format, a...)})
		if err != nil {
			f.t.Error(err)
		}
		return http.StatusBadRequest, b
	}
	if r.Method == http.MethodGet && r.URL.Path == "/" {
		b, err := json.Marshal(map[string]string{"app_name": "Firecracker", "id": "cellos", "state": f.state, "vmm_version": f.version})
		if err != nil {
			f.t.Error(err)
		}
		return http.StatusOK, b
	}
	if f.state != "Not started" {
		return bad("The requested operation is not supported after starting the microVM.")
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return bad("An error occurred when deserializing the json body of a request: %v.", err)
	}
	if why := f.rules(r.URL.Path, body); why != "" {
		return bad("%s", why)
	}
	f.bodies[r.URL.Path] = body
	if r.URL.Path == "/actions" {
		f.state = "Running"
		go f.boot()
	}
	return http.StatusNoContent, nil
}

// rules are what Firecracker checks beyond the description.
func (f *fakeVMM) rules(path string, body map[string]any) string {
	switch {
	case strings.HasPrefix(path, "/drives/"):
		id := strings.TrimPrefix(path, "/drives/")
		file, isFile := body["path_on_host"]
		_, isSocket := body["socket"]
		_, readOnly := body["is_read_only"]
		switch {
		case body["drive_id"] != id:
			return "The id from the path does not match the id from the body!"
		case isFile == isSocket || isFile != readOnly:
			return "Unable to create the block device BackingFile or VhostUser: Config"
		case isFile && !f.there(file.(string)):
			return "Unable to patch the block device: No such file or directory (os error 2)"
		}
	case path == "/boot-source" && (!f.there(body["kernel_image_path"].(string)) || !f.there(body["initrd_path"].(string))):
		return "The kernel file cannot be opened: No such file or directory (os error 2)"
	case path == "/vsock" && body["guest_cid"].(float64) < 3:
		return "Invalid guest_cid"
	case path == "/actions" && f.bodies["/boot-source"] == nil:
		return "Cannot start microvm without kernel configuration."
	}
	return ""
}

// there looks for a file that the monitor names: those of /vm are the test's.
func (f *fakeVMM) there(name string) bool {
	_, err := os.Stat(filepath.Join(f.dir, name))
	return err == nil
}

// boot is the guest that connects to the host.
func (f *fakeVMM) boot() {
	f.mu.Lock()
	path, ok := f.bodies["/vsock"]["uds_path"].(string)
	f.mu.Unlock()
	if !ok || f.silent {
		return
	}
	path = filepath.Join(f.dir, strings.TrimPrefix(path, monitorDir)) + "_9000"
	c, err := net.Dial("unix", path)
	if err != nil {
		f.t.Error(err)
		return
	}
	f.guest <- c
}

// inOrder reports the first request that came too early.
func (f *fakeVMM) inOrder() error {
	last := 0
	for _, s := range f.seen {
		at := -1
		for i, o := range order {
			if s == o || strings.HasSuffix(o, "/") && o != "GET /" && strings.HasPrefix(s, o) {
				at = i
			}
		}
		if at < last {
			return fmt.Errorf("%s comes after %s: %q", s, order[last], f.seen)
		}
		last = at
	}
	return nil
}
