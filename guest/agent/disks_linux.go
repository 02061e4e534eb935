//go:build linux && (amd64 || arm64)

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/guest"
	"cellos.io/cellos/sysabi"
)

// disks are the machine's block devices, and where they are mounted.
type disks struct {
	serials map[string]string // serial number to device file; parts have theirs from the host
	parts   int               // of the disk that has any
	places  map[string]string // serial number to folder
}

// mount mounts every drive read-only in staging, unless one of the same device is mounted, and returns where.
func (d *disks) mount(c guest.Config) (places []string, err error) {
	if d.places == nil {
		d.places = map[string]string{}
	}
	devices := map[string]bool{} // several may be shown of one, and some are parts of one
	for _, p := range c.Parts {
		devices[p.Device] = true
	}
	for _, x := range c.Drives {
		if len(c.Parts) == 0 {
			devices[x.Device] = true
			if x.Data != "" {
				devices[x.Data] = true
			}
		}
	}
	if len(d.serials) == 0 {
		if d.serials, err = blockDevices(len(devices)); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Parts {
		if err := d.part(p); err != nil {
			return nil, err
		}
	}
	for _, x := range c.Drives {
		at, mounted := d.places[x.Device]
		if !mounted {
			at = filepath.Join(staging, strconv.Itoa(len(d.places)))
			if err := d.show(x, at); err != nil {
				return nil, fmt.Errorf("mounting the drive %s: %w", x.Device, err)
			}
			d.places[x.Device] = at
		}
		places = append(places, at)
	}
	return places, nil
}

// show mounts one drive.
func (d *disks) show(x guest.Drive, at string) error {
	dev, options := d.serials[x.Device], ""
	if x.Data != "" {
		options = "device=" + d.serials[x.Data]
	}
	if dev == "" || options == "device=" {
		return fmt.Errorf("it is not there; the machine has %v", d.serials)
	}
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	return sysabi.Mount(dev, at, "erofs", sysabi.MS_RDONLY|sysabi.MS_NODEV|sysabi.MS_NOSUID, options)
}

// part makes a block device of a part of a disk. The kernel's node of it is there when the call returns.
func (d *disks) part(p guest.Part) error {
	whole, ok := d.serials[p.Device]
	if !ok {
		return fmt.Errorf("the disk %s is not there; the machine has %v", p.Device, d.serials)
	}
	f, err := os.Open(whole)
	if err != nil {
		return err
	}
	defer f.Close()
	d.parts++
	if err := sysabi.AddPartition(f, d.parts, p.Start, p.Size); err != nil {
		return fmt.Errorf("making part %d of the disk %s: %w", d.parts, p.Device, err)
	}
	d.serials[p.Serial] = whole + strconv.Itoa(d.parts)
	return nil
}

// blockDevices finds at least n block devices by their serial numbers; where the monitor gives none, by their names: drive 0 is vda.
func blockDevices(n int) (map[string]string, error) {
	found := map[string]string{}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		clear(found)
		names, err := filepath.Glob("/sys/block/vd*")
		if err != nil {
			return nil, err
		}
		for _, dir := range names {
			name := filepath.Base(dir)
			serial := strconv.Itoa(int(name[2] - 'a'))
			if b, err := os.ReadFile(dir + "/serial"); err == nil && len(strings.TrimSpace(string(b))) > 0 {
				serial = strings.TrimSpace(string(b))
			}
			if _, err := os.Lstat("/dev/" + name); err == nil {
				found[serial] = "/dev/" + name
			}
		}
		if len(found) >= n || time.Now().After(deadline) {
			return found, nil
		}
	}
}
