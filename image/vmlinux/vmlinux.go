// Package vmlinux takes the kernel proper out of the file that distributions install.
//
//	elf, err := vmlinux.Unpack(file, size)
//
// On amd64 that file is a bzImage: a small program with the kernel proper, an ELF file, compressed behind it. Firecracker before 1.17 takes
// only the ELF file, and a guest that need not unpack itself boots sooner. The package reads the formats in which distributions compress:
// gzip, bzip2, xz, zstd, lz4.
package vmlinux

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"github.com/pierrec/lz4/v4"
)

// MaxSize bounds a kernel, packed and unpacked, in bytes. Those of distributions have some 50 MiB.
const MaxSize = 512 << 20

// Unpack returns the ELF file in a bzImage of a size: Documentation/arch/x86/boot.rst, from protocol 2.08 on.
func Unpack(r io.ReaderAt, size int64) ([]byte, error) {
	packed, err := payload(r, size)
	if err != nil {
		return nil, err
	}
	data, err := decompress(packed)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return nil, errors.New("what is packed in it is no kernel for amd64")
	}
	return data, nil
}

// payload finds the packed kernel.
func payload(r io.ReaderAt, size int64) ([]byte, error) {
	head := make([]byte, 0x250)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("reading its header: %w", err)
	}
	if string(head[0x202:0x206]) != "HdrS" || binary.LittleEndian.Uint16(head[0x206:]) < 0x208 {
		return nil, errors.New("it is no bzImage, or a very old one")
	}
	sectors := int64(head[0x1f1])
	if sectors == 0 {
		sectors = 4
	}
	at := (sectors+1)*512 + int64(binary.LittleEndian.Uint32(head[0x248:]))
	n := int64(binary.LittleEndian.Uint32(head[0x24c:]))
	if n < 8 || n > MaxSize || at > size-n {
		return nil, fmt.Errorf("its header names %d bytes from %d on; it has %d", n, at, size)
	}
	packed := make([]byte, n)
	if _, err := r.ReadAt(packed, at); err != nil {
		return nil, fmt.Errorf("reading what is packed in it: %w", err)
	}
	return packed, nil
}

// decompress unpacks by the first bytes. All formats but gzip have the size behind them, as the kernel's build adds it
// (scripts/Makefile.lib: size_append).
func decompress(b []byte) ([]byte, error) {
	size := int64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	body := b[:len(b)-4]
	var r io.Reader
	var err error
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		r, err = gzip.NewReader(bytes.NewReader(b))
	case bytes.HasPrefix(b, []byte("BZh")):
		r = bzip2.NewReader(bytes.NewReader(body))
	case bytes.HasPrefix(b, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		r, err = xz.NewReader(bytes.NewReader(body), 128<<20)
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderMaxMemory(MaxSize), zstd.WithDecoderMaxWindow(MaxSize)); err == nil {
			defer d.Close()
			r = d
		}
	case bytes.HasPrefix(b, []byte{0x02, 0x21, 0x4c, 0x18}):
		r = lz4.NewReader(bytes.NewReader(body))
	default:
		return nil, fmt.Errorf("it is packed in a format that is not known (it begins with %x)", b[:4])
	}
	if err != nil {
		return nil, fmt.Errorf("unpacking it: %w", err)
	}
	if size > MaxSize {
		return nil, fmt.Errorf("it would have %d bytes; at most %d are taken", size, MaxSize)
	}
	var out bytes.Buffer
	out.Grow(int(size))
	n, err := io.Copy(&out, io.LimitReader(r, size+1))
	if err != nil {
		return nil, fmt.Errorf("unpacking it: %w", err)
	}
	if n != size {
		return nil, fmt.Errorf("unpacking it: %d bytes or more instead of %d", n, size)
	}
	return out.Bytes(), nil
}
