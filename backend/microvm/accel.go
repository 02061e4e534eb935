//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cellos.io/cellos/guest"
)

// tryTime is how long a kernel may take to greet us under KVM when that is tried for the first time. It takes a second.
const tryTime = 30 * time.Second

// Accelerated returns the backend with KVM for QEMU, where that works; otherwise NoKVM of the result tells why the processor is emulated.
// That a device is there, and makes machines, is not enough, as in virtual machines of which the processor is a poor copy: the kernel is
// booted once, which also tells what LearnFacts wants to know. What came of it is remembered until the host is started again.
func (b Backend) Accelerated(ctx context.Context) Backend {
	q, ok := b.Monitor.(QEMU)
	if !ok || q.KVM {
		return b
	}
	if err := CheckKVM(); err != nil {
		b.NoKVM = err.Error()
		return b
	}
	name, err := tried(q, b.Kernel.Path)
	if err != nil {
		b.NoKVM = err.Error()
		return b
	}
	var was struct{ Why string }
	if b.Store.Facts(name, &was) != nil {
		try := b
		try.Monitor, try.Boot = QEMU{Program: q.Program, Arch: q.Arch, KVM: true}, tryTime
		if _, err := try.LearnFacts(ctx); err != nil {
			if ctx.Err() != nil {
				return b
			}
			was.Why = guest.Clean(err.Error(), 300)
		}
		b.Store.SetFacts(name, was) // else it is tried again
	}
	if was.Why != "" {
		b.NoKVM = kvmDevice + " is there, but a kernel does not boot with it: " + was.Why
		return b
	}
	b.Monitor = QEMU{Program: q.Program, Arch: q.Arch, KVM: true}
	return b
}

// tried is the name under which the store keeps what came of a try.
func tried(q QEMU, kernel string) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("asking since when the host runs: %w", err)
	}
	s := "kvm-" + strings.TrimSpace(string(boot))
	for _, p := range []string{q.Program, kernel} {
		fi, err := os.Stat(p)
		if err != nil {
			return "", err
		}
		s += fmt.Sprintf("-%s-%d-%d", filepath.Base(p), fi.Size(), fi.ModTime().UnixNano())
	}
	return s, nil
}

// processor tells how the machine's processor comes about.
func (b Backend) processor() string {
	q, ok := b.Monitor.(QEMU)
	switch {
	case !ok || q.KVM:
		return " with KVM"
	case b.NoKVM != "":
		return ", which emulates the processor (" + b.NoKVM + "),"
	}
	return ", which emulates the processor,"
}
