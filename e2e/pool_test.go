package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a machine of a pool is asked for is what one is asked for that was booted for its cell: names through the gate, secrets, changes,
// exports, evidence that verifies. Without a pool nothing runs, unless the run says otherwise.
func TestPoolOfMachines(t *testing.T) {
	s := newSite(t)
	needs(t, "curl")
	onMachines(t, func(t *testing.T, b *bench) {
		b.cell([]string{"--pool"}, "true").fails(t, 125, "no pool runs here", "cellos pool start")
		b.cellos("pool", "status").fails(t, 125, "no pool runs here")
		pool := b.command("pool", "start", "--size", "2", "--scratch", "64MiB")
		var said strings.Builder
		pool.Stderr = &said
		if err := pool.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- pool.Wait() }()
		t.Cleanup(func() {
			pool.Process.Signal(syscall.SIGTERM)
			<-ended
			if t.Failed() {
				t.Log(said.String())
			}
		})
		var status struct{ Ready, Given int }
		for deadline := time.Now().Add(4 * time.Minute); status.Ready < 2; time.Sleep(50 * time.Millisecond) {
			r := b.cellos("pool", "status", "--json")
			if r.code == 0 {
				if err := json.Unmarshal([]byte(r.out), &status); err != nil {
					t.Fatal(err)
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("the pool has %s%s", r.out, r.err)
			}
		}
		b.cell([]string{"--pool", "--memory", "100MiB", "--scratch", "64MiB"}, "true").fails(t, 125, "memory of MiB", "--memory")

		b.env = append(b.env, "TOKEN=top-secret")
		flags := append(s.grant("a.test:"+s.http+"/http"), s.variables()...)
		r, events := b.gated(append(flags, "--pool", "--scratch", "64MiB", "--secret", "TOKEN"), "sh", "-c", `curl -s http://a.test:$HTTP/; echo "$TOKEN"; echo x >made`)
		if out := r.ok(t); out != "GET a.test 0\ntop-secret\n" {
			t.Errorf("printed %q\n%s", out, r.err)
		}
		starts, made := "", false
		for _, e := range events {
			if strings.HasSuffix(e.Type, ".boundary") {
				starts, _ = e.Data["start"].(string)
				if n, _ := e.Data["waitedNanos"].(float64); n <= 0 {
					t.Errorf("it waited %v", e.Data["waitedNanos"])
				}
			}
			if list, ok := e.Data["changes"].([]any); ok && len(list) == 1 {
				made = list[0].(map[string]any)["path"] == "made"
			}
		}
		if starts != "pooled" || !made {
			t.Errorf("the events say that it started %q; changes listed: %v", starts, made)
		}
		b.cellos("verify", "last").ok(t)

		out := filepath.Join(filepath.Dir(b.dir), "out")
		b.env = append(b.env, "CELLOS_EXPORT_DIR="+out, "CELLOS_MICROVM_POOL=require")
		argv, _ := json.Marshal([]string{"/bin/sh", "-c", "printf hello >f"})
		d := b.write("d.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"cell-1","authority":{},"lifetime":{"ttlSeconds":600},
"run":{"secretDelivery":"env","limits":{"scratchBytes":67108864},"argv":`+string(argv)+`},"export":`+artifact("a", "f")+`}}`, 0o644)
		b.cellos("run", d).ok(t)
		if got, err := os.ReadFile(filepath.Join(out, "cell-1", "a")); string(got) != "hello" {
			t.Errorf("exported %q, %v", got, err)
		}
		r = b.cellos("pool", "status", "--json")
		if err := json.Unmarshal([]byte(r.ok(t)), &status); err != nil || status.Given != 2 {
			t.Errorf("the pool gave away %s", r.out)
		}
		b.cellos("pool", "stop").ok(t)
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v: %s", err, said.String())
		}
		ended <- nil
		if names, _ := os.ReadDir(filepath.Join(b.state, "pool")); len(names) > 0 {
			t.Errorf("it left %v", names)
		}
	})
	s.onlyGranted()
	b := newBench(t, users()[0])
	b.cell([]string{"--backend", "process", "--pool"}, "true").fails(t, 2, "only virtual machines")
}
