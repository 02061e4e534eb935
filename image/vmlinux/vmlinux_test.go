package vmlinux_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/image/vmlinux"
)

// kernel is a small ELF file of which kernels have the header.
func kernel(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	if err := binary.Write(&b, binary.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	for i := range 300_000 { // more than one block of most formats, and calls whose targets xz changes for x86
		b.Write([]byte{0xe8, byte(i), byte(i >> 8), byte(i >> 16), 0})
	}
	return b.Bytes()
}

// bzImage puts a payload behind a header.
func bzImage(packed []byte) []byte {
	b := make([]byte, 5*512)
	b[0x1f1] = 4
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x206:], 0x20f)
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(packed)))
	return append(append(b, packed...), make([]byte, 512)...)
}

func unpack(b []byte) ([]byte, error) { return vmlinux.Unpack(bytes.NewReader(b), int64(len(b))) }

// Kernels that the programs of the kernel's own build have packed come out as they were.
func TestUnpack(t *testing.T) {
	k := kernel(t)
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(k)))
	for _, c := range []struct {
		argv     []string // as in scripts/Makefile.lib
		appended bool
	}{
		{[]string{"gzip", "-n", "-f", "-9"}, false},
		{[]string{"bzip2", "-9"}, true},
		{[]string{"xz", "--check=crc32", "--x86", "--lzma2=,dict=32MiB"}, true},
		{[]string{"zstd", "-22", "--ultra", "-c"}, true},
		{[]string{"lz4", "-l", "-9", "-", "-"}, true},
	} {
		t.Run(c.argv[0], func(t *testing.T) {
			path, err := exec.LookPath(c.argv[0])
			if err != nil {
				t.Skip("this machine has no " + c.argv[0])
			}
			cmd := exec.Command(path, c.argv[1:]...)
			cmd.Stdin = bytes.NewReader(k)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if c.appended {
				packed = append(packed, size...)
			}
			got, err := unpack(bzImage(packed))
			if err != nil {
				t.Fatal(err)
			}
			if sha256.Sum256(got) != sha256.Sum256(k) {
				t.Errorf("%d bytes come out otherwise", len(got))
			}
		})
	}
}

// The kernels of this machine unpack.
func TestUnpackInstalled(t *testing.T) {
	list, err := filepath.Glob("/boot/vmlinuz-*")
	if err != nil || len(list) == 0 {
		t.Skip("this machine has no kernel in /boot")
	}
	for _, p := range list {
		f, err := os.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fi, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b, err := vmlinux.Unpack(f, fi.Size())
		if err != nil || !bytes.Contains(b, []byte("Linux version "+strings.TrimPrefix(filepath.Base(p), "vmlinuz-"))) {
			t.Errorf("%s: %d bytes, %v", p, len(b), err)
		}
	}
}

// What is no kernel, or lies about its size, is refused.
func TestUnpackRefuses(t *testing.T) {
	packed := func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
		return out.Bytes()
	}
	arm := bytes.Clone(kernel(t))
	arm[18] = byte(elf.EM_AARCH64)
	whole := packed(kernel(t))
	lies := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(lies[len(lies)-4:], 1<<31)
	long := bzImage(whole)
	binary.LittleEndian.PutUint32(long[0x24c:], 1<<30)
	for name, c := range map[string]struct {
		image []byte
		want  string
	}{
		"nothing":           {nil, "reading its header"},
		"another file":      {make([]byte, 4096), "no bzImage"},
		"another processor": {bzImage(packed(arm)), "no kernel for amd64"},
		"no ELF":            {bzImage(packed([]byte("#!/bin/sh"))), "no kernel for amd64"},
		"another format":    {bzImage([]byte("LZO?\x00\x00\x00\x00\x00")), "not known"},
		"a lie about size":  {bzImage(lies), "at most"},
		"half of it":        {bzImage(append(whole[:len(whole)/2], 0, 0, 1, 0)), "unpacking it"},
		"beyond the file":   {long, "its header names"},
		"an empty payload":  {bzImage(nil), "its header names 0 bytes"},
	} {
		if _, err := unpack(c.image); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzUnpack: no file makes it take more than its bound, or panic.
func FuzzUnpack(f *testing.F) {
	f.Add(bzImage([]byte{0x02, 0x21, 0x4c, 0x18, 5, 0, 0, 0, 0x40, 1, 2, 3, 4, 4, 0, 0, 0}))
	f.Add(bzImage([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0, 1, 0, 0, 0}))
	f.Add(bzImage([]byte("\xfd7zXZ\x00\x00\x01i\"\xde6")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := unpack(b); err == nil {
			if _, err := elf.NewFile(io.NewSectionReader(bytes.NewReader(out), 0, int64(len(out)))); err != nil {
				t.Error(err)
			}
		}
	})
}
