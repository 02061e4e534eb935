package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// PVH reports whether an ELF kernel says where it is entered without a loader of its own, which QEMU needs: by a note of the name Xen and
// the type XEN_ELFNOTE_PHYS32_ENTRY (xen/include/public/elfnote.h).
func PVH(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("looking at the kernel: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > 1<<20 {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			return fmt.Errorf("looking at the kernel %s: %w", path, err)
		}
		if hasNote(b, f.ByteOrder, "Xen\x00", 18) {
			return nil
		}
	}
	return errors.New("the kernel " + path + " has no entry for machines without a loader (PVH)")
}

// hasNote looks for a note: elf(5).
func hasNote(b []byte, order binary.ByteOrder, name string, kind uint32) bool {
	for len(b) >= 12 {
		n, d, t := int(order.Uint32(b)), int(order.Uint32(b[4:])), order.Uint32(b[8:])
		b = b[12:]
		if n < 0 || d < 0 || n > len(b) || d > len(b) {
			return false
		}
		if t == kind && bytes.Equal(b[:n], []byte(name)) {
			return true
		}
		b = b[min(len(b), (n+3)&^3+(d+3)&^3):]
	}
	return false
}
