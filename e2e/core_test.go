package e2e

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNoCoreFile: a supervisor that crashes while it holds a secret leaves no core file, also where core files are wanted.
func TestNoCoreFile(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		cores := func() int { list, _ := filepath.Glob(filepath.Join(b.dir, "core*")); return len(list) }
		control := b.command()
		control.Path, control.Args = "/bin/sh", []string{"sh", "-c", "ulimit -c unlimited && kill -ABRT $$"}
		b.run(control)
		pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
		if writes := cores() == 1; !writes && (strings.HasPrefix(string(pattern), "/") || strings.HasPrefix(string(pattern), "|")) {
			t.Logf("core files go elsewhere here (%s): only the limit is looked at", strings.TrimSpace(string(pattern)))
		} else if !writes {
			t.Skip("core files cannot be had here: the hard limit is 0")
		}
		before := cores()
		doc := b.write("spec.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","authority":{"secretRefs":["K"]},"lifetime":{"ttlSeconds":100},`+
			`"run":{"secretDelivery":"runtimeBroker","argv":["/bin/sh","-c","echo up; read x"]}}}`, 0o644)
		cmd := b.after(`ulimit -c unlimited && exec "$@"`, "supervise", doc)
		cmd.Env = append(cmd.Env, "GOTRACEBACK=crash", "CELL_OS_USE_NOOP_SINK=1", "CELLOS_DEPLOYMENT_PROFILE=portable", "CELLOS_BROKER=env", "CELLOS_SECRET_K=core-sentinel")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var messages strings.Builder
		cmd.Stderr = &messages
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			t.Fatalf("%v\n%s", err, messages.String())
		}
		cmd.Process.Signal(syscall.SIGABRT)
		cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.CoreDump() || cores() != before {
			t.Errorf("%v, %d core files, %d before", cmd.ProcessState, cores(), before)
		}
		if strings.Contains(messages.String(), "core-sentinel") {
			t.Error("the message of the crash holds the secret")
		}
		b.cellos("runs", "--clean").ok(t)
	})
}
