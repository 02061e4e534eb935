package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	erofs "github.com/erofs/go-erofs"
)

// A Root is the file tree of an OCI image.
type Root struct {
	Ref      string   `json:"ref"`      // as it is shown, with the digest
	Digest   string   `json:"pin"`      // "sha256:…": of the manifest, or of the index that was asked for
	Manifest string   `json:"manifest"` // "sha256:…"
	Arch     string   `json:"arch"`
	Env      []string `json:"env"`   // what its programs expect, "NAME=value"
	Image    string   `json:"image"` // digest of the file system that was made of it
}

// A Ref says where an image is.
type Ref struct {
	Kind   string // "oci", a folder; "oci-archive" and "docker-archive", files; "" for a registry
	Name   string // path, or repository with or without a tag
	Digest string // "sha256:…"; "": not pinned
}

// ParseRef reads oci:DIR, oci-archive:FILE, docker-archive:FILE, docker://NAME[:TAG] or NAME, each with or without @sha256:HEX.
func ParseRef(s string) (Ref, error) {
	var r Ref
	rest := s
	if at := strings.LastIndex(s, "@"); at >= 0 {
		rest, r.Digest = s[:at], s[at+1:]
		if b, err := hex.DecodeString(strings.TrimPrefix(r.Digest, "sha256:")); err != nil || len(b) != sha256.Size || len(r.Digest) != len("sha256:")+2*sha256.Size || strings.ToLower(r.Digest) != r.Digest {
			return Ref{}, fmt.Errorf("%.100q is no digest: sha256: and 64 hexadecimal digits", r.Digest)
		}
	}
	for _, kind := range []string{"oci", "oci-archive", "docker-archive"} {
		if p, ok := strings.CutPrefix(rest, kind+":"); ok {
			r.Kind = kind
			abs, err := filepath.Abs(p)
			if p == "" || err != nil {
				return Ref{}, fmt.Errorf("%s: without a path", kind)
			}
			r.Name = abs
			return r, nil
		}
	}
	if r.Name = strings.TrimPrefix(rest, "docker://"); r.Name == "" {
		return Ref{}, errors.New("an image without a name")
	}
	return r, nil
}

// String writes the reference as ParseRef reads it.
func (r Ref) String() string {
	s := r.Name
	if r.Kind != "" {
		s = r.Kind + ":" + s
	} else {
		s = "docker://" + s
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Pinned is the digest that a reference stands for: the one that it names, or that of the only image in a folder. The empty string means
// that one has to look into the image itself.
func (r Ref) Pinned() string {
	if r.Digest != "" || r.Kind != "oci" {
		return r.Digest
	}
	b, err := os.ReadFile(filepath.Join(r.Name, "index.json"))
	if err != nil {
		return ""
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if json.Unmarshal(b, &index) != nil || len(index.Manifests) != 1 {
		return ""
	}
	return index.Manifests[0].Digest
}

func rootKey(digest, arch string) string {
	sum := sha256.Sum256([]byte(digest + " " + arch))
	return "root-" + hex.EncodeToString(sum[:]) + ".json"
}

// A rootRecord is a Root as the store keeps it: like every record it names the image.
type rootRecord struct {
	Root
	Tree    string    `json:"tree"`
	Image   string    `json:"digest"`
	Checked time.Time `json:"checked"`
}

// Root returns what was made of the image with a digest.
func (s *Store) Root(digest, arch string) (Root, error) {
	var k rootRecord
	if err := s.read(rootKey(digest, arch), &k); err != nil {
		return Root{}, err
	}
	k.Root.Image = k.Image
	if _, err := os.Lstat(s.path(k.Image, ".erofs")); err != nil {
		return Root{}, err
	}
	return k.Root, nil
}

// Spool makes a file that is gone when it is closed.
func (s *Store) Spool() (*os.File, error) {
	f, _, drop, err := s.fresh()
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	drop()
	return f, nil
}

// AddRoot makes the file system of an image whose tree is given.
func (s *Store) AddRoot(ctx context.Context, r Root, tree fs.FS) (Root, error) {
	img, err := s.add(ctx, ".erofs", func(f *os.File) error {
		out := &sparse{f: f}
		w := erofs.Create(stopped{ctx, out}, erofs.WithBuildTime(0, 0))
		if err := w.CopyFrom(tree); err != nil {
			return err
		}
		return errors.Join(w.Close(), out.finish())
	})
	if err != nil {
		return Root{}, err
	}
	defer img.Close()
	r.Image = img.Digest
	return r, s.write(rootKey(r.Digest, r.Arch), rootRecord{Root: r, Tree: r.Ref, Image: img.Digest, Checked: time.Now()})
}

// FS reads the file tree of an image.
func (i *Image) FS() (fs.FS, error) { return erofs.Open(i.lock) }
