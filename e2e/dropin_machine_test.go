package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestDropinMachine: CELLOS_CELL_BACKEND=firecracker is a virtual machine whose boot files are pinned, unless the tag, or the two variables that
// mean it, let that pass; the events say so, and that the machine told how the command ended.
func TestDropinMachine(t *testing.T) {
	onMachines(t, func(t *testing.T, b *bench) {
		b.env = append(b.env, "CELLOS_CELL_BACKEND=firecracker", "CELLOS_DEPLOYMENT_PROFILE=portable", "CELL_OS_USE_NOOP_SINK=1")
		plain := b.env
		spec := b.write("spec.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"m","authority":{},"lifetime":{"ttlSeconds":300},"run":{"secretDelivery":"env","argv":["/bin/sh","-c","echo ran; exit 7"]}}}`, 0o644)
		b.cellos("supervise", spec).fails(t, 125, "CELLOS_FIRECRACKER_MANIFEST is not set")
		b.env = append(plain[:len(plain):len(plain)], "CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST=1")
		b.cellos("supervise", spec).fails(t, 125, "one of the two variables alone")
		env := []string{"CELLOS_COMPAT_ALLOW=no-manifest"} // one way for each user: machines take seconds
		if b.user.uid != 0 {
			env = []string{"CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST=1", "CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST_REALLY=1"}
		}
		mirror := filepath.Join(b.dir, "mirror")
		b.env = append(append(plain[:len(plain):len(plain)], "CELL_OS_JSONL_EVENTS="+mirror), env...)
		r := b.cellos("supervise", spec)
		if r.code != 7 || r.out != "ran\n" {
			t.Fatalf("%v: exit status %d, output %q\n%s", env, r.code, r.out, r.err)
		}
		events := string(read(t, mirror))
		for _, want := range []string{`"compatAllow":["no-manifest"]`, `"backend":"microvm"`, `"terminalState":"clean"`} {
			if !strings.Contains(events, want) {
				t.Errorf("%v: the events lack %s\n%s", env, want, events)
			}
		}
	})
}
