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
		ready := func(n int) {
			t.Helper()
			for deadline := time.Now().Add(4 * time.Minute); status.Ready < n; time.Sleep(50 * time.Millisecond) {
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
		}
		ready(2)
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

		// An image, a granted folder and the working directory get their places on a disk that has the system's files for the rehearsal.
		ref, digest := b.layoutOf(smallImage(t))
		note := filepath.Dir(b.write("work/note", "of the host\n", 0o644))
		r, events = b.gated([]string{"--pool", "--scratch", "64MiB", "--image", ref + "@" + digest, "--workdir", note + ":overlay", "--read", filepath.Dir(b.write("one/x", "granted\n", 0o644)) + ":/one"},
			"sh", "-c", "hello; cat /one/x /etc/own.conf note; id -un; cat /usr/bin/env; echo >made")
		if r.code != 0 || r.out != "hello, world\ngranted\nof the image\nof the host\ncell\n" || strings.Count(r.err, "No such file") != 1 {
			t.Errorf("in an image: status %d, %q, %s", r.code, r.out, r.err)
		}
		starts = ""
		for _, e := range events {
			if text, _ := json.Marshal(e.Data); strings.HasSuffix(e.Type, ".boundary") && strings.Contains(string(text), digest) {
				starts, _ = e.Data["start"].(string)
			}
		}
		if starts != "pooled" {
			t.Errorf("the boundary of the cell in an image says that it started %q", starts)
		}
		status.Ready = 0
		ready(1)

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
		if err := json.Unmarshal([]byte(r.ok(t)), &status); err != nil || status.Given != 3 {
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

// Firecracker's machines do not wait: a pool of them, and a run that wants one of a pool, are refused before anything is made or started.
func TestPoolOfFirecracker(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		u.backend = "microvm"
		b := newBench(t, u)
		images := filepath.Join(b.dir, "images")
		started := b.write("started", "#!/bin/sh\ntouch \"$0.mark\"\n", 0o755)
		b.env = append(b.env, "CELLOS_IMAGES="+images, "CELLOS_FIRECRACKER_BINARY="+started)
		b.cellos("pool", "start").fails(t, 125, "machines of firecracker cannot wait", "vhost-user", "CELLOS_MICROVM_VMM=qemu")
		b.cell([]string{"--pool"}, "true").fails(t, 125, "machines of firecracker cannot wait", "CELLOS_MICROVM_VMM=qemu")
		for _, p := range []string{images, started + ".mark", filepath.Join(b.state, "pool")} {
			if _, err := os.Lstat(p); !os.IsNotExist(err) {
				t.Errorf("there is %s: %v", p, err)
			}
		}
	})
}
