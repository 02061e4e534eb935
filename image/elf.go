package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrPacked is the error of a kernel that has to be unpacked first.
var ErrPacked = errors.New("the kernel is packed, and has not been unpacked yet")

// ELF returns the kernel as an ELF file: itself where it is one, else the store's copy of what is packed in it. The error is ErrPacked if
// there is none of the file as it is now. Kernels for arm64 are not packed so: their Image is what every monitor takes.
func (s *Store) ELF(k Kernel) (Kernel, error) {
	if k.Format != "bzImage" {
		return k, nil
	}
	var was known
	print, err := printOf(k.Path)
	if err != nil {
		return Kernel{}, fmt.Errorf("looking at the guest's kernel: %w", err)
	}
	if s.read(elfKey(k), &was) != nil || was.Print != print {
		return Kernel{}, ErrPacked
	}
	img, err := s.open(was.Digest, ".vmlinux")
	if err != nil {
		return Kernel{}, ErrPacked
	}
	defer img.Close()
	k.Path, k.Format, k.Packed = img.Path, "ELF", k.Path
	k.Digest, k.PackedDigest = img.Digest, was.Source
	return k, nil
}

// AddELF keeps what is packed in a kernel, as unpack takes it out.
func (s *Store) AddELF(ctx context.Context, k Kernel, unpack func(*os.File, int64) ([]byte, error)) (Kernel, error) {
	f, err := os.Open(k.Path)
	if err != nil {
		return Kernel{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return Kernel{}, err
	}
	print, err := printOf(k.Path)
	if err != nil {
		return Kernel{}, err
	}
	data, err := unpack(f, fi.Size())
	if err != nil {
		return Kernel{}, fmt.Errorf("unpacking %s: %w", k.Path, err)
	}
	source, err := digestOf(ctx, f)
	if err != nil {
		return Kernel{}, err
	}
	img, err := s.add(ctx, ".vmlinux", func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
	if err != nil {
		return Kernel{}, err
	}
	defer img.Close()
	if again, err := printOf(k.Path); err != nil || again != print {
		return Kernel{}, &Changed{k.Path}
	}
	if err := s.write(elfKey(k), known{Tree: k.Path, Print: print, Digest: img.Digest, Source: source, Checked: time.Now()}); err != nil {
		return Kernel{}, err
	}
	return s.ELF(k)
}

func elfKey(k Kernel) string {
	sum := sha256.Sum256([]byte(k.Path))
	return "kernel-" + hex.EncodeToString(sum[:]) + ".json"
}

// printOf is what tells whether a file is still the same.
func printOf(path string) (string, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("no status")
	}
	return fmt.Sprintf("%d %d %d %d", st.Dev, st.Ino, st.Size, st.Ctim.Nano()), nil
}

// OpenKernel opens a kernel. One of the store is locked against removal until the file is closed.
func (s *Store) OpenKernel(k Kernel) (*os.File, error) {
	f, err := os.Open(k.Path)
	if err == nil && k.Packed != "" {
		if err = lock(f, false); err != nil {
			f.Close()
		}
	}
	return f, err
}
