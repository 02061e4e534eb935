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

// settled is how long ago a file must have changed for its change time to tell it from what it becomes: clocks of file systems tick.
const settled = 2 * time.Second

// DigestOf is the SHA-256 of an open file, "sha256:…". It is remembered under everything that changes when the file does.
func (s *Store) DigestOf(ctx context.Context, f *os.File) (string, error) {
	print := func() (string, *syscall.Stat_t, error) {
		fi, err := f.Stat()
		if err != nil {
			return "", nil, err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return "", nil, errors.New("no status")
		}
		return fmt.Sprintf("%d %d %d %d %d", st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()), st, nil
	}
	before, st, err := print()
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("digest-%d-%d.json", st.Dev, st.Ino)
	var was known
	if s.read(name, &was) == nil && was.Print == before && was.Source != "" {
		return was.Source, nil
	}
	d, err := digestOf(ctx, f)
	if err != nil {
		return "", err
	}
	after, _, err := print()
	if err != nil {
		return "", err
	}
	if after != before {
		return "", &Changed{f.Name()}
	}
	if since := time.Since(time.Unix(0, st.Ctim.Nano())); since > settled {
		if err := s.write(name, known{Tree: f.Name(), Print: before, Source: d, Checked: time.Now()}); err != nil {
			return "", err
		}
	}
	return d, nil
}
