package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secretDocument writes a document with a delivery, secrets and a shell script.
func secretDocument(b *bench, delivery, refs, script, more string) string {
	b.t.Helper()
	argv, _ := json.Marshal([]string{"/bin/sh", "-c", script})
	return b.write("d.json", fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","authority":{"secretRefs":%s,"filesystem":{"exec":[{"path":%q,"at":"/opt/cellos"}]}},
"lifetime":{"ttlSeconds":60},"run":{"argv":%s%s}%s}}`, refs, binary, argv, map[bool]string{true: `,"secretDelivery":"` + delivery + `"`}[delivery != ""], more), 0o644)
}

// nowhere demands that a text is in no file of the state directory and in no leftover of a socket.
func nowhere(t *testing.T, b *bench, r result, values ...string) {
	t.Helper()
	for _, v := range values {
		if strings.Contains(r.err, v) {
			t.Errorf("standard error has the secret:\n%s", r.err)
		}
		filepath.Walk(b.state, func(p string, i os.FileInfo, err error) error {
			if err == nil && i.Mode().IsRegular() {
				if text, _ := os.ReadFile(p); strings.Contains(string(text), v) {
					t.Errorf("%s has the secret", p)
				}
			}
			return nil
		})
	}
	if left, _ := filepath.Glob(filepath.Join(b.tmp(), "cellos-rs-*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// tmp is a TMPDIR of the bench's own.
func (b *bench) tmp() string { return filepath.Join(filepath.Dir(b.dir), "tmp") }

func secretBench(t *testing.T, u user, env ...string) *bench {
	b := newBench(t, u)
	if err := os.Mkdir(b.tmp(), 0o700); err != nil {
		t.Fatal(err)
	}
	b.own(b.tmp())
	b.env = append(append(b.env, "TMPDIR="+b.tmp()), env...)
	return b
}

func TestSecretsInTheEnvironment(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		b := secretBench(t, u, "CELLOS_BROKER=env", "CELLOS_SECRET_DB_PASS=hunter-db", "CELLOS_SECRET_API=hunter-api")
		d := secretDocument(b, "env", `["db-pass","API"]`, `tr '\0' '\n' </proc/$$/environ | grep -a "^db-pass="; echo $API`, "")
		r := b.cellos("run", d)
		if got := r.ok(t); got != "db-pass=hunter-db\nhunter-api\n" {
			t.Errorf("%q", got)
		}
		nowhere(t, b, r, "hunter-db", "hunter-api")
		words := b.cellos("explain", "--steps", d)
		if s := words.ok(t); strings.Contains(s, "hunter") || !strings.Contains(s, "see the secrets API and db-pass in its environment") {
			t.Errorf("explain says\n%s", s)
		}
		for broker, want := range map[string]string{"": "CELLOS_BROKER does not say where they come from", "vault": `CELLOS_BROKER: "vault" is none of`,
			"file": "secret db-pass unresolvable via file broker: env var CELLOS_SECRET_FILE_DB_PASS not set", "github-oidc": "ACTIONS_ID_TOKEN_REQUEST_URL", "vault-approle": "CELLOS_VAULT_ADDR"} {
			b.env[len(b.env)-3] = "CELLOS_BROKER=" + broker
			b.cellos("run", d).fails(t, 125, want)
		}
		b.env[len(b.env)-3] = "CELLOS_BROKER=env"
		d = secretDocument(b, "env", `["NOPE"]`, "echo ran", "")
		if r := b.cellos("run", d); r.out != "" {
			t.Errorf("it ran: %q", r.out)
		} else {
			r.fails(t, 125, "secret NOPE unresolvable via env broker: env var CELLOS_SECRET_NOPE not set")
		}
		if events := b.cellos("show", "--events", "last").ok(t); strings.Contains(events, "lifecycle.v1.started") || !strings.Contains(events, "lifecycle.v1.destroyed") {
			t.Errorf("a run without its secrets started:\n%s", events)
		}
		d = secretDocument(b, "env", `["LD_PRELOAD"]`, "echo ran", "")
		b.cellos("run", d).fails(t, 125, "LD_PRELOAD would change how programs start")
	})
}

// TestSecretsOfTheCaller: without a document, from a variable or a file, and in no record; a value that was given in place of a file is repeated
// nowhere.
func TestSecretsOfTheCaller(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := secretBench(t, u, "API_KEY=hunter-variable")
		file := filepath.Join(filepath.Dir(b.dir), "key")
		if err := os.WriteFile(file, []byte("hunter-file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.own(file)
		r := b.sh(`echo $API_KEY; printenv FROM_FILE; printenv SECRET_OF_THE_CALLER || echo none`, "--secret", "API_KEY", "--secret", "FROM_FILE="+file)
		if got := r.ok(t); got != "hunter-variable\nhunter-file\nnone\n" {
			t.Errorf("%q", got)
		}
		nowhere(t, b, r, "hunter-")
		if s := b.cellos("show", "last").ok(t); !strings.Contains(s, "taken 1 time") {
			t.Errorf("show does not tell of them:\n%s", s)
		}
		if s := b.cellos("explain", "--steps", "--secret", "API_KEY", "--", "true").ok(t); strings.Contains(s, "hunter") || !strings.Contains(s, "see the secrets API_KEY in its environment") {
			t.Errorf("explain says\n%s", s)
		}
		if got := b.sh(`echo "<$API_KEY>"`, "--secret", "API_KEY", "--scrub-output").ok(t); got != "<[secret]>\n" {
			t.Errorf("%q", got)
		}
		if err := os.Chmod(file, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			flag string
			code int
			says string
		}{
			{"API_KEY=hunter-value", 2, "there is no such file"}, {"NOPE", 2, "you have no such variable"}, {"hunter variable", 2, "write NAME"}, {"", 2, "write NAME"},
			{"API_KEY=", 2, "write NAME"}, {"LD_PRELOAD=" + file, 125, "would change how programs start"}, {"K=" + file, 125, "others may write it"},
		} {
			r := b.sh("echo ran", "--secret", c.flag)
			if r.fails(t, c.code, c.says); r.out != "" {
				t.Errorf("%s: it ran", c.flag)
			}
			nowhere(t, b, r, "hunter")
		}
		b.sh("echo ran", "--secret", "API_KEY", "--secret", "API_KEY").fails(t, 2, "given twice")
		b.sh("echo ran", "--secret", "API_KEY", "--env", "API_KEY").fails(t, 125, "the variable is the secret's")
	})
}

func TestSecretsOnRequest(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		b := secretBench(t, u, "CELLOS_BROKER=env", "CELLOS_SECRET_API=hunter-api", "CELLOS_SECRET_OTHER=hunter-other")
		d := secretDocument(b, "runtimeBroker", `["API"]`, `env | grep -c "h[u]nter"; stat -c %a $(dirname $CELLOS_RUNTIME_SECRET_SOCKET); echo $CELLOS_SECRET_DELIVERY
/opt/cellos secret get API; echo; /opt/cellos secret get OTHER; echo $?; CELLOS_RUNTIME_SECRET_TOKEN=x /opt/cellos secret get API; echo $?`, "")
		r := b.cellos("run", d)
		if got := r.ok(t); got != "0\n700\nruntimeBroker\nhunter-api\n1\n1\n" {
			t.Errorf("%q\n%s", got, r.err)
		}
		r.fails(t, 0, `unknown secret key "OTHER"`, "unauthorized")
		nowhere(t, b, r, "hunter-")
		if events := b.cellos("show", "--events", "last").ok(t); !strings.Contains(events, `{"name":"API","taken":1}`) || !strings.Contains(events, `"name":"OTHER","what":"secret"`) {
			t.Errorf("the events do not tell what was taken:\n%s", events)
		}
		// Without secrets the variables are there too.
		d = secretDocument(b, "", `[]`, `echo $CELLOS_SECRET_DELIVERY; test -S $CELLOS_RUNTIME_SECRET_SOCKET && echo socket`, "")
		if got := b.cellos("run", d).ok(t); got != "runtimeLeasedBroker\nsocket\n" {
			t.Errorf("%q", got)
		}
		d = secretDocument(b, "", `["API"]`, "echo ran", "")
		b.cellos("run", d).fails(t, 125, "runtime leased broker prepare: runtimeLeasedBroker is not supported by this secret broker")
		// A killed supervisor leaves a socket that nobody answers on, and runs --clean removes it.
		cmd := b.command("run", secretDocument(b, "runtimeBroker", `["API"]`, "echo ready; sleep 60", ""))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(out, make([]byte, 6))
		cmd.Process.Kill()
		cmd.Wait()
		b.cellos("runs", "--clean").ok(t)
		nowhere(t, b, result{}, "hunter-")
	})
}

// TestLeasedSecrets: one login, every request asks the server again, and the token is revoked at the end.
func TestLeasedSecrets(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		s := newLeases(t, nil)
		b := secretBench(t, u, s.env()...)
		d := secretDocument(b, "", `["K"]`, `/opt/cellos secret get K; echo; /opt/cellos secret get K`, "")
		r := b.cellos("run", d)
		if got := r.ok(t); got != "hunter-2\nhunter-3" || s.revoked.Load() != 1 {
			t.Errorf("%q, %d revocations", got, s.revoked.Load())
		}
		nowhere(t, b, r, "hunter-")
		s.fail.Store(true)
		r = b.cellos("run", d)
		r.fails(t, 123, "secret revoke: vault token revoke-self returned 500 Internal Server Error")
		nowhere(t, b, r, "hunter-")
	})
}

// TestIdentity: the token is asked for by its audience, delivered under its name, and the events tell its life.
func TestIdentity(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("audience") == "sts.example" && r.Header.Get("Authorization") == "Bearer hunter-rt" {
				io.WriteString(w, `{"value":"hunter-jwt"}`)
				return
			}
			w.WriteHeader(401)
		}))
		defer s.Close()
		b := secretBench(t, u, "CELLOS_BROKER=github-oidc", "ACTIONS_ID_TOKEN_REQUEST_URL="+s.URL+"/?v=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=hunter-rt")
		identity := func(aud string) string {
			return `,"identity":{"kind":"federatedOidc","provider":"github-actions","audience":"` + aud + `","secretRef":"WEB_ID"}`
		}
		r := b.cellos("run", secretDocument(b, "env", `["WEB_ID"]`, "echo $WEB_ID", identity("sts.example")))
		if got := r.ok(t); got != "hunter-jwt\n" {
			t.Errorf("%q", got)
		}
		nowhere(t, b, r, "hunter-")
		events := b.cellos("show", "--events", "last").ok(t)
		at := -1
		for _, s := range []string{"identity.v1.materialized", "lifecycle.v1.started", "command.v1.completed", "identity.v1.revoked", "compliance.v1.summary"} {
			i := strings.Index(events, s)
			if i < at {
				t.Errorf("%s is not where it must be", s)
			}
			at = i
		}
		r = b.cellos("run", secretDocument(b, "env", `["WEB_ID"]`, "echo $WEB_ID", identity("other")))
		r.fails(t, 125, "identity WEB_ID unresolvable via github-oidc broker", "401 Unauthorized")
		if events := b.cellos("show", "--events", "last").ok(t); !strings.Contains(events, "identity.v1.failed") || strings.Contains(events, "identity.v1.revoked") || strings.Contains(events, "v1.started") {
			t.Errorf("the events are\n%s", events)
		}
	})
}

// TestTheSupervisorIsOutOfReach: nothing of the supervisor's environment or memory is to be seen in a cell that has a secret of its own.
func TestTheSupervisorIsOutOfReach(t *testing.T) {
	const look = `
import ctypes, os, re
found, pids = [], [p for p in os.listdir("/proc") if p.isdigit()]
for p in pids:
    for name in ("environ", "cmdline", "maps"):
        try:
            if b"outside-only" in open(f"/proc/{p}/{name}", "rb").read(): found.append((p, name))
        except OSError: pass
    try:
        mem = open(f"/proc/{p}/mem", "rb", 0)
        if int(p) != os.getpid():
            for line in open(f"/proc/{p}/maps"):
                a, b = (int(x, 16) for x in line.split()[0].split("-"))
                if b - a < 64 << 20 and line.split()[1][0] == "r":
                    mem.seek(a)
                    if b"outside-" + b"only" in mem.read(b - a): found.append((p, "mem"))
    except (OSError, ValueError): pass
libc = ctypes.CDLL(None, use_errno=True)
attached = [n for n in range(1, 5) if n != os.getpid() and libc.ptrace(16, n, 0, 0) == 0]
class iovec(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
buf = ctypes.create_string_buffer(64)
local, remote = iovec(ctypes.addressof(buf), 64), iovec(0x400000, 64)
read = [n for n in range(1, 5) if n != os.getpid() and libc.process_vm_readv(n, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0]
print(found, attached, read, len(pids) < 10, "inside-only" in os.environ.get("K", ""))
`
	everywhere(t, func(t *testing.T, u user) {
		b := secretBench(t, u, "CELLOS_BROKER=env", "CELLOS_SECRET_K=inside-only", "CELLOS_SECRET_OTHER=outside-only", "ELSE=outside-only")
		b.write("look.py", look, 0o644)
		d := secretDocument(b, "env", `["K"]`, "exec python3 look.py", "")
		if got := b.cellos("run", d).ok(t); got != "[] [] [] True True\n" {
			t.Errorf("in the cell: %s", got)
		}
	})
}
