//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/host"
	"cellos.io/cellos/image"
	"cellos.io/cellos/image/vmlinux"
	"cellos.io/cellos/plan"
)

// firecracker is the real program, at CELLOS_FIRECRACKER or in PATH.
func firecracker(t *testing.T) string {
	t.Helper()
	p := os.Getenv("CELLOS_FIRECRACKER")
	if p == "" {
		var err error
		if p, err = exec.LookPath("firecracker"); err != nil {
			t.Skip("this machine has no firecracker: neither CELLOS_FIRECRACKER nor PATH names one")
		}
	}
	p, err := filepath.EvalSymlinks(p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// unpacked is a backend on the real Firecracker, with a kernel that it takes.
func unpacked(t *testing.T, m *microvm.Probed) microvm.Backend {
	t.Helper()
	m.T = t
	m.Firecracker = microvm.Firecracker{Program: firecracker(t), Arch: runtime.GOARCH}
	k, err := image.FindKernel("", "/boot", "/lib/modules", runtime.GOARCH)
	if err != nil {
		lacks(t, "a kernel for guests: "+err.Error())
	}
	s := images(t)
	if _, err := s.ELF(k); err != nil {
		if _, err := s.AddELF(context.Background(), k, func(f *os.File, n int64) ([]byte, error) { return vmlinux.Unpack(f, n) }); err != nil {
			t.Fatal(err)
		}
	}
	if k, err = s.ELF(k); err != nil {
		t.Fatal(err)
	}
	p, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return microvm.Backend{Monitor: m, Store: s, Kernel: k, Program: p}
}

// build is a cell of a command on a backend that may fail.
func build(b microvm.Backend, dir string, out *os.File, argv ...string) (cell.Cell, error) {
	a := &authority.Authority{ID: "real", Command: authority.Command{Argv: argv, Env: []authority.Variable{{Name: "PATH", Value: authority.Path}}, Hostname: "cell"},
		Work: authority.Work{Path: dir, Mode: authority.Read}, Syscalls: "hardened", Limits: authority.Limits{Processes: 256, Scratch: 64 << 20}}
	h, err := host.Describe(plan.Paths(a))
	if err != nil {
		return nil, err
	}
	p, err := plan.ForGuest(a, h, b.Facts)
	if err != nil {
		return nil, err
	}
	return b.Build(context.Background(), p, cell.Streams{Out: out, Err: out})
}

// Without KVM the real Firecracker takes its whole configuration in a cell of ours, with the view as a vhost-user device, and says at the
// start what it misses.
func TestFirecrackerWithoutKVM(t *testing.T) {
	m := &microvm.Probed{NoKVM: true}
	b := unpacked(t, m)
	b.Facts = plan.Guest{Kernel: plan.Version{Major: 6, Minor: 1}, Landlock: 2, OpenMax: 1 << 19}
	_, err := build(b, workdir(t), nil, "/bin/true")
	var api *microvm.APIError
	if !errors.As(err, &api) || api.Path != "/actions" || api.Status != 400 || !strings.Contains(api.Fault, "KVM") && !strings.Contains(api.Fault, "kvm") {
		t.Errorf("without /dev/kvm: %v", err)
	}
	t.Logf("Firecracker %s: %v", m.Version, err)
}

// With KVM it starts the machine: the kernel's first messages come out of the serial line, and an end of the start leaves nothing.
func TestFirecrackerStarts(t *testing.T) {
	m := &microvm.Probed{Stop: true}
	b := unpacked(t, m)
	if err := microvm.CheckKVM(); err != nil {
		t.Skip("this machine has no KVM: " + err.Error())
	}
	b.Facts = plan.Guest{Kernel: plan.Version{Major: 6, Minor: 1}, Landlock: 2, OpenMax: 1 << 19}
	if _, err := build(b, workdir(t), nil, "/bin/true"); !errors.Is(err, microvm.ErrStopped) || !strings.Contains(m.Console, b.Kernel.Release) {
		t.Errorf("%v; on the serial line: %q", err, m.Console)
	}
}

// A whole life on the real Firecracker, and the death of one.
func TestFirecrackerLife(t *testing.T) {
	m := &microvm.Probed{}
	b := unpacked(t, m)
	if err := microvm.CheckKVM(); err != nil {
		t.Skip("this machine has no KVM: " + err.Error())
	}
	var err error
	b.Facts, err = b.LearnFacts(context.Background())
	var end *microvm.EndError
	if errors.As(err, &end) && m.Started && os.Getenv("CELLOS_TEST_HAS_KVM") == "" {
		t.Skipf("the KVM of this machine does not take a kernel to its first process (%v); the last that came out of its serial line: %q", err, m.Console[max(0, len(m.Console)-300):])
	}
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c, err := build(b, workdir(t), w, "/bin/sh", "-c", "uname -r; exit 7")
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Destroy()
	bound, err := c.Measure(context.Background())
	if err != nil || bound.Err() != nil {
		t.Fatal(err, bound.Err())
	}
	if err := c.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
	o, err := c.Wait()
	if err != nil || o.Code != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	if out, err := io.ReadAll(r); err != nil || !bytes.Contains(out, []byte(b.Kernel.Release)) {
		t.Errorf("%q, %v", out, err)
	}
	if res := c.Destroy(); !res.Clean() {
		t.Errorf("left: %+v", res)
	}
	if c, err = build(b, workdir(t), nil, "/bin/sleep", "1000"); err != nil {
		t.Fatal(err)
	}
	defer c.Destroy()
	if _, err := c.Measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Release(context.Background()), syscall.Kill(c.PID(), syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(); !errors.As(err, &end) || end.Reason != "vmm_exited" {
		t.Errorf("the end is %v", err)
	}
}
