package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// withoutLandlock runs a program with the kernel's Landlock switched off for it, as a kernel without Landlock answers: a seccomp filter answers
// landlock_create_ruleset (444 on every architecture) with ENOSYS.
const withoutLandlock = `import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7fff0000)]
program = b''.join(struct.pack('HBBI', *x) for x in code)
buffer = ctypes.create_string_buffer(program)
fprog = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(code), ctypes.addressof(buffer)))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, ctypes.c_ulong(2), ctypes.c_ulong(ctypes.addressof(fprog)), 0, 0): sys.exit(os.strerror(ctypes.get_errno()))
os.execve(sys.argv[1], sys.argv[2:], os.environ)
`

// TestPortable: on a host without Landlock the profile portable runs with every other layer and says which one is missing; without it, and in
// cellos run, the same host is refused.
func TestPortable(t *testing.T) {
	needs(t, "python3")
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		script := b.write("without.py", withoutLandlock, 0o644)
		spec := b.documented("echo ran; cat /etc/shadow 2>/dev/null; touch /x 2>/dev/null; mkdir /usr/x 2>/dev/null; exit 0")
		mirror := filepath.Join(b.dir, "mirror.jsonl")
		without := func(profile string, args ...string) result {
			cmd := b.command()
			cmd.Path, cmd.Args = "/usr/bin/python3", append([]string{"python3", script, binary, "cellos"}, args...)
			cmd.Env = append(cmd.Env, "CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS="+mirror, "CELLOS_DEPLOYMENT_PROFILE="+profile)
			return b.run(cmd)
		}
		for _, profile := range []string{"", "hardened"} {
			without(profile, "supervise", spec).fails(t, 125)
		}
		without("", "supervise", spec).fails(t, 125, "no Landlock")
		without("portable", "run", "--", "true").fails(t, 125, "no Landlock")
		if out := without("portable", "supervise", spec).ok(t); out != "ran\n" {
			t.Errorf("printed %q", out)
		}
		var missing any
		layers := 0
		for _, e := range readEvents(t, mirror) {
			switch e.Type {
			case "io.cellos.evidence.v1.plan":
				missing = e.Data["missing"]
				if list, ok := missing.([]any); !ok || len(list) != 1 || list[0] != "landlock" || e.Data["profile"] != "portable" {
					t.Errorf("the plan says that %v is missing, profile %v", missing, e.Data["profile"])
				}
			case "io.cellos.evidence.v1.boundary":
				for _, l := range e.Data["layers"].([]any) {
					layer := l.(map[string]any)
					if layers++; layer["holds"] != true || layer["name"] == "landlock" {
						t.Errorf("the boundary has %v", layer)
					}
				}
			}
		}
		if missing == nil || layers < 10 {
			t.Errorf("missing %v, %d layers measured", missing, layers)
		}
		if out := b.cellos("show", "last").ok(t); !strings.Contains(out, "missing    landlock\n") {
			t.Errorf("show does not say what is missing:\n%s", out)
		}
	})
}
