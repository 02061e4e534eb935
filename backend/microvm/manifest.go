//go:build linux && (amd64 || arm64)

package microvm

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// check compares what was found with what is pinned. For a kernel that was unpacked, either file may be the pinned one.
func (m *Manifest) check(d Digests) error {
	if m == nil {
		return nil
	}
	var errs []error
	for _, x := range []struct {
		role string
		got  []string
	}{{"kernel", []string{d.Kernel, d.Packed}}, {"initrd", []string{d.Initrd}}, {"rootfs", []string{d.Root}}, {"vmm", []string{d.Monitor}}} {
		want := m.digests[x.role]
		if want == "" || slices.Contains(x.got, want) {
			continue
		}
		found := x.got[len(x.got)-1] // the file that the user named
		if found == "" {
			found = x.got[0]
		}
		errs = append(errs, &MismatchError{Role: x.role, Want: want, Got: found})
	}
	return errors.Join(errs...)
}

// A MismatchError is a file that is not the one that a manifest pins.
type MismatchError struct {
	Role      string // "kernel", "initrd", "rootfs" or "vmm"
	Want, Got string // "sha256:…"; Got is "" if there is no such file
}

func (e *MismatchError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("artifact digest mismatch for role %s: the manifest has %s, and no such file boots", e.Role, e.Want)
	}
	return fmt.Sprintf("artifact digest mismatch for role %s: the manifest has %s, the file %s", e.Role, e.Want, e.Got)
}
