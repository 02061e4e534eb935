package e2e

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/admission/token"
	"cellos.io/cellos/document"
)

// TestKnownClient runs the documents that a program in the field writes (taudit emit-spec), as its container does: as uid 10001, without a home
// directory, the document's file without a suffix, no profile, one argument.
func TestKnownClient(t *testing.T) {
	uid := 10001
	if os.Getuid() != 0 {
		uid = os.Getuid()
	}
	d := newDropin(t, user{name: "client", uid: uid})
	tool := d.write("opt/taudit/bin/taudit", "#!/bin/sh\nprintf '%s\\n' \"$@\" && cat target/workflow.yml\n", 0o755)
	d.write("target/workflow.yml", "on: push\n", 0o644)
	tmp := filepath.Join(d.dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	d.own(tmp)
	emit := func(argv ...string) string {
		text, _ := json.Marshal(argv)
		return fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"taudit-cellos-scan","authority":{"secretRefs":[],"egressRules":[]},`+
			`"lifetime":{"ttlSeconds":300},"run":{"argv":%s,"workingDirectory":%q}}}`, text, d.dir)
	}
	scan := []string{"scan", "target", "--format", "json", "--no-color", "--platform", "github", "--severity-threshold", "high", "--quiet"}
	noTool := []string{"CELL_OS_USE_NOOP_SINK=1"}
	prefixes := append(noTool, "CELLOS_RUN_ARGV0_ALLOW_PREFIXES=/usr/local/bin,/opt/taudit/bin,"+filepath.Dir(tool))
	for _, c := range []struct {
		name string
		argv []string
		env  []string
		code int
		out  string
	}{
		{"under a prefix", append([]string{tool}, scan...), prefixes, 0, strings.Join(scan, "\n") + "\non: push\n"},
		{"a bare name", []string{"cat", "target/workflow.yml"}, noTool, 0, "on: push\n"},
		{"a bare name that is not there", append([]string{"taudit"}, scan...), noTool, 127, ""},
		{"a bare name under prefixes", append([]string{"taudit"}, scan...), prefixes, 125, ""},
	} {
		for _, home := range [][]string{nil, {"HOME="}, {"HOME=/nonexistent"}} {
			spec := d.write("cell-spec", emit(c.argv...), 0o644)
			cmd := d.supervisor(nil, spec)
			cmd.Env = append(append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=" + tmp}, c.env...), home...)
			if uid != os.Getuid() {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
			}
			if r := d.run(cmd); r.code != c.code || r.out != c.out {
				t.Errorf("%s, %v: exit status %d, want %d; output %q\n%s", c.name, home, r.code, c.code, r.out, r.err)
			}
		}
	}
}

// A document with a token that grants what the document asks for runs, and its events say whose token it was.
func TestDropinToken(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		d := newDropin(t, u)
		private := ed25519.NewKeyFromSeed([]byte("a seed of thirty-two bytes, here"))
		keys, _ := json.Marshal(map[string]string{"role-ci": base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))})
		file := d.write("keys.json", string(keys), 0o644)
		parent := "run-7"
		tok := document.AuthorityDerivation{RoleRoot: "role-ci", ParentRunID: &parent, DerivationSteps: []document.DerivationStep{}}
		for _, c := range []struct {
			name   string
			parent *string
			env    string
			code   int
			has    string // in the events
		}{
			{"scoped", &parent, "CELLOS_REQUIRE_AUTHORITY_DERIVATION=", 0, `"derivationVerified":true,"parentRunId":"run-7","roleRoot":"role-ci"`},
			{"universal", nil, "CELLOS_RUN_ID=r", 125, ""},
			{"universal, allowed", nil, "CELLOS_REQUIRE_SCOPED_DERIVATION_TOKENS=off", 0, `universal_token_accepted_in_permissive_mode`},
		} {
			tok.ParentRunID = c.parent
			text := "null"
			if c.parent != nil {
				text = fmt.Sprintf("%q", *c.parent)
			}
			sig := base64.StdEncoding.EncodeToString(ed25519.Sign(private, token.SignedBytes(&tok)))
			spec := d.write("spec.json", fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"t","lifetime":{"ttlSeconds":60},"run":{"argv":["true"],"secretDelivery":"env"},`+
				`"authority":{"authorityDerivation":{"roleRoot":"role-ci","parentRunId":%s,"derivationSteps":[],"leafCapability":{},"grantorSignature":{"algorithm":"ed25519","bytes":%q}}}}}`, text, sig), 0o644)
			mirror := filepath.Join(d.dir, "events-"+strings.Fields(c.name)[0])
			os.Remove(mirror)
			r := d.run(d.supervisor([]string{"CELL_OS_USE_NOOP_SINK=1", "CELLOS_AUTHORITY_KEYS_PATH=" + file, "CELL_OS_JSONL_EVENTS=" + mirror, c.env}, spec))
			if r.code != c.code {
				t.Errorf("%s: exit status %d\n%s", c.name, r.code, r.err)
			}
			if got, _ := os.ReadFile(mirror); !strings.Contains(string(got), c.has) {
				t.Errorf("%s: the events lack %s\n%s", c.name, c.has, got)
			}
		}
	})
}

// Every wrong variable and file is reported at once, and nothing runs; a document that is wrong is all that is told.
func TestDropinReportsAll(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		d := newDropin(t, u)
		pack := d.write("pack.json", `{"apiVersion":"cellos.io/v1","kind":"PolicyPack","spec":{"id":"p","rules":{"maxLifetimeTTL":1}}}`, 0o644)
		good := d.write("good.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"t","lifetime":{"ttlSeconds":60},"authority":{},"run":{"argv":["touch","ran"],"secretDelivery":"env"}}}`, 0o644)
		bad := d.write("bad.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"t","lifetime":{"ttlSeconds":0},"authority":{},"run":{"argv":[],"secretDelivery":"env"}}}`, 0o644)
		env := []string{"CELL_OS_USE_NOOP_SINK=1", "CELLOS_POLICY_PACK_PATH=" + pack, "CELLOS_AUTHZ_POLICY_PATH=" + d.dir + "/absent", "CELLOS_BROKER=Env", "CELLOS_RUN_TIMEOUT_MS=soon",
			"CELLOS_STRICT_CONFIG=maybe", "CELLOS_COMPAT_ALLOW=all", "CELLOS_POLICY_PACK=typo", "CELLOS_RUN_ARGV0_ALLOW_PREFIXES=,", "CELLOS_SUBPROCESS_UNSHARE=pid,user", "CELLOS_SUBPROCESS_SECCOMP=tight",
			"CELLOS_TEST_FORCE_MISSING_ISOLATION_PRIMITIVES=none", "CELLOS_TRUST_VERIFY_KEYS_PATH=", "CELLOS_DEPLOYMENT_PROFILE=soft"}
		for _, args := range [][]string{{good}, {"--validate", good}} {
			r := d.run(d.supervisor(env, args...))
			for _, name := range env[1:] {
				name, _, _ = strings.Cut(name, "=")
				if !strings.Contains(r.err, name+":") && !strings.Contains(r.err, name+" ") {
					t.Errorf("%v: %s is not reported", args, name)
				}
			}
			if r.code != 125 || r.out != "" || !strings.Contains(r.err, "pack.json:1:76: spec.rules.maxLifetimeTTL: unknown field") {
				t.Errorf("%v: exit status %d\n%s", args, r.code, r.err)
			}
		}
		r := d.run(d.supervisor(env, bad))
		if r.code != 2 || !strings.Contains(r.err, "spec.lifetime.ttlSeconds") || !strings.Contains(r.err, "spec.run.argv") || strings.Contains(r.err, "CELLOS_") {
			t.Errorf("exit status %d\n%s", r.code, r.err)
		}
		if runs, _ := os.ReadDir(filepath.Join(d.state, "runs")); len(runs) > 0 {
			t.Errorf("%d runs are recorded", len(runs))
		}
	})
}

// What was let pass is named in the first event of ours, and only that.
func TestDropinTagsAreRecorded(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		d := newDropin(t, u)
		policy := d.write("authz.json", `{"apiVersion":"cellos.io/v1","kind":"AuthorizationPolicy","spec":{"subjects":["t"],"maxCellsPerHour":2}}`, 0o644)
		spec := d.write("spec.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"t","lifetime":{"ttlSeconds":60},"authority":{},"correlation":{"tenantId":"t"},"run":{"argv":["true"],"secretDelivery":"env"}}}`, 0o644)
		mirror := filepath.Join(d.dir, "events")
		d.run(d.supervisor([]string{"CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS=" + mirror, "CELLOS_AUTHZ_POLICY_PATH=" + policy, "CELLOS_COMPAT_ALLOW= authz-rate , pack-scope-skip,unsigned",
			"CELLOS_DEPLOYMENT_PROFILE=portable"}, spec)).ok(t)
		got, err := os.ReadFile(mirror)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(got)) {
			if strings.Contains(line, `"type":"io.cellos.evidence.v1.`) {
				if !strings.Contains(line, `"type":"io.cellos.evidence.v1.plan"`) || !strings.Contains(line, `"compatAllow":["authz-rate"]`) || !strings.Contains(line, `"profile":"portable"`) {
					t.Errorf("the first event of ours is %s", line)
				}
				return
			}
		}
		t.Error("there is no event of ours")
	})
}

// The events call a run as CELLOS_RUN_ID says, whatever that is, also when it is empty; without it run-local-001. Its identity is cellosrun.
func TestDropinRunID(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		d := newDropin(t, u)
		spec := d.documented("exit 0")
		ids := map[string]bool{}
		for i, c := range []struct{ env, id string }{{"PATH=/usr/bin:/bin", "run-local-001"}, {"CELLOS_RUN_ID=", ""}, {"CELLOS_RUN_ID= a\tb\"é ", " a\tb\"é "}, {"CELLOS_RUN_ID=" + strings.Repeat("x", 5000), strings.Repeat("x", 5000)}} {
			mirror := filepath.Join(d.dir, fmt.Sprintf("events-%d", i))
			d.run(d.supervisor([]string{"CELL_OS_USE_NOOP_SINK=1", "CELLOS_DEPLOYMENT_PROFILE=portable", "CELL_OS_JSONL_EVENTS=" + mirror, c.env}, spec)).ok(t)
			text, err := os.ReadFile(mirror)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for line := range strings.Lines(string(text)) {
				var e struct {
					CellosRun string
					Data      map[string]any
				}
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatal(err)
				}
				if id, has := e.Data["runId"]; has && id != c.id {
					t.Errorf("%s: runId is %q", c.env, id)
				} else if has {
					n++
				}
				ids[e.CellosRun] = true
			}
			if n < 10 {
				t.Errorf("%s: %d events name the run", c.env, n)
			}
		}
		if len(ids) != 4 {
			t.Errorf("%d identities of 4 runs", len(ids))
		}
	})
}
