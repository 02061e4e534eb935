package oci_test

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	"cellos.io/cellos/image"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// An entry is a path of a layer.
type entry struct {
	name string
	kind byte
	body string // content, or target
	mode int64
	uid  int
}

func layer(t testing.TB, entries ...entry) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: e.mode, Uid: e.uid, Gid: e.uid}
		if e.kind == tar.TypeReg {
			h.Size = int64(len(e.body))
		} else {
			h.Linkname = e.body
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			io.WriteString(w, e.body)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func imageOf(t testing.TB, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config.Env = "linux", arch, []string{"PATH=/opt/bin:/bin", "LANG=C.UTF-8"}
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	return mutate.MediaType(img, types.OCIManifestSchema1)
}

// layers are three that change each other in every way that the specification has.
func layers(t testing.TB) []v1.Layer {
	return []v1.Layer{
		layer(t, entry{"usr/", dir, "", 0o755, 0}, entry{"usr/bin/", dir, "", 0o755, 0}, entry{"bin", link, "usr/bin", 0o777, 0}, entry{"usr/bin/tool", file, "one", 0o755, 0},
			entry{"usr/bin/same", hard, "usr/bin/tool", 0o755, 0}, entry{"etc/old", file, "x", 0o644, 0}, entry{"etc/keep", file, "kept", 0o644, 0}, entry{"home/me/mine", file, "m", 0o600, 1234},
			entry{"var/cache/a", file, "a", 0o644, 0}, entry{"var/cache/b/c", file, "c", 0o644, 0}, entry{"dev/null", tar.TypeChar, "", 0o666, 0}, entry{"file-then-dir", file, "x", 0o644, 0}),
		layer(t, entry{"./bin/late", file, "through a link", 0o755, 0}, entry{"etc/.wh.old", file, "", 0, 0}, entry{"var/cache/.wh..wh..opq", file, "", 0, 0}, entry{"var/cache/new", file, "new", 0o644, 0},
			entry{".wh.file-then-dir", file, "", 0, 0}),
		layer(t, entry{"/usr/bin/tool", file, "two", 0o4755, 0}, entry{"../../etc/up", file, "inside", 0o644, 0}, entry{"file-then-dir/x", file, "x", 0o644, 0}, entry{"etc", dir, "", 0o700, 0}),
	}
}

func store(t testing.TB) *image.Store {
	t.Helper()
	s, err := image.Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tree lists what an image in the store has.
func tree(t testing.TB, s *image.Store, r image.Root) map[string]string {
	t.Helper()
	img, err := s.Image(r.Image)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	fsys, err := img.FS()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			target, err := fs.ReadLink(fsys, name)
			got[name] = "-> " + target
			return err
		}
		b, err := fs.ReadFile(fsys, name)
		got[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// writeLayout writes a layout with images.
func writeLayout(t testing.TB, images ...v1.Image) string {
	t.Helper()
	d := t.TempDir()
	p, err := layout.Write(d, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images {
		c, err := i.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.AppendImage(i, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: c.Architecture})); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func digest(t testing.TB, i interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	d, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}
