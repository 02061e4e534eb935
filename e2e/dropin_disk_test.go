package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A placed file or folder that the drop-in writes: what happens where it cannot.
type placed struct {
	name string
	env  []string // with $DISK, the folder that is bad
	more string   // further members of the document's spec
	run  string   // the script
	full bool     // the disk is full; else it is read-only
	code int
	says string
	ran  bool // the command ran before
}

func placedFiles() []placed {
	artifact := `,"export":{"artifacts":[{"name":"a","path":"a"}]}`
	const big = "echo ran; head -c 1000000 /dev/zero >a"
	dead := []string{"NATS_URL=nats://127.0.0.1:1", "CELLOS_COMPAT_ALLOW=dlq-only", "CELLOS_DLQ_DIR=$DISK"}
	return []placed{
		{name: "mirror, read-only", env: []string{"CELL_OS_JSONL_EVENTS=$DISK/m"}, code: 125, says: "CELL_OS_JSONL_EVENTS"},
		{name: "mirror, full", env: []string{"CELL_OS_JSONL_EVENTS=$DISK/m"}, full: true, code: 125, says: "no space left"},
		{name: "dead letters, read-only", env: dead, code: 125, says: "CELLOS_DLQ_DIR"},
		{name: "dead letters, full", env: dead, full: true, code: 125, says: "no space left"},
		{name: "record, read-only", env: []string{"CELLOS_STATE=$DISK/s"}, code: 125, says: "read-only"},
		{name: "record, full", env: []string{"CELLOS_STATE=$DISK/s"}, full: true, code: 125, says: "no space left"},
		{name: "keys, read-only", env: []string{"XDG_CONFIG_HOME=$DISK"}, code: 125, says: "read-only"},
		{name: "keys, full", env: []string{"XDG_CONFIG_HOME=$DISK"}, full: true, code: 125, says: "no space left"},
		{name: "socket, read-only", env: []string{"TMPDIR=$DISK"}, code: 125, says: "read-only"},
		{name: "exports, read-only", env: []string{"CELLOS_EXPORT_DIR=$DISK"}, more: artifact, run: big, code: 1, says: "ead-only file system", ran: true},
		{name: "exports, full", env: []string{"CELLOS_EXPORT_DIR=$DISK"}, more: artifact, run: big, full: true, code: 1, says: "no space left", ran: true},
	}
}

// TestBadDisks: whatever cannot be written is said, with the exit status that is documented; nothing runs where that is known before, and no half of
// a file is left.
func TestBadDisks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small disk in a mount namespace of its own")
	}
	each(t, func(t *testing.T, u user) {
		for _, c := range placedFiles() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, u)
				disk := filepath.Join(filepath.Dir(b.dir), "disk")
				if err := os.Mkdir(disk, 0o700); err != nil {
					t.Fatal(err)
				}
				if c.run == "" {
					c.run = "echo ran"
				}
				spec := b.write("spec.json", fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","authority":{},"lifetime":{"ttlSeconds":100},"run":{"argv":["/bin/sh","-c",%q]}%s}}`, c.run, c.more), 0o644)
				// Two pages: one for a folder or the first bytes of a file, and not for all of it.
				mount := "mount -t tmpfs -o size=8k,mode=700,uid=$1,gid=$1 none \"$2\""
				if !c.full {
					mount = "mount -t tmpfs -o ro,mode=700,uid=$1,gid=$1 none \"$2\""
				}
				script := mount + ` && setpriv --reuid "$1" --regid "$1" --clear-groups "$3" supervise "$4"; code=$?; find "$2" -type f >&2; exit $code`
				inner := b.command()
				cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", script, "sh", strconv.Itoa(u.uid), disk, binary, spec)
				cmd.Dir, cmd.WaitDelay = inner.Dir, inner.WaitDelay
				cmd.Env = append(inner.Env, "CELLOS_DEPLOYMENT_PROFILE=portable")
				if !strings.Contains(fmt.Sprint(c.env), "NATS_URL") {
					cmd.Env = append(cmd.Env, "CELL_OS_USE_NOOP_SINK=1")
				}
				for _, v := range c.env {
					cmd.Env = append(cmd.Env, strings.ReplaceAll(v, "$DISK", disk))
				}
				r := b.run(cmd)
				if r.code != c.code || !strings.Contains(r.err, c.says) || (r.out != "") != c.ran {
					t.Errorf("exit status %d, want %d; output %q; want %q in\n%s", r.code, c.code, r.out, c.says, r.err)
				}
				// A record is left open, a mirror has whole lines, and whole letters are kept; of the others nothing is left.
				if kind, _, _ := strings.Cut(c.name, ","); (kind == "keys" || kind == "exports") && strings.Contains(r.err, "\n"+disk+"/") {
					t.Errorf("something is left:\n%s", r.err)
				}
			})
		}
	})
}
