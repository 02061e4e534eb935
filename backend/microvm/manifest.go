//go:build linux && (amd64 || arm64)

package microvm

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"cellos.io/cellos/image"
)

// A Manifest pins what may boot: for each role the SHA-256 of the file.
//
//	# comment
//	sha256:9f86d0…  kernel  /boot/vmlinuz-6.1.0-56-cloud-amd64
//	sha256:60303a…  initrd  -
//
// The roles are kernel, initrd, rootfs, and vmm or firecracker for the monitor. Of two lines with one role the first counts; the path is
// for people. Roles that are not known are refused: somebody wanted them checked.
type Manifest struct{ digests map[string]string }

// Digests are what was found when the files were read.
type Digests struct {
	Kernel, Initrd, Monitor string // "sha256:…"
	kernelTime              int64
}

// ParseManifest reads a manifest. Every bad line is an error with its number, all at once.
func ParseManifest(b []byte) (*Manifest, error) {
	m := &Manifest{digests: map[string]string{}}
	var errs []error
	s := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 3 {
			errs = append(errs, fmt.Errorf("line %d: %d fields instead of sha256:HEX ROLE PATH", n, len(f)))
			continue
		}
		hexes, ok := strings.CutPrefix(f[0], "sha256:")
		if sum, err := hex.DecodeString(hexes); !ok || err != nil || len(sum) != sha256.Size {
			errs = append(errs, fmt.Errorf("line %d: %q is not sha256: and 64 hexadecimal digits", n, f[0]))
			continue
		}
		role := f[1]
		switch role {
		case "firecracker":
			role = "vmm"
		case "kernel", "initrd", "rootfs", "vmm":
		default:
			errs = append(errs, fmt.Errorf("line %d: the role %q is none of kernel, initrd, rootfs, vmm and firecracker", n, role))
			continue
		}
		if _, twice := m.digests[role]; !twice {
			m.digests[role] = "sha256:" + strings.ToLower(hexes)
		}
	}
	if err := s.Err(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 0 && m.digests["kernel"] == "" {
		errs = append(errs, errors.New("the role kernel is missing"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// check reads the kernel and the monitor from the descriptors that are kept, and compares. The images of the store are named after
// their digests.
func (m *Manifest) check(kernel *os.File, initrd *image.Image, monitor Monitor, d *Digests) error {
	fi, err := kernel.Stat()
	if err != nil {
		return err
	}
	d.kernelTime, d.Initrd = changeTime(fi), initrd.Digest
	if d.Kernel, err = digest(kernel); err != nil {
		return fmt.Errorf("reading the guest's kernel: %w", err)
	}
	if m == nil {
		return nil
	}
	var errs []error
	pinned := func(role, got string) {
		if want := m.digests[role]; want != "" && want != got {
			errs = append(errs, fmt.Errorf("artifact digest mismatch for role %s: the manifest has %s, the file %s", role, want, got))
		}
	}
	pinned("kernel", d.Kernel)
	pinned("initrd", d.Initrd)
	if m.digests["vmm"] != "" {
		f, err := os.Open(monitor.Command(Machine{}).Argv[0])
		if err != nil {
			return fmt.Errorf("reading the monitor: %w", err)
		}
		defer f.Close()
		if d.Monitor, err = digest(f); err != nil {
			return fmt.Errorf("reading the monitor: %w", err)
		}
		pinned("vmm", d.Monitor)
	}
	return errors.Join(errs...)
}

func digest(f io.ReaderAt) (string, error) {
	h := sha256.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(f, 0, 1<<62), make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
