//go:build linux && (amd64 || arm64)

package microvm

import (
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/guest/agent"
	"cellos.io/cellos/host"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Facts starts the machine once, without a cell, to learn what its kernel is, unless the store knows.
func (b Backend) LearnFacts(ctx context.Context) (plan.Guest, error) {
	program, err := os.Open(b.Program)
	if err != nil {
		return plan.Guest{}, fmt.Errorf("opening the guest's program: %w", err)
	}
	defer program.Close()
	initrd, err := b.Store.Initramfs(ctx, b.Kernel, program)
	if err != nil {
		return plan.Guest{}, err
	}
	defer initrd.Close()
	fi, err := os.Stat(b.Kernel.Path)
	if err != nil {
		return plan.Guest{}, err
	}
	monitor := b.Monitor.Name()
	if q, ok := b.Monitor.(QEMU); ok && q.KVM {
		monitor += "-kvm"
	}
	name := fmt.Sprintf("%s-%s-%d-%d-%s", monitor, filepath.Base(b.Kernel.Path), fi.Size(), fi.ModTime().UnixNano(), initrd.Digest[7:23])
	var h guest.Hello
	if b.Store.Facts(name, &h) == nil && h.Protocol == guest.Protocol {
		return FactsOf(h), nil
	}
	c := b.newCell(&plan.Plan{Machine: &plan.Machine{Memory: 256 << 20, CPUs: 1}})
	c.images, c.initrd, c.learning = []*image.Image{initrd}, initrd, true
	defer c.Destroy()
	if err := c.find(ctx, b); err != nil {
		return plan.Guest{}, err
	}
	if err := c.start(ctx, b, cell.Streams{}); err != nil {
		return plan.Guest{}, fmt.Errorf("looking at the guest's kernel: %w", err)
	}
	return FactsOf(c.hello), b.Store.SetFacts(name, c.hello)
}

// fits compares the kernel that answers with the one that the plan was made for.
func (c *machineCell) fits(h guest.Hello, b Backend) error {
	c.hello = h
	if c.learning {
		return nil
	}
	got := FactsOf(h)
	if h.Arch != b.Kernel.Arch || fmt.Sprint(got) != fmt.Sprint(b.Facts) {
		return &EndError{Reason: "boot_failed", Text: fmt.Sprintf("the guest is not what the plan was made for: it has %v on %s, planned was %v on %s", got, h.Arch, b.Facts, b.Kernel.Arch)}
	}
	return nil
}

// FactsOf turns a greeting into what plans need to know.
func FactsOf(h guest.Hello) plan.Guest {
	return plan.Guest{Kernel: host.ParseVersion(h.Kernel), Landlock: h.Landlock, Proc: plan.GuestProc(h.Proc), OpenMax: agent.OpenMax, TUN: h.TUN, IPv6: h.IPv6}
}
