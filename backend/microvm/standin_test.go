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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cellos.io/cellos/backend/contract"
	"cellos.io/cellos/backend/microvm"
)

// A standIn is a Firecracker whose machine QEMU emulates.
type standIn struct {
	microvm.Firecracker
	vsock string
}

// Command is Firecracker's, with the programs that it starts, and without KVM.
func (s standIn) Command(m microvm.Machine) microvm.Command {
	c := s.Firecracker.Command(m)
	c.Argv = append(c.Argv, "--qemu", "/usr/bin/qemu-system-x86_64", "--vsock", s.vsock)
	c.Exec = append(c.Exec, s.vsock)
	c.Devices = nil
	return c
}

var standInProgram = sync.OnceValues(func() (string, error) {
	p, err := program()
	if err != nil {
		return "", err
	}
	out := filepath.Join(filepath.Dir(p), "standin")
	cmd := exec.Command("go", "build", "-o", out, "cellos.io/cellos/backend/microvm/internal/cmd/standin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", errors.New(string(b))
	}
	return out, nil
})

// standInBackend is a backend on a stand-in.
func standInBackend(t *testing.T) microvm.Backend {
	t.Helper()
	b := backend(t)
	vsock := os.Getenv("CELLOS_VHOST_DEVICE_VSOCK")
	if vsock == "" {
		var err error
		if vsock, err = exec.LookPath("vhost-device-vsock"); err != nil {
			t.Skip("this machine has no vhost-device-vsock: neither CELLOS_VHOST_DEVICE_VSOCK nor PATH names one")
		}
	}
	if _, err := os.Stat("/usr/bin/qemu-system-x86_64"); err != nil {
		t.Skip("this machine has no /usr/bin/qemu-system-x86_64")
	}
	p, err := standInProgram()
	if err != nil {
		t.Fatal(err)
	}
	b.Monitor = standIn{microvm.Firecracker{Program: p, Arch: "amd64"}, vsock}
	if b.Facts, err = b.LearnFacts(context.Background()); err != nil {
		t.Fatal(err)
	}
	return b
}

// The contract of every backend, on a machine whose channel is vsock and whose view is a vhost-user device.
func TestContractOfStandIn(t *testing.T) {
	if os.Getenv("CELLOS_TEST_MACHINES") == "" {
		t.Skip("75 boots are not short: CELLOS_TEST_MACHINES=1 runs them all the same")
	}
	b := standInBackend(t)
	b.Phase = nil
	const copies = "a virtual machine has copies of the host's files"
	contract.Test(t, contract.Subject{Backend: b, Plan: planFor(b), Slow: true, InTurn: 2, AtOnce: 2, Refuses: map[string]string{
		"working directory: write":               copies,
		"granted files":                          copies,
		"files behave where they are the host's": copies,
	}})
}

// The whole of the Firecracker driver but Firecracker: its API, the vsock transport with a guest that connects, the system's files through
// the vhost-user device, drives found by Firecracker's serial numbers, standard streams, changes, the end, and the monitor's death.
func TestFirecrackerStandIn(t *testing.T) {
	b := standInBackend(t)
	dir := workdir(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	if err := os.WriteFile(filepath.Join(dir, "big"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := machine(t, b, dir, w, "/bin/sh", "-c", "uname -r; sha256sum <big; sha256sum </bin/ls; echo new >made; cat big; exit 7")
	w.Close()
	bound, err := c.Measure(context.Background())
	if err != nil || bound.Err() != nil {
		t.Fatal(err, bound.Err())
	}
	if err := c.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := c.Wait(); err != nil || o.Code != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	want, err := exec.Command("sh", "-c", "sha256sum <"+dir+"/big; sha256sum </bin/ls").Output()
	if err != nil {
		t.Fatal(err)
	}
	if s := b.Kernel.Release + "\n" + string(want); !strings.HasPrefix(string(out), s) || !bytes.Equal(out[len(s):], big) {
		t.Errorf("%d bytes, beginning with %.300q, want %q", len(out), out, s)
	}
	if f, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(int(c.Changes().Fd())) + "/made"); err != nil || string(f) != "new\n" {
		t.Errorf("changed: %q, %v", f, err)
	}
	if res := c.Destroy(); !res.Clean() {
		t.Errorf("left: %+v", res)
	}
	c = machine(t, b, dir, nil, "/bin/sleep", "1000")
	if _, err := c.Measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Release(context.Background()), syscall.Kill(c.PID(), syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	var end *microvm.EndError
	if _, err := c.Wait(); !errors.As(err, &end) || end.Reason != "vmm_exited" {
		t.Errorf("the end is %v", err)
	}
}
