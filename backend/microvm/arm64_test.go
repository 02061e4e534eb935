//go:build linux && amd64

package microvm_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/host"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
)

// A guest of another architecture: the kernel of a folder that CELLOS_TEST_ARM64 names (boot/vmlinuz-*, lib/modules), as check makes it, and
// a command that is built for it. Plan, protocol, first process and probes are those of arm64.
func TestMachineOfARM64(t *testing.T) {
	if testing.Short() {
		t.Skip("a machine more")
	}
	top := os.Getenv("CELLOS_TEST_ARM64")
	qemu, err := exec.LookPath("qemu-system-aarch64")
	if err != nil || top == "" {
		t.Skip("needs qemu-system-aarch64 (qemu-system-arm), and CELLOS_TEST_ARM64, the folder of a kernel for arm64 (linux-image-cloud-arm64)")
	}
	k, err := image.FindKernel("", filepath.Join(top, "boot"), filepath.Join(top, "lib/modules"), "arm64")
	if err != nil {
		t.Fatal(err)
	}
	dir := workdir(t)
	build := func(out, what string) string {
		out = filepath.Join(t.TempDir(), out)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, what)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=arm64")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		return out
	}
	src := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(src, []byte(`package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
)

func main() {
	b, _ := io.ReadAll(os.Stdin)
	_, _, e := syscall.RawSyscall(syscall.SYS_UNSHARE, syscall.CLONE_NEWUSER, 0, 0)
	fmt.Println(runtime.GOARCH, os.Getpid(), os.Getuid() != 0, string(b), e == syscall.EPERM)
	os.WriteFile("made", b, 0o644)
	os.Exit(7)
}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(build("prog", src))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "prog"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	store, err := image.Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	b := microvm.Backend{Monitor: microvm.QEMU{Program: qemu, Arch: "arm64"}, Store: store, Kernel: k, Program: build("cellos", "cellos.io/cellos/cmd/cellos")}
	if b.Facts, err = b.LearnFacts(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := &authority.Authority{ID: "arm64", Command: authority.Command{Argv: []string{"./prog"}, Env: []authority.Variable{{Name: "PATH", Value: authority.Path}}, Hostname: "cell"},
		Work: authority.Work{Path: dir, Mode: authority.Overlay}, Syscalls: "hardened", Limits: authority.Limits{Processes: 64, Scratch: 16 << 20}}
	h, err := host.Describe(plan.Paths(a))
	if err != nil {
		t.Fatal(err)
	}
	h.Arch = "arm64"
	p, err := plan.ForGuest(a, h, b.Facts)
	if err != nil {
		t.Fatal(err)
	}
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	printed, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Build(t.Context(), p, cell.Streams{In: in, Out: out, Err: out})
	in.Close()
	out.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Destroy() })
	released(t, c)
	if _, err := typed.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	typed.Close()
	o, err := c.Wait()
	if err != nil || o.Code != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	if text, err := io.ReadAll(printed); err != nil || strings.TrimSpace(string(text)) != "arm64 2 true hello true" {
		t.Errorf("printed %q, %v", text, err)
	}
	if res := c.Destroy(); !res.Clean() {
		t.Errorf("left: %+v", res)
	}
}
