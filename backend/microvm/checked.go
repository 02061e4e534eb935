//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"cellos.io/cellos/plan"
)

// Digests are those of the files that boot, "sha256:…".
type Digests struct {
	Kernel  string // the file that the monitor reads
	Packed  string // the file that the kernel was packed in; "": it is the kernel itself
	Initrd  string
	Root    string // the image that was asked for as the root; "": the system's own files are
	Monitor string // the program
}

// find opens the kernel and the monitor's program, says what they are, and compares that with the manifest. The descriptors stay open: what
// the monitor finds under its names has to be these files (stands). The images of the store are named after their digests.
func (c *machineCell) find(ctx context.Context, b Backend) (err error) {
	d := &c.digests
	if c.kernel, err = b.Store.OpenKernel(b.Kernel); err != nil {
		return fmt.Errorf("opening the guest's kernel: %w", err)
	}
	if c.program, err = os.Open(b.Monitor.Command(Machine{}).Argv[0]); err != nil {
		return fmt.Errorf("opening the monitor's program: %w", err)
	}
	if err := errors.Join(c.keep(c.kernel), c.keep(c.program), c.keep(c.initrd.Descriptor())); err != nil {
		return err
	}
	if d.Kernel = b.Kernel.Digest; d.Kernel == "" {
		if d.Kernel, err = b.Store.DigestOf(ctx, c.kernel); err != nil {
			return fmt.Errorf("reading the guest's kernel: %w", err)
		}
	} else if d.Packed, err = packed(ctx, b); err != nil {
		return err
	}
	if d.Monitor, err = b.Store.DigestOf(ctx, c.program); err != nil {
		return fmt.Errorf("reading the monitor's program: %w", err)
	}
	d.Initrd = c.initrd.Digest
	return b.Manifest.check(*d)
}

// Boots compares what a plan's machine would boot with the manifest, and returns the pinned digests, in hexadecimal; none without a manifest.
// What boots is compared again when it does.
func (b Backend) Boots(ctx context.Context, p *plan.Plan) (kernel, root, monitor string, err error) {
	if b.Manifest == nil || p.Machine == nil {
		return "", "", "", nil
	}
	program, err := os.Open(b.Program)
	if err != nil {
		return "", "", "", fmt.Errorf("opening the guest's program: %w", err)
	}
	defer program.Close()
	c := b.newCell(p)
	defer c.Destroy()
	if c.initrd, err = b.Store.Initramfs(ctx, b.Kernel, program); err != nil {
		return "", "", "", fmt.Errorf("making the guest's initial file system: %w", err)
	}
	c.images, c.digests.Root = append(c.images, c.initrd), p.Machine.Image
	if err := c.find(ctx, b); err != nil {
		return "", "", "", err
	}
	pinned := func(role string) string { return strings.TrimPrefix(b.Manifest.digests[role], "sha256:") }
	return pinned("kernel"), pinned("rootfs"), pinned("vmm"), nil
}

// Check compares what would boot with the manifest, if there is one. Root is the file system of the image that was asked for, "" for none.
func (b Backend) Check(ctx context.Context, root string) error {
	_, _, _, err := b.Boots(ctx, &plan.Plan{Machine: &plan.Machine{Image: root}})
	return err
}

// packed is the digest of the file that the kernel was unpacked from, as it is now.
func packed(ctx context.Context, b Backend) (string, error) {
	f, err := os.Open(b.Kernel.Packed)
	if err != nil {
		return "", fmt.Errorf("opening the guest's kernel: %w", err)
	}
	defer f.Close()
	d, err := b.Store.DigestOf(ctx, f)
	if err == nil && d != b.Kernel.PackedDigest {
		err = fmt.Errorf("%s is not the file that was unpacked", b.Kernel.Packed)
	}
	if err != nil {
		return "", fmt.Errorf("reading the guest's kernel: %w", err)
	}
	return d, nil
}

// A checkedFile is one that boots, and its change time when it was checked.
type checkedFile struct {
	file *os.File
	time int64
}

// bootFiles is how many of the checked files are not images.
const bootFiles = 3

// keep notes that a file boots: first the kernel, the monitor's program and the initial file system, then the drives in their order.
func (c *machineCell) keep(f *os.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	c.checked = append(c.checked, checkedFile{f, changeTime(fi)})
	return nil
}

// stands reports whether the names in the monitor's cell are the files that were checked, not written to since. It looks into the cell as
// it was built: before the monitor is started, and when it has opened everything.
func (c *machineCell) stands() error {
	names := append([]string{c.machine.Kernel, c.program.Name(), c.machine.Initrd}, c.machine.Drives...)
	root := "/proc/" + strconv.Itoa(c.monitor.PID()) + "/root"
	for i, x := range c.checked {
		was, err := x.file.Stat()
		if err != nil {
			return err
		}
		now := was
		if i < len(names) { // the others the monitor has from us
			if now, err = os.Stat(root + names[i]); err != nil {
				return fmt.Errorf("looking at what the machine boots: %w", err)
			}
		}
		if !os.SameFile(was, now) || changeTime(now) != x.time {
			return &EndError{Reason: "changed", Text: x.file.Name() + " changed while the machine was started"}
		}
	}
	return nil
}

// changeTime is the time that no program can set: every write to the file changes it (inode(7)).
func changeTime(fi os.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return 0
}
