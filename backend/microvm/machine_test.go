//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/host"
	"cellos.io/cellos/overlay"
	"cellos.io/cellos/plan"
)

// machine is a cell of a command in a copy-on-write working directory.
func machine(t *testing.T, b microvm.Backend, dir string, out *os.File, argv ...string) cell.Cell {
	t.Helper()
	p, err := planOf(b, dir, 64<<20, argv...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Build(context.Background(), p, cell.Streams{Out: out, Err: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Destroy() })
	return c
}

// planOf plans a command in a copy-on-write working directory.
func planOf(b microvm.Backend, dir string, scratch uint64, argv ...string) (*plan.Plan, error) {
	a := &authority.Authority{ID: "machine", Command: authority.Command{Argv: argv, Env: []authority.Variable{{Name: "PATH", Value: authority.Path}}, Hostname: "cell"},
		Work: authority.Work{Path: dir, Mode: authority.Overlay}, Syscalls: "hardened",
		Limits: authority.Limits{Processes: 256, Scratch: scratch}}
	h, err := host.Describe(plan.Paths(a))
	if err != nil {
		return nil, err
	}
	return plan.ForGuest(a, h, b.Facts)
}

func workdir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "cellos-microvm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// One machine, and everything that is to be seen of it: both views of the boundary, a kernel that is not the host's, nothing of the
// machine's channel, names of any bytes both ways, and an end that leaves nothing.
func TestMachine(t *testing.T) {
	b := backend(t)
	dir := workdir(t)
	if err := os.WriteFile(filepath.Join(dir, "\xff\xfe"), []byte("any bytes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	const script = `uname -r; cat /proc/self/timerslack_ns; cat /proc/cmdline; cat ./*; ls -a / /dev /sys 2>&1 | grep -i 'vport\|cellos\|scratch\|drives\|modules\|tree'
for f in /proc/[0-9]*; do tr '\0' ' ' <$f/cmdline; echo; done | grep -c init
mv ./* "$(printf 'new-\375')"; python3 -c 'import socket
try: socket.socket(40, socket.SOCK_STREAM); print("vsock")
except OSError as e: print(e.errno)'; exit 7`
	c := machine(t, b, dir, w, "/bin/sh", "-c", script)
	w.Close()
	bound, err := c.Measure(context.Background())
	if err != nil || bound.Err() != nil {
		t.Fatal(err, bound.Err())
	}
	seen := map[string]cell.Layer{}
	for _, l := range bound.Layers {
		seen[l.Name] = l
		if own := l.Name == plan.LayerMachine || l.Name == plan.LayerMonitor; own && l.Outside == "" || !own && (l.Outside != "" || !strings.HasPrefix(l.Inside, "the guest claims: ")) {
			t.Errorf("claims and observations are mixed: %+v", l)
		}
	}
	if len(seen) < 15 || len(bound.Probes) < 20 || bound.Caps != (cell.Caps{}) {
		t.Errorf("%d layers, %d probes, %+v", len(seen), len(bound.Probes), bound.Caps)
	}
	if l := seen[plan.LayerMachine]; !strings.Contains(l.Outside, "sha256:") {
		t.Errorf("it does not tell what booted: %+v", l)
	}
	if err := c.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
	o, err := c.Wait()
	if err != nil || o.Code != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var kernel syscall.Utsname
	syscall.Uname(&kernel)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if lines[1] != "50000" { // init/init_task.c of the kernel: what the first process has for itself is not the cell's
		t.Errorf("the command's sleeps may last %s ns longer", lines[1])
	}
	if lines[0] != b.Kernel.Release || !bytes.Contains(out, []byte("any bytes\n")) || bytes.Contains(out, []byte("cellos")) || lines[len(lines)-1] != "97" {
		t.Errorf("the command saw %q", out)
	}
	list, err := overlay.Changes(c.Changes(), dir, overlay.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var changes []string
	for _, x := range list.Changes {
		changes = append(changes, string(x.What)+" "+x.Path)
	}
	if s := strings.Join(changes, ","); s != "created new-\xfd,deleted \xff\xfe" {
		t.Errorf("changed: %q", s)
	}
	if res := c.Destroy(); !res.Clean() {
		t.Errorf("left: %+v", res)
	}
}

// A monitor that dies ends the cell, with a reason.
func TestMonitorDies(t *testing.T) {
	b := backend(t)
	c := machine(t, b, workdir(t), nil, "/bin/sleep", "1000")
	if _, err := c.Measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, err := c.Wait()
	var end *microvm.EndError
	if !errors.As(err, &end) || end.Reason != "vmm_exited" {
		t.Errorf("the end is %v", err)
	}
	if res := c.Destroy(); !res.Clean() {
		t.Errorf("left: %+v", res)
	}
}

// What does not match the manifest does not boot.
func TestManifestMismatch(t *testing.T) {
	b := backend(t)
	m, err := microvm.ParseManifest([]byte("sha256:" + strings.Repeat("0", 64) + " kernel /boot/x\n"))
	if err != nil {
		t.Fatal(err)
	}
	b.Manifest = m
	a := &authority.Authority{ID: "m", Command: authority.Command{Argv: []string{"/bin/true"}, Hostname: "cell"}, Work: authority.Work{Path: "/work", Mode: authority.Empty}, Syscalls: "hardened",
		Limits: authority.Limits{Processes: 16, Scratch: 1 << 20}}
	h, err := host.Describe(plan.Paths(a))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.ForGuest(a, h, b.Facts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Build(context.Background(), p, cell.Streams{}); err == nil || !strings.Contains(err.Error(), "artifact digest mismatch for role kernel") {
		t.Errorf("a kernel that nobody pinned: %v", err)
	}
}

// Each bad line of a manifest is named.
func TestParseManifest(t *testing.T) {
	good := "sha256:" + strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"": "kernel is missing", good + " kernel": "line 1: 2 fields", "# c\n\nsha256:12 kernel /x": "line 3: \"sha256:12\"", good + " bios /x": "line 1: the role \"bios\"",
		good + " kernel /a\n" + good + " firecracker /b\n# end\n": "",
	} {
		_, err := microvm.ParseManifest([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
