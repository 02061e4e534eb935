package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Kernel is a Linux kernel on this machine that a guest can boot.
type Kernel struct {
	Path    string // of the kernel itself
	Release string // "6.1.0-56-cloud-amd64"
	Modules string // folder of its modules
	Arch    string // "amd64" or "arm64"
	Format  string // "bzImage", "Image" or "ELF"

	Digest               string // "sha256:…", of a kernel that the store unpacked
	Packed, PackedDigest string // the file that it was packed in, and its digest
}

// Kernels are where distributions put kernels; {release} is that of the modules.
var kernelNames = []string{"vmlinuz-", "vmlinux-", "Image-"}

// FindKernel finds a kernel for an architecture: the one at path if it is not empty, else one in boot whose modules are in modules
// (/boot, /lib/modules). Kernels that are built for virtual machines come first, and the newest of them.
func FindKernel(name, boot, modules, arch string) (Kernel, error) {
	if name != "" {
		return openKernel(name, modules, arch)
	}
	entries, err := os.ReadDir(boot)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Kernel{}, fmt.Errorf("looking for a kernel: %w", err)
	}
	var names []string
	for _, e := range entries {
		for _, p := range kernelNames {
			if strings.HasPrefix(e.Name(), p) {
				names = append(names, e.Name())
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if x, y := strings.Contains(a, "cloud"), strings.Contains(b, "cloud"); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(b, a)
	})
	var why []error
	for _, n := range names {
		k, err := openKernel(filepath.Join(boot, n), modules, arch)
		if err == nil {
			return k, nil
		}
		why = append(why, err)
	}
	if len(why) > 0 {
		return Kernel{}, fmt.Errorf("no kernel in %s can be used: %w", boot, errors.Join(why...))
	}
	return Kernel{}, fmt.Errorf("no kernel in %s", boot)
}

// openKernel looks at a kernel's file, and finds its modules.
func openKernel(file, modules, arch string) (Kernel, error) {
	f, err := os.Open(file)
	if err != nil {
		return Kernel{}, err
	}
	defer f.Close()
	k := Kernel{Path: file}
	if k.Format, k.Arch, err = kernelFormat(f); err != nil {
		return Kernel{}, fmt.Errorf("%s: %w", file, err)
	}
	if k.Arch != arch {
		return Kernel{}, fmt.Errorf("%s is a kernel for %s; the machine is %s", file, k.Arch, arch)
	}
	for _, p := range kernelNames {
		if r, ok := strings.CutPrefix(filepath.Base(file), p); ok {
			k.Release = r
		}
	}
	if k.Release == "" {
		return Kernel{}, fmt.Errorf("%s: the name does not tell the release; modules are found by it (vmlinuz-RELEASE)", file)
	}
	k.Modules = filepath.Join(modules, k.Release)
	if _, err := os.Stat(filepath.Join(k.Modules, "modules.dep")); err != nil {
		return Kernel{}, fmt.Errorf("%s: its modules are not in %s: %w", file, k.Modules, err)
	}
	return k, nil
}

// kernelFormat tells what kind of kernel a file is: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst.
func kernelFormat(r io.ReaderAt) (format, arch string, err error) {
	head := make([]byte, 0x240)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", "", err
	}
	head = head[:n]
	switch {
	case len(head) > 0x206 && string(head[0x202:0x206]) == "HdrS":
		if binary.LittleEndian.Uint16(head[0x206:]) < 0x20c {
			return "", "", errors.New("a kernel for 32 bits, or one that is too old")
		}
		return "bzImage", "amd64", nil
	case len(head) > 0x3c && string(head[0x38:0x3c]) == "ARM\x64":
		return "Image", "arm64", nil
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)) && len(head) > 20:
		switch elf.Machine(binary.LittleEndian.Uint16(head[18:])) {
		case elf.EM_X86_64:
			return "ELF", "amd64", nil
		case elf.EM_AARCH64:
			return "ELF", "arm64", nil
		}
		return "", "", errors.New("a program for another processor")
	}
	return "", "", errors.New("no Linux kernel")
}
