package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A Listed image is one line of List.
type Listed struct {
	Digest string    `json:"digest"`
	Kind   string    `json:"kind"` // "tree", "root" of an OCI image, "index", "initramfs" or "kernel"
	Size   int64     `json:"size"` // bytes
	Disk   int64     `json:"disk"` // bytes that it takes
	Trees  []string  `json:"trees"`
	Used   time.Time `json:"made"`
}

// kinds are what the files of the store are, by the ends of their names.
var kinds = map[string]string{".erofs": "tree", ".initrd": "initramfs", ".index": "index", ".vmlinux": "kernel"}

// ext is the end of the file's name.
func (l Listed) ext() string {
	if l.Kind == "root" {
		return ".erofs"
	}
	for ext, kind := range kinds {
		if kind == l.Kind {
			return ext
		}
	}
	return ""
}

// List tells what is in the store.
func (s *Store) List() ([]Listed, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	trees, roots := map[string][]string{}, map[string]bool{}
	var list []Listed
	for _, e := range entries {
		var k known
		if strings.HasSuffix(e.Name(), ".json") && s.read(e.Name(), &k) == nil && k.Digest != "" {
			trees[k.Digest] = append(trees[k.Digest], k.Tree)
			roots[k.Digest] = roots[k.Digest] || strings.HasPrefix(e.Name(), "root-")
			if k.Index != "" {
				trees[k.Index] = append(trees[k.Index], k.Tree)
			}
		}
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		kind := kinds[ext]
		hexes, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ext), "sha256-")
		if kind == "" || !ok {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		if roots["sha256:"+hexes] {
			kind = "root"
		}
		x := Listed{Digest: "sha256:" + hexes, Kind: kind, Size: fi.Size(), Used: fi.ModTime(), Trees: trees["sha256:"+hexes]}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok {
			x.Disk = 512 * st.Blocks
		}
		slices.Sort(x.Trees)
		list = append(list, x)
	}
	return list, nil
}

// Verify reads an image and compares it with its name.
func (s *Store) Verify(ctx context.Context, l Listed) error {
	img, err := s.open(l.Digest, l.ext())
	if err != nil {
		return err
	}
	defer img.Close()
	got, err := digestOf(ctx, img.lock)
	if err == nil && got != l.Digest {
		err = fmt.Errorf("%s is not what it was: its digest is %s", img.Path, got)
	}
	return err
}

// Collect removes the images of trees that are converted anew, or are no more, and what an interrupted conversion left; with all, every
// image, those of registries too. One that a machine uses stays. It returns the digests and the bytes of disk that were freed.
func (s *Store) Collect(all bool) (gone []string, freed int64, err error) {
	list, err := s.List()
	if err != nil {
		return nil, 0, err
	}
	for _, l := range list {
		if !all && l.wanted() {
			continue
		}
		path := s.path(l.Digest, l.ext())
		if removeUnused(path) {
			gone, freed = append(gone, l.Digest), freed+l.Disk
		}
	}
	left, err := filepath.Glob(filepath.Join(s.dir, "new-*"))
	if err != nil {
		return gone, freed, err
	}
	for _, p := range left {
		if fi, err := os.Stat(p); err == nil && time.Since(fi.ModTime()) > time.Minute {
			removeUnused(p)
		}
	}
	return gone, freed, nil
}

// wanted reports whether a next run may use the image: its tree is still there, and was not converted to another one since.
func (l Listed) wanted() bool {
	switch l.Kind {
	case "initramfs", "root":
		return len(l.Trees) > 0
	}
	return slices.ContainsFunc(l.Trees, func(t string) bool { _, err := os.Lstat(t); return err == nil })
}

// removeUnused removes a file that nobody has locked.
func removeUnused(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return lock(f, true) == nil && os.Remove(path) == nil
}
