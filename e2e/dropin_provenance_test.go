package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// TestProvenance: the events of exports and of the identity's end name the event that says that the cell started, with the documented signing as
// without it.
func TestProvenance(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, signing := range []string{"off", "hmac", "ed25519"} {
			d := newDropin(t, u)
			d.write("out/.made", "", 0o644)
			mirror := filepath.Join(d.dir, "mirror.jsonl")
			spec := d.write("spec.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"p","lifetime":{"ttlSeconds":100},"authority":{"secretRefs":["TOK"]},`+
				`"identity":{"kind":"federatedOidc","provider":"p","audience":"AUD","secretRef":"TOK"},"export":{"artifacts":[{"name":"a","path":"a"},{"name":"b","path":"gone"}]},`+
				`"run":{"secretDelivery":"env","argv":["/bin/sh","-c","echo x >a"]}}}`, 0o644)
			d.run(d.supervisor([]string{"PATH=/usr/bin:/bin", "CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS=" + mirror, "CELLOS_BROKER=env", "CELLOS_SECRET_AUD=value", "CELLOS_EXPORT_DIR=" + d.dir + "/out",
				"CELLOS_EVENT_SIGNING=" + signing, "CELLOS_EVENT_SIGNING_KID=k", "CELLOS_EVENT_SIGNING_KEY_BASE64=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}, spec)).fails(t, 1, "export sink")
			started, named := "", 0
			for _, line := range d.record() {
				var e struct {
					ID, Type string
					Data     map[string]any
				}
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatal(err)
				}
				if inner, ok := e.Data["event"].(map[string]any); ok {
					e.Type, e.Data = inner["type"].(string), inner["data"].(map[string]any)
				}
				if e.Type == "dev.cellos.events.cell.lifecycle.v1.started" {
					started = e.ID
				}
				if p, ok := e.Data["provenance"].(map[string]any); ok {
					if named++; started == "" || p["parent"] != started || p["parentType"] != "dev.cellos.events.cell.lifecycle.v1.started" {
						t.Errorf("%s: %s names %v, started is %s", signing, e.Type, p, started)
					}
				}
			}
			if named != 3 { // export completed, export failed, identity revoked
				t.Errorf("%s: %d events name it", signing, named)
			}
		}
	})
}
