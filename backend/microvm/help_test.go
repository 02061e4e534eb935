//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
)

// program builds cellos once: it is the first process of every guest.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cellos-microvm-test-")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "cellos")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "cellos.io/cellos/cmd/cellos")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v\n%s", err, b)
	}
	return out, nil
})

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == fakeWord {
		beFake(os.Args[2])
	}
	if len(os.Args) == 3 && os.Args[1] == supervisorWord {
		beSupervisor(os.Args[2])
		return
	}
	if len(os.Args) == 3 && os.Args[1] == poolWord {
		bePool(os.Args[2])
		return
	}
	code := m.Run()
	if p, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(p))
	}
	os.Exit(code)
}

// images is the store of the tests, one for all of them.
func images(t testing.TB) *image.Store {
	t.Helper()
	p, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s, err := image.Open(filepath.Join(filepath.Dir(p), "images"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// backend is a backend on QEMU without KVM.
func backend(t testing.TB) microvm.Backend {
	t.Helper()
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil || runtime.GOARCH != "amd64" {
		lacks(t, "qemu-system-x86_64")
	}
	k, err := image.FindKernel("", "/boot", "/lib/modules", "amd64")
	if err != nil {
		lacks(t, "a kernel for guests: "+err.Error())
	}
	p, err := program()
	if err != nil {
		t.Fatal(err)
	}
	b := microvm.Backend{Monitor: microvm.QEMU{Program: qemu, Arch: "amd64"}, Store: images(t), Kernel: k, Program: p,
		Phase: func(name string, took time.Duration) { t.Logf("%s: %v", name, took.Round(time.Millisecond)) }}
	if b.Facts, err = b.LearnFacts(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.Phase = func(name string, took time.Duration) { t.Logf("%s: %v", name, took.Round(time.Millisecond)) }
	return b
}

// lacks skips a test for want of a feature, where the machine does not promise to have it.
func lacks(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CELLOS_TEST_HAS_MICROVM") != "" {
		t.Fatal("this machine has no " + what)
	}
	t.Skip("this machine has no " + what)
}

func planFor(b microvm.Backend) func(*authority.Authority, plan.Host) (*plan.Plan, error) {
	return func(a *authority.Authority, h plan.Host) (*plan.Plan, error) { return plan.ForGuest(a, h, b.Facts) }
}
