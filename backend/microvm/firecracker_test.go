//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/plan"
)

// standing is a working directory of a monitor that is not in a cell, with the files of a machine.
func standing(t *testing.T) (Standing, Machine, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cellos-fc-") // t.TempDir may be too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := Machine{Kernel: "/vm/kernel", Initrd: "/vm/initrd", Drives: []string{"/vm/drive0", "/vm/drive1"}, View: monitorDir + "/view", Memory: 512 << 20, CPUs: 2}
	if err := os.Mkdir(filepath.Join(dir, "vm"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range append([]string{m.Kernel, m.Initrd}, m.Drives...) {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return Standing{Dir: d, IDs: plan.IDs{HostUID: uint32(os.Geteuid()), HostGID: uint32(os.Getegid())}}, m, dir
}

// The driver configures a machine in the documented order with bodies that the description allows, and gets the one connection of the
// guest; nothing is left where a second one could come in.
func TestFirecracker(t *testing.T) {
	for _, version := range []string{"1.17.0-dev", "1.16.1", "1.8.0"} {
		s, m, dir := standing(t)
		f := startFake(t, dir)
		f.version = version
		conn, err := Firecracker{Program: "/usr/bin/firecracker", Arch: "amd64"}.Start(context.Background(), m, s)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		f.mu.Lock()
		if err := f.inOrder(); err != nil {
			t.Error(err)
		}
		if serial := slices.Contains(f.seen, "PUT /serial"); serial != (version != "1.8.0") {
			t.Errorf("version %s was told of a serial line: %v", version, serial)
		}
		for path, want := range map[string]string{"/boot-source": "cellos.channel=vsock:9000", "/drives/drive1": "/vm/drive1", "/drives/view": monitorDir + "/view"} {
			found := false
			for _, v := range f.bodies[path] {
				s, ok := v.(string)
				found = found || ok && strings.Contains(s, want)
			}
			if !found {
				t.Errorf("%s does not say %q: %v", path, want, f.bodies[path])
			}
		}
		if n := f.bodies["/machine-config"]; n["vcpu_count"] != 2.0 || n["mem_size_mib"] != 512.0 {
			t.Errorf("the machine is %v", n)
		}
		if f.bodies["/mmds/config"] != nil || f.bodies["/balloon"] != nil {
			t.Errorf("devices that nobody wants: %v", f.seen)
		}
		f.mu.Unlock()
		guest := <-f.guest
		if _, err := io.WriteString(guest, "hello"); err != nil {
			t.Fatal(err)
		}
		guest.Close()
		if b, err := io.ReadAll(conn); err != nil || string(b) != "hello" {
			t.Errorf("the guest said %q, %v", b, err)
		}
		if _, err := net.Dial("unix", s.path("vsock_9000")); err == nil {
			t.Error("a second connection came in")
		}
		if _, err := os.Lstat(s.path("vsock_9000")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket of the channel is left: %v", err)
		}
	}
}

// After the start nothing of a machine can be changed, and it starts once.
func TestFirecrackerAfterTheStart(t *testing.T) {
	s, m, dir := standing(t)
	f := startFake(t, dir)
	conn, err := Firecracker{Arch: "amd64"}.Start(context.Background(), m, s)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	(<-f.guest).Close()
	var api *APIError
	if _, err := (Firecracker{Arch: "amd64"}).Start(context.Background(), m, s); err == nil || !strings.Contains(err.Error(), `the machine is "Running" before it was started`) {
		t.Errorf("a second start: %v", err)
	}
	a := newAPI(func(ctx context.Context) (net.Conn, error) { return dialWhenThere(ctx, s.path(apiSocket)) })
	defer a.close()
	for _, r := range []put{{"/machine-config", machineConfig{CPUs: 1, MemoryMiB: 128}}, {"/actions", action{"InstanceStart"}}} {
		if err := a.put(context.Background(), r.path, r.body); !errors.As(err, &api) || api.Status != 400 || !strings.Contains(api.Fault, "after starting") {
			t.Errorf("PUT %s: %v", r.path, err)
		}
	}
}

// hijack takes the connection away from the server.
func hijack(t *testing.T, w http.ResponseWriter, say string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	io.WriteString(c, say) // whoever asked may be gone
	c.Close()
}

// Whatever Firecracker answers in place of a success ends the start, with what was asked and what was said.
func TestFirecrackerFails(t *testing.T) {
	status := func(n int, body string) func(*testing.T, http.ResponseWriter) {
		return func(t *testing.T, w http.ResponseWriter) {
			w.WriteHeader(n)
			io.WriteString(w, body)
		}
	}
	raw := func(text string) func(*testing.T, http.ResponseWriter) {
		return func(t *testing.T, w http.ResponseWriter) { hijack(t, w, text) }
	}
	for _, at := range []string{"GET /", "PUT /machine-config", "PUT /boot-source", "PUT /drives/drive0", "PUT /drives/view", "PUT /vsock", "PUT /entropy", "PUT /serial", "PUT /actions"} {
		for name, c := range map[string]struct {
			answer func(*testing.T, http.ResponseWriter)
			want   string
		}{
			"400":            {status(400, `{"fault_message":"no \u001b[31msuch\nthing"}`), "status 400: no ?[31msuch?thing"},
			"500":            {status(500, "<html>"), "status 500"},
			"another status": {status(202, "{}"), "status 202"},
			"a redirect":     {raw("HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"), "status 302"},
			"it hangs up":    {raw(""), "EOF"},
			"half an answer": {raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), "unexpected EOF"},
			"no HTTP":        {raw("SSH-2.0-x\r\n"), "malformed HTTP"},
			"long headers":   {raw("HTTP/1.1 204 No Content\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), "exceeded"},
			"a long answer":  {status(400, strings.Repeat("x", maxAnswer+1)), "more than 65536 bytes"},
			"an endless one": {raw("HTTP/1.1 400 Bad\r\n\r\n" + strings.Repeat("x", 1<<20)), "more than 65536 bytes"},
		} {
			t.Run(at+" "+name, func(t *testing.T) {
				s, m, dir := standing(t)
				f := startFake(t, dir)
				f.fault = func(w http.ResponseWriter, r *http.Request) bool {
					hit := r.Method+" "+r.URL.Path == at
					if hit {
						c.answer(t, w)
					}
					return hit
				}
				_, err := Firecracker{Arch: "amd64"}.Start(context.Background(), m, s)
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), at) {
					t.Errorf("%v, want %q and %q", err, at, c.want)
				}
				if list, err := os.ReadDir(dir); err != nil || len(list) != 2 { // the API and the files
					t.Errorf("left: %v, %v", list, err)
				}
				if f.state != "Not started" {
					t.Error("the machine was started all the same")
				}
			})
		}
	}
}

// Answers to the first question that make no sense.
func TestFirecrackerSaysWhatItIs(t *testing.T) {
	for body, want := range map[string]string{
		`{"state":"Not started","vmm_version":"1.7.9"}`:    "too old",
		`{"state":"Not started","vmm_version":"x\u0000y"}`: `calls its version "x\x00y"`,
		`{"state":"Not started","vmm_version":"1"}`:        "calls its version",
		`{"state":"Paused","vmm_version":"1.17.0"}`:        `is "Paused"`,
		`[]`: "no such object",
		``:   "no such object",
	} {
		s, m, dir := standing(t)
		f := startFake(t, dir)
		f.fault = func(w http.ResponseWriter, r *http.Request) bool { io.WriteString(w, body); return true }
		if _, err := (Firecracker{Arch: "amd64"}).Start(context.Background(), m, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// Every wait ends when the start is given up: for the API's socket, for an answer, for the guest.
func TestFirecrackerHangs(t *testing.T) {
	reason := errors.New("given up")
	for name, prepare := range map[string]func(t *testing.T, dir string, giveUp func()){
		"no socket": func(t *testing.T, dir string, giveUp func()) { giveUp() },
		"nobody listens": func(t *testing.T, dir string, giveUp func()) {
			l, err := net.Listen("unix", filepath.Join(dir, apiSocket))
			if err != nil {
				t.Fatal(err)
			}
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			l.Close()
			giveUp()
		},
		"no answer": func(t *testing.T, dir string, giveUp func()) {
			startFake(t, dir).fault = func(w http.ResponseWriter, r *http.Request) bool {
				giveUp()
				<-r.Context().Done() // the client hangs up
				return true
			}
		},
		"no guest": func(t *testing.T, dir string, giveUp func()) {
			f := startFake(t, dir)
			f.silent = true
			f.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/actions" {
					giveUp()
				}
				return false
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, m, dir := standing(t)
			ctx, cancel := context.WithCancelCause(context.Background())
			prepare(t, dir, func() { cancel(reason) })
			if _, err := (Firecracker{Arch: "amd64"}).Start(ctx, m, s); !errors.Is(err, reason) {
				t.Errorf("%v", err)
			}
		})
	}
}
