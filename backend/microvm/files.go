//go:build linux && (amd64 || arm64)

package microvm

import (
	"cellos.io/cellos/guest"
	"cellos.io/cellos/image"
	"context"
	"fmt"
	"os"
	"slices"
)

// boots gets the kernel, the monitor's program and the initial file system ready, each an open descriptor.
func (c *machineCell) boots(ctx context.Context, b Backend) error {
	program, err := os.Open(b.Program)
	if err != nil {
		return fmt.Errorf("opening the guest's program: %w", err)
	}
	defer program.Close()
	initrd, err := b.Store.Initramfs(ctx, b.Kernel, program)
	if err != nil {
		return fmt.Errorf("making the guest's initial file system: %w", err)
	}
	c.images = append(c.images, initrd)
	c.initrd, c.digests.Root = initrd, c.plan.Machine.Image
	return c.find(ctx, b)
}

// files gets the images ready.
func (c *machineCell) files(ctx context.Context, b Backend) error {
	m := c.plan.Machine
	owner := image.Owner{UID: m.Owner.UID, GID: m.Owner.GID, CellUID: m.UID, CellGID: m.GID}
	if m.Owner.UID == 0 {
		// Root's files stay root's; those of each granted tree's owner become the cell's, as on a host.
		owner = image.Owner{UID: ^uint32(0), GID: ^uint32(0)}
	}
	drive := func(img *image.Image, d guest.Drive) error {
		n := slices.IndexFunc(c.images[1:], func(x *image.Image) bool { return x.Digest == img.Digest })
		if n < 0 {
			n = len(c.images) - 1
			c.images = append(c.images, img)
			if err := c.keep(img.Descriptor()); err != nil {
				return err
			}
		} else {
			defer img.Close() // trees that are the same are one drive
		}
		fi, err := img.Descriptor().Stat()
		if err != nil {
			return err
		}
		if d.Device, err = c.device(b, n, img, fi); err != nil {
			return err
		}
		c.drives = append(c.drives, d)
		return nil
	}
	add := func(w image.Want, at string) error {
		img, err := b.Store.Tree(ctx, w)
		if err != nil {
			return err
		}
		return drive(img, guest.Drive{At: []byte(at), File: []byte(img.File)})
	}
	if m.Image != "" {
		img, err := b.Store.Image(m.Image)
		if err != nil {
			return err
		}
		if err := drive(img, guest.Drive{At: []byte("/")}); err != nil {
			return err
		}
	} else if err := c.system(ctx, b, owner, drive); err != nil {
		return err
	}
	if len(m.Etc) > 0 {
		if err := add(image.Want{Path: "/etc", Owner: owner, Names: m.Etc}, "/etc"); err != nil {
			return err
		}
	}
	for _, t := range m.Trees {
		o, err := image.OwnerFor(t, m.Owner.UID, m.Owner.GID)
		if err != nil {
			return err
		}
		if err := add(image.Want{Path: t, Owner: o, Exclude: m.Hidden}, t); err != nil {
			return err
		}
	}
	if n := len(c.images) - 1; n > maxDrives && c.disk == nil {
		return fmt.Errorf("%d granted paths; a machine has %d drives: grant folders that contain them", n, maxDrives)
	}
	return nil
}

// system shows the host's own folders, whose contents stay where they are.
func (c *machineCell) system(ctx context.Context, b Backend, owner image.Owner, drive func(*image.Image, guest.Drive) error) (err error) {
	m := c.plan.Machine
	if c.view, err = b.Store.View(ctx, image.Want{Path: "/", Owner: owner, Names: m.Base, Exclude: m.Hidden, System: systemSigns}); err != nil {
		return err
	}
	data, err := c.viewDevice()
	if err != nil {
		return err
	}
	return drive(c.view.Image, guest.Drive{Data: data, At: []byte("/")})
}

// maxDrives is what fits on a machine's bus beside the other devices.
const maxDrives = 24

// systemSigns stand for the system's folders: what a package manager changes, or whoever installs something, changes one of them.
var systemSigns = []string{"/usr", "/usr/*", "/usr/local/*", "/usr/lib/*", "/lib*", "/bin", "/sbin", "/var/lib/dpkg/status", "/var/lib/rpm/*", "/lib/apk/db/installed", "/var/lib/pacman/local"}
