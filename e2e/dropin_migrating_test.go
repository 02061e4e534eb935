package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A migration is a row of docs/migrating.md, as somebody meets it who comes from the other program.
type migration struct {
	row  string
	env  []string // with $DIR
	auth string   // members of spec.authority
	run  string   // members of spec.run; argv is added if there is none
	more string   // further members of spec
	code int
	says string // on standard error
	out  string
	has  string // in the events
}

func migrations() []migration {
	const broker = "CELLOS_BROKER=env"
	secret := `"secretRefs":["K"]`
	return []migration{
		// The command's surroundings.
		{row: "seccomp: baseline", run: `"seccomp":{"profile":"baseline"},"argv":["/bin/echo","ran"]`, out: "ran\n", has: `"seccompProfile":"baseline"`},
		{row: "seccomp: off", env: []string{"CELLOS_SUBPROCESS_SECCOMP=off"}, out: "ran\n", has: `"seccompProfile":"hardened"`},
		{row: "unshare: words", env: []string{"CELLOS_SUBPROCESS_UNSHARE=pid, IPC ,uts"}, out: "ran\n"},
		{row: "unshare: net", env: []string{"CELLOS_SUBPROCESS_UNSHARE=net"}, out: "ran\n", has: `"isolationMode":"clone_newnet"`},
		{row: "unshare: mnt", env: []string{"CELLOS_SUBPROCESS_UNSHARE=mnt"}, run: `"workingDirectory":"$DIR","argv":["/bin/sh","-c","ls -A | wc -l"]`, out: "0\n"},
		{row: "unshare: unknown", env: []string{"CELLOS_SUBPROCESS_UNSHARE=pid,time"}, code: 125, says: "CELLOS_SUBPROCESS_UNSHARE"},
		{row: "the host's files", run: `"argv":["/bin/sh","-c","echo x > written; cat written"]`, out: "x\n"},
		{row: "workingDirectory: write", auth: `"filesystem":{"workingDirectory":"write"}`, run: `"argv":["/bin/sh","-c","echo x > kept; cat kept"]`, out: "x\n"},
		{row: "a parent that is no control group", env: []string{"CELLOS_CGROUP_PARENT=$DIR"}, code: 125, says: "CELLOS_CGROUP_PARENT"},
		{row: "environment", run: `"secretDelivery":"env","environment":{"A":"b"},"argv":["/usr/bin/env"]`, out: "A=b\nPATH=/usr/bin:/bin:/usr/local/bin\n"},
		// Profiles and variables.
		{row: "unknown backend", env: []string{"CELLOS_CELL_BACKEND=docker"}, code: 125, says: "CELLOS_CELL_BACKEND"},
		{row: "a number", env: []string{"CELLOS_VAULT_TIMEOUT_MS=soon"}, code: 125, says: "CELLOS_VAULT_TIMEOUT_MS"},
		{row: "strict off", env: []string{"CELLOS_STRICT_CONFIG=0"}, out: "ran\n"},
		{row: "strict off brings nothing back", env: []string{"CELLOS_STRICT_CONFIG=0", "CELLOS_BROKER=aws"}, code: 125, says: "CELLOS_BROKER"},
		{row: "no broker", auth: secret, code: 125, says: "CELLOS_BROKER: no broker is named"},
		{row: "the memory broker", auth: secret, env: []string{"CELLOS_BROKER=memory"}, run: `"secretDelivery":"env","argv":["/bin/sh","-c","echo $K"]`, out: "simulated:m:K\n"},
		{row: "hardened, trimmed", env: []string{"CELLOS_DEPLOYMENT_PROFILE= Hardened "}, code: 125, says: "CELLOS_AUTHORITY_KEYS_PATH"},
		{row: "hardened without a sink", env: []string{"CELLOS_DEPLOYMENT_PROFILE=hardened", "CELL_OS_USE_NOOP_SINK=1"}, code: 125, says: "CELL_OS_USE_NOOP_SINK"},
		{row: "the test hook", env: []string{"CELLOS_TEST_FORCE_MISSING_ISOLATION_PRIMITIVES=nothing"}, code: 125, says: "CELLOS_TEST_FORCE_MISSING_ISOLATION_PRIMITIVES"},
		{row: "the time limit is looked at before", env: []string{"CELLOS_RUN_TIMEOUT_MS=0"}, code: 125, says: "CELLOS_RUN_TIMEOUT_MS"},
		{row: "a misspelt variable", env: []string{"CELLOS_EXPORT_DIRECTORY=/x"}, code: 125, says: "there is no such variable"},
		// Secrets, exports, sinks.
		{row: "the default delivery without leases", auth: secret, env: []string{broker, "CELLOS_SECRET_K=v"}, code: 125, says: "runtimeLeasedBroker"},
		{row: "secretDelivery: env", auth: secret, env: []string{broker, "CELLOS_SECRET_K=v"}, run: `"secretDelivery":"env","argv":["/bin/sh","-c","echo $K"]`, out: "v\n"},
		{row: "a secret PATH as a variable", auth: `"secretRefs":["PATH"]`, env: []string{broker, "CELLOS_SECRET_PATH=v"}, run: `"secretDelivery":"env"`, code: 125, says: "PATH"},
		{row: "a secret PATH on request", auth: `"secretRefs":["PATH"]`, env: []string{broker, "CELLOS_SECRET_PATH=v"}, run: `"secretDelivery":"runtimeBroker"`, out: "ran\n"},
		{row: "a secret file that others may write", auth: secret, env: []string{"CELLOS_BROKER=file", "CELLOS_SECRET_FILE_K=$DIR/open"}, run: `"secretDelivery":"env"`, code: 125, says: "others may write it"},
		{row: "a secret file that is a link", auth: secret, env: []string{"CELLOS_BROKER=file", "CELLOS_SECRET_FILE_K=$DIR/link"}, run: `"secretDelivery":"env"`, code: 125, says: "symbolic link"},
		{row: "a secret file", auth: secret, env: []string{"CELLOS_BROKER=file", "CELLOS_SECRET_FILE_K=$DIR/closed"}, run: `"secretDelivery":"env","argv":["/bin/sh","-c","echo $K"]`, out: "from a file\n"},
		{row: "a target without its variable", more: `,"export":{"artifacts":[{"name":"a","path":"a","target":"t"}],"targets":[{"kind":"http","name":"t","baseUrl":"http://x.example"}]}`, code: 125, says: "CELLOS_EXPORT_HTTP_BASE_URL__T"},
		{row: "an export of a link", env: []string{"CELLOS_EXPORT_DIR=$DIR/out"}, run: `"argv":["/bin/ln","-s","/etc/passwd","a"]`, more: `,"export":{"artifacts":[{"name":"a","path":"a"}]}`, code: 1, says: "symbolic link"},
		{row: "JetStream that is not there", env: []string{"NATS_URL=nats://127.0.0.1:1"}, code: 125, says: "NATS_URL"},
		{row: "JetStream that is demanded", env: []string{"CELL_OS_REQUIRE_JETSTREAM=1", "NATS_URL=nats://127.0.0.1:1"}, code: 125, says: "NATS_URL"},
		{row: "dlq-only without a folder", env: []string{"NATS_URL=nats://127.0.0.1:1", "CELLOS_COMPAT_ALLOW=dlq-only"}, code: 125, says: "NATS_URL"},
		{row: "dlq-only", env: []string{"NATS_URL=nats://127.0.0.1:1", "CELLOS_COMPAT_ALLOW=dlq-only", "CELLOS_DLQ_DIR=$DIR/out"}, out: "ran\n", has: `"compatAllow":["dlq-only"]`},
		{row: "no sink at all", out: "ran\n", has: "lifecycle.v1.destroyed"},
		{row: "signing without a key", env: []string{"CELLOS_EVENT_SIGNING=ed25519", "CELLOS_EVENT_SIGNING_KID=k"}, code: 125, says: "CELLOS_EVENT_SIGNING_KEY_BASE64"},
		{row: "unsigned", env: []string{"CELLOS_EVENT_SIGNING=ed25519", "CELLOS_EVENT_SIGNING_KID=k", "CELLOS_COMPAT_ALLOW=unsigned"}, out: "ran\n", has: `"compatAllow":["unsigned"]`},
		{row: "a folder of dead letters that is not there", env: []string{"CELLOS_DLQ_DIR=$DIR/nowhere"}, code: 125, says: "CELLOS_DLQ_DIR"},
		{row: "an unknown tag", env: []string{"CELLOS_COMPAT_ALLOW=everything"}, code: 125, says: "CELLOS_COMPAT_ALLOW"},
	}
}

// TestMigratingPage: the page says what happens, and with the line that it names the run is as somebody wants it.
func TestMigratingPage(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, m := range migrations() {
			t.Run(m.row, func(t *testing.T) {
				t.Parallel()
				d := newDropin(t, u)
				d.write("open", "v", 0o622)
				d.write("closed", "from a file\n", 0o600)
				if err := os.Symlink("closed", filepath.Join(d.dir, "link")); err != nil {
					t.Fatal(err)
				}
				d.write("out/.made", "", 0o644)
				in := func(s string) string { return strings.ReplaceAll(s, "$DIR", d.dir) }
				run := in(m.run)
				if !strings.Contains(run, `"argv"`) {
					run = strings.TrimPrefix(run+`,"argv":["/bin/echo","ran"]`, ",")
				}
				spec := d.write("spec.json", fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"m","authority":{%s},"lifetime":{"ttlSeconds":100},"run":{%s}%s}}`, m.auth, run, m.more), 0o644)
				env := []string{"PATH=/usr/bin:/bin", "HOME=" + filepath.Dir(d.dir)}
				for _, v := range m.env {
					env = append(env, in(v))
				}
				r := d.run(d.supervisor(env, spec))
				if r.code != m.code || r.out != m.out || !strings.Contains(r.err, m.says) {
					t.Errorf("exit status %d, want %d; output %q, want %q; want %q in\n%s", r.code, m.code, r.out, m.out, m.says, r.err)
				}
				if _, err := os.Stat(filepath.Join(d.dir, "written")); err == nil {
					t.Error("the host's folder was written")
				}
				if _, err := os.Stat(filepath.Join(d.dir, "kept")); (err == nil) != strings.Contains(m.run, "kept") {
					t.Errorf("workingDirectory write: %v", err)
				}
				all := ""
				for _, lines := range d.records() {
					all += strings.Join(lines, "\n")
				}
				if !strings.Contains(all, m.has) {
					t.Errorf("the events lack %s\n%s", m.has, all)
				}
				if m.row == "dlq-only" {
					d.letters(filepath.Join(d.dir, "out"), all)
				}
			})
		}
	})
}

// letters demands that the dead letters in a folder are the events of the record, as the sink would have got them.
func (d *dropin) letters(dir, record string) {
	d.t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(files) != strings.Count(record, "\n")+1 {
		d.t.Errorf("%d letters of %d events", len(files), strings.Count(record, "\n")+1)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			d.t.Fatal(err)
		}
		var letter struct {
			Error string
			Event json.RawMessage
		}
		if err := json.Unmarshal(text, &letter); err != nil || letter.Error == "" || !strings.Contains(record, string(letter.Event)) {
			d.t.Errorf("%v: a letter holds %s", err, text)
		}
	}
}
