package e2e

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/admission/token"
	"cellos.io/cellos/document"
)

// everyScript is what the command does with all that it was given.
const everyScript = `test "$API_KEY:$IDENTITY:$PLACE" = key-sentinel:identity-sentinel:acme
test "$(id -u):$(id -g):$(hostname)" = 4321:4322:every && test "$(pwd)" = {DIR}
case "$INJECTED" in cellos-placeholder-*) ;; *) echo "$INJECTED";; esac
cat /data/input && ./tools/tool && echo result > /results/out
tools/get a.test {HTTP} && echo report > report.txt && ! chmod 600 report.txt 2>/dev/null
if test -t 1; then echo a terminal; else echo "$API_KEY"; fi`

// everyPack is the policy pack that the document names.
const everyPack = `{"apiVersion":"cellos.io/v1","kind":"PolicyPack","spec":{"id":"house","version":"1.2.0","placement":{"poolId":"pool-1"},"rules":{"maxLifetimeTtlSeconds":120,"requireResourceLimits":true,` +
	`"allowedEgressHosts":["a.test","192.0.2.53","*.example"],"requireDnsEgressJustification":true,"secretRefAllowlist":{"ci":["API_KEY","IDENTITY","UPLOAD","INJECTED"]}}}}`

// everyField fills in the document that uses every field, and makes the files that it names.
func (d *dropin) everyField(s *site) (doc string, env []string) {
	d.t.Helper()
	digest := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	const filter = "name: narrower\nextends: hardened\nrules:\n- {calls: [chmod, fchmod, fchmodat, fchmodat2], action: errno EPERM}\n"
	private := ed25519.NewKeyFromSeed([]byte("a seed of thirty-two bytes, here"))
	keys, _ := json.Marshal(map[string]string{"role-ci": base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))})
	d.write("narrower.yaml", filter, 0o644)
	d.write("data/input", "input\n", 0o644)
	d.write("tools/tool", "#!/bin/sh\necho tool\n", 0o755)
	d.write("tools/get", "#!/usr/bin/python3\nimport sys, urllib.request\nsys.stdout.write(urllib.request.urlopen('http://%s:%s' % tuple(sys.argv[1:])).read().decode())\n", 0o755)
	d.write("results/.made", "", 0o644)
	template, err := os.ReadFile("testdata/dropin/every-field.json")
	if err != nil {
		d.t.Fatal(err)
	}
	script, _ := json.Marshal(everyScript)
	text := strings.ReplaceAll(string(template), `"{SCRIPT}"`, string(script))
	fill := func(text, signature string) string {
		text = strings.ReplaceAll(text, "{LEAF}", `{"host":"a.test","port":{HTTP},"protocol":"http"},{"host":"192.0.2.53","port":53,"protocol":"dns-acknowledged"},{"host":"artifacts.example","port":443},{"host":"injected.example","port":443,"protocol":"https"}`)
		return strings.NewReplacer("{DIR}", d.dir, "{HTTP}", s.http, "{DNS}", s.dns, "{ZEROS}", strings.Repeat("0", 64), "{PACK}", digest(everyPack), "{FILTER}", digest(filter),
			"{SIGNATURE}", signature).Replace(text)
	}
	unsigned, err := document.Parse("every-field.json", []byte(fill(text, "")))
	if err != nil {
		d.t.Fatal(err)
	}
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(private, token.SignedBytes(unsigned.Spec.Authority.AuthorityDerivation)))
	return fill(text, signature), []string{
		"CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS=" + filepath.Join(d.dir, "events.jsonl"), "CELLOS_COMPAT_ALLOW=dnssec-unchecked",
		"CELLOS_BROKER=env", "CELLOS_SECRET_API_KEY=key-sentinel", "CELLOS_SECRET_AUDIENCE=identity-sentinel", "CELLOS_SECRET_UPLOAD=upload-sentinel", "CELLOS_SECRET_INJECTED=injected-sentinel",
		"CELLOS_POLICY_PACK_PATH=" + d.write("pack.json", everyPack, 0o644), "CELLOS_CALLER_IDENTITY=ci", "CELLOS_TENANT_ID=acme", "CELLOS_K8S_NAMESPACE=ci-jobs",
		"CELLOS_AUTHZ_POLICY_PATH=" + d.write("authz.json", `{"apiVersion":"cellos.io/v1","kind":"AuthorizationPolicy","spec":{"subjects":["acme"],"allowedPools":["pool-1"],"allowedPolicyPacks":["house"]}}`, 0o644),
		"CELLOS_AUTHORITY_KEYS_PATH=" + d.write("keys.json", string(keys), 0o644), "CELLOS_REQUIRE_AUTHORITY_DERIVATION=1", "CELLOS_REQUIRE_TELEMETRY_DECLARED=1",
		"CELLOS_EVENT_SIGNING=ed25519", "CELLOS_EVENT_SIGNING_KID=k", "CELLOS_EVENT_SIGNING_KEY_BASE64=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
	}
}

// TestEveryField: a document in which every field of the format says something is read, and what this backend does not do is all that it is
// refused for. Without that it runs, and everything that it asks for happens.
func TestEveryField(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	each(t, func(t *testing.T, u user) {
		b := online(t, u)
		d := &dropin{b}
		text, env := d.everyField(s)
		web := serveSteps(t, []httpStep{{Status: 201}})
		env = append(env, "CELLOS_EXPORT_HTTP_BASE_URL__WEB=http://"+web.address+"/up", "CELLOS_EXPORT_HTTP_BEARER_TOKEN__WEB=bearer-sentinel",
			"CELLOS_EXPORT_S3_PRESIGNED_URL__BUCKET=http://"+web.address+"/object?X-Amz-Signature=signature-sentinel")
		doc, err := document.Parse("every-field.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		silent := map[string]bool{}
		unused(reflect.ValueOf(*doc), silent)
		if len(silent) > 0 {
			t.Errorf("fields that the document does not use: %v", slices.Sorted(maps.Keys(silent)))
		}
		spec := d.write("every-field.json", text, 0o644)
		d.run(d.supervisor(env, "--validate", spec)).ok(t)
		refused := []string{"spec.ingress: ", "spec.environment: ", "spec.run.scrubOutput: "} // the last together with a terminal
		limited := newBench(t, u).cell([]string{"--memory", "64MiB", "--cpus", "1"}, "true").code == 0
		if !limited {
			refused = append(refused, "limiting memory: no control group", "limiting processor time: no control group")
		}
		r := d.run(d.supervisor(env, spec))
		r.fails(t, 125, refused...)
		if n := strings.Count(r.err, "cellos: error: "); n != len(refused) || r.out != "" {
			t.Errorf("%d errors, output %q\n%s", n, r.out, r.err)
		}
		doc.Spec.Ingress, doc.Spec.Environment = nil, nil
		if !limited {
			doc.Spec.Run.Limits.MemoryMaxBytes, doc.Spec.Run.Limits.CPUMax = nil, nil
			doc.Spec.Policy.BundleDigest = nil // the pack demands limits that this user cannot have
			loose := strings.ReplaceAll(everyPack, `"requireResourceLimits":true,`, "")
			env = append(env, "CELLOS_POLICY_PACK_PATH="+d.write("loose.json", loose, 0o644))
		}
		for _, terminal := range []bool{true, false} {
			doc.Spec.Run.Terminal, doc.Spec.Run.ScrubOutput = terminal, !terminal
			data, err := doc.JSON()
			if err != nil {
				t.Fatal(err)
			}
			r = d.run(d.supervisor(env, d.write("runs.json", string(data), 0o644)))
			want := "input\ntool\nGET a.test 0\n" + map[bool]string{true: "a terminal\n", false: "[secret]\n"}[terminal]
			if out := strings.ReplaceAll(r.ok(t), "\r", ""); out != want {
				t.Errorf("the command wrote %q, want %q\n%s", out, want, r.err)
			}
			v := d.supervisor([]string{"PATH=/usr/bin:/bin"}, "verify", "last")
			v.Args[0] = "cellos"
			d.run(v).ok(t)
		}
		if got, err := os.ReadFile(filepath.Join(d.dir, "results/out")); err != nil || string(got) != "result\n" {
			t.Errorf("the granted file has %q, %v", got, err)
		}
		if got := fmt.Sprint(web.bodies); got != "[report\n report\n report\n report\n]" {
			t.Errorf("exported %q", got)
		}
	})
}

// unused names every field of a document's types that nowhere in the value says anything. A field may be silent in one place if it speaks
// in another.
func unused(v reflect.Value, silent map[string]bool) {
	said := map[string]bool{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				f := v.Field(i)
				name := v.Type().Name() + "." + v.Type().Field(i).Name
				silent[name] = true
				if !f.IsZero() && !(f.Kind() == reflect.Slice && f.Len() == 0) {
					said[name] = true
				}
				walk(f)
			}
		}
	}
	walk(v)
	for name := range said {
		delete(silent, name)
	}
}
