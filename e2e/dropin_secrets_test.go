package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// keepers is a server that plays everybody to whom the supervisor shows a secret of its own: Vault, the issuer of workload identities, and those
// that take artifacts. While broken, each says in its answers what it was shown.
func keepers(t *testing.T) (url string, broken *atomic.Bool) {
	broken = new(atomic.Bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if broken.Load() && last != "login" {
			w.WriteHeader(418)
			fmt.Fprintf(w, `{"errors":["%s %s %s %s sentinel-of-the-server"]}`, body, r.URL, r.Header, r.Host)
			return
		}
		switch {
		case last == "login":
			io.WriteString(w, `{"auth":{"client_token":"sentinel-vault-token","lease_duration":600,"renewable":true}}`)
		case strings.HasPrefix(r.URL.Path, "/v1/secret/data/"):
			fmt.Fprintf(w, `{"data":{"data":{"%s":"sentinel-vault-value"}}}`, last)
		case last == "oidc":
			io.WriteString(w, `{"value":"sentinel.oidc.value"}`)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, broken
}

// TestDropinLeavesNoSecret: whatever broker, delivery, export and sink, and whether they work or answer with what they were shown: no secret of the
// command and none of the supervisor's own is in any file that is written or in any line that is printed.
func TestDropinLeavesNoSecret(t *testing.T) {
	url, broken := keepers(t)
	host := strings.TrimPrefix(url, "http://")
	seed := []byte("sentinel seed of an event signer")
	secrets := []string{"sentinel-vault-sid", "sentinel-vault-token", "sentinel-vault-value", "sentinel-oidc-request", "sentinel.oidc.value", "sentinel-env-value", "sentinel-file-value",
		"sentinel-bearer", "sentinel-signature", "sentinel-user", "sentinel-nats-password", "sentinel-of-the-server", "sentinel-aws-key", string(seed)}
	brokers := map[string][]string{
		"env":           {"CELLOS_SECRET_K=sentinel-env-value", "CELLOS_SECRET_AUD=sentinel-env-value"},
		"file":          {"CELLOS_SECRET_FILE_K=$TOP/in/value", "CELLOS_SECRET_FILE_AUD=$TOP/in/value"},
		"github-oidc":   {"ACTIONS_ID_TOKEN_REQUEST_URL=" + url + "/oidc?x=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=sentinel-oidc-request"},
		"vault-approle": {"CELLOS_VAULT_ADDR=" + url, "CELLOS_VAULT_ROLE_ID=role", "CELLOS_VAULT_SECRET_ID=sentinel-vault-sid"},
	}
	exports := `,"export":{"artifacts":[{"name":"a","path":"a","target":"web"},{"name":"b","path":"a","target":"bucket"}],
		"targets":[{"kind":"http","name":"web","baseUrl":"http://web.example"},{"kind":"s3","name":"bucket","bucket":"bkt"}]}`
	for _, u := range users() {
		for _, down := range []bool{false, true} { // one after the other: the server is one for all
			broken.Store(down)
			t.Run(fmt.Sprintf("%s, broken %v", u.name, down), func(t *testing.T) {
				for name, env := range brokers {
					for _, mode := range []string{"env", "runtimeBroker", "runtimeLeasedBroker"} {
						t.Run(name+" "+mode, func(t *testing.T) {
							t.Parallel()
							b := secretBench(t, u)
							top := filepath.Dir(b.dir)
							in := filepath.Join(top, "in") // what the operator has, and is not searched
							for _, dir := range []string{in, filepath.Join(top, "dead")} {
								if err := os.Mkdir(dir, 0o700); err != nil {
									t.Fatal(err)
								}
								b.own(dir)
							}
							value := filepath.Join(in, "value")
							if err := os.WriteFile(value, []byte("sentinel-file-value\n"), 0o600); err != nil {
								t.Fatal(err)
							}
							b.own(value)
							script := `if [ -z "$K" ]; then K=$(/opt/cellos secret get K); fi; echo "$K" >/dev/null; : "$K"; echo artifact >a; exit 0`
							more := `,"identity":{"kind":"federatedOidc","provider":"p","audience":"AUD","secretRef":"ID"}` + exports
							spec := secretDocument(b, mode, `["K","ID"]`, script, more)
							d := &dropin{b}
							list := []string{"PATH=/usr/bin:/bin", "HOME=" + top, "TMPDIR=" + b.tmp(), "CELLOS_BROKER=" + name, "CELL_OS_JSONL_EVENTS=" + filepath.Join(top, "mirror.jsonl"),
								"CELLOS_DLQ_DIR=" + filepath.Join(top, "dead"), "CELLOS_COMPAT_ALLOW=dlq-only", "NATS_URL=nats://sentinel-user:sentinel-nats-password@127.0.0.1:1",
								"CELLOS_EVENT_SIGNING=ed25519", "CELLOS_EVENT_SIGNING_KID=kid", "CELLOS_EVENT_SIGNING_KEY_BASE64=" + base64.RawURLEncoding.EncodeToString(seed),
								"CELLOS_EXPORT_HTTP_BASE_URL__WEB=http://sentinel-user:sentinel-bearer@" + host + "/put", "CELLOS_EXPORT_HTTP_BEARER_TOKEN__WEB=sentinel-bearer",
								"CELLOS_EXPORT_S3_PRESIGNED_URL__BUCKET=" + url + "/object?X-Amz-Signature=sentinel-signature", "AWS_SECRET_ACCESS_KEY=sentinel-aws-key"}
							for _, v := range env {
								list = append(list, strings.ReplaceAll(v, "$TOP", top))
							}
							r := d.run(d.supervisor(list, spec))
							works := !down && (mode != "runtimeLeasedBroker" || name == "vault-approle")
							if (r.code == 0) != works {
								t.Errorf("exit status %d\n%s", r.code, r.err)
							}
							show := d.supervisor([]string{"PATH=/usr/bin:/bin", "HOME=" + top}, "show", "--events", "last")
							show.Args[0] = "cellos"
							events := d.run(show)
							for _, s := range secrets {
								clean(t, "the output", r.out+r.err, s)
								clean(t, "the events", events.out+events.err, s)
							}
							files := 0
							filepath.Walk(top, func(p string, i os.FileInfo, err error) error {
								if err == nil && i.IsDir() && p == in {
									return filepath.SkipDir
								}
								if err == nil && i.Mode().IsRegular() && p != spec {
									files++
									text := string(read(t, p))
									for _, s := range secrets {
										clean(t, p, p+text, s)
									}
								}
								return nil
							})
							if dead, _ := os.ReadDir(filepath.Join(top, "dead")); r.code != 125 && (files < 10 || len(dead) < 10) {
								t.Errorf("only %d files, %d dead letters", files, len(dead))
							}
						})
					}
				}
			})
		}
	}
}
