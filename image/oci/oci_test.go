package oci_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/image"
	"cellos.io/cellos/image/oci"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
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

const file, dir, link, hard = tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink

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

// From wherever an image comes, its layers make the same file system.
func TestAdd(t *testing.T) {
	img := imageOf(t, "amd64", layers(t)...)
	pin := digest(t, img)
	where := writeLayout(t, img)
	archive := filepath.Join(t.TempDir(), "layout.tar")
	if out, err := exec.Command("tar", "-C", where, "-cf", archive, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	docker := filepath.Join(t.TempDir(), "docker.tar")
	tag, err := name.NewTag("example.org/it:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(docker, tag, img); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	in, err := name.ParseReference(u.Host + "/it/image:1")
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: imageOf(t, "arm64", layer(t, entry{"x", file, "arm", 0o644, 0})), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	if err := errors.Join(remote.Write(in, img), remote.WriteIndex(in.Context().Tag("all"), index)); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"bin": "-> usr/bin", "usr/bin/tool": "two", "usr/bin/same": "one", "usr/bin/late": "through a link", "etc/keep": "kept", "etc/up": "inside", "home/me/mine": "m",
		"var/cache/new": "new", "file-then-dir/x": "x"}
	for ref, pinned := range map[string]string{
		"oci:" + where: pin, "oci:" + where + "@" + pin: pin, "oci-archive:" + archive: pin, "docker-archive:" + docker: "",
		"docker://" + in.String(): pin, u.Host + "/it/image@" + pin: pin, u.Host + "/it/image:all": digest(t, index), u.Host + "/it/image@" + digest(t, index): digest(t, index),
	} {
		s := store(t)
		r, err := oci.Add(context.Background(), s, ref, "amd64")
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		if got := tree(t, s, r); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s has\n%v, want\n%v", ref, got, want)
		}
		if pinned != "" && (r.Digest != pinned || r.Manifest != pin || !strings.HasSuffix(r.Ref, "@"+pinned)) {
			t.Errorf("%s: %+v, want %s", ref, r, pinned)
		}
		if len(r.Env) != 2 || r.Env[0] != "PATH=/opt/bin:/bin" {
			t.Errorf("%s: environment %q", ref, r.Env)
		}
		again, err := s.Root(r.Digest, "amd64")
		if err != nil || again.Image != r.Image {
			t.Errorf("%s: the store has %+v, %v", ref, again, err)
		}
	}
}

// Owners and modes arrive, and devices do not.
func TestAttributes(t *testing.T) {
	s := store(t)
	r, err := oci.Add(context.Background(), s, "oci:"+writeLayout(t, imageOf(t, "amd64", layers(t)...)), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	img, err := s.Image(r.Image)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	fsys, err := img.FS()
	if err != nil {
		t.Fatal(err)
	}
	mine, err := fs.Stat(fsys, "home/me/mine")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := mine.(interface{ UID() uint32 }); !ok || o.UID() != 1234 || mine.Mode().Perm() != 0o600 {
		t.Errorf("a file of 1234: %v %+v", mine.Mode(), mine.Sys())
	}
	if fi, err := fs.Stat(fsys, "etc"); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("a folder whose mode the last layer sets: %v, %v", fi, err)
	}
	if _, err := fs.Stat(fsys, "dev/null"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a device: %v", err)
	}
}

// Images that are not what they are called, are for another machine, or are built to harm are refused.
func TestAddRefuses(t *testing.T) {
	good := imageOf(t, "amd64", layers(t)...)
	spoil := func(where, digest string) string {
		p := filepath.Join(where, "blobs/sha256", strings.TrimPrefix(digest, "sha256:"))
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, bytes.Replace(b, []byte("linux"), []byte("Linux"), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		return "oci:" + where
	}
	config, err := good.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	other := imageOf(t, "amd64", layer(t, entry{"a", file, "another", 0o644, 0}))
	swapped := writeLayout(t, good)
	gl, err := good.Layers()
	if err != nil {
		t.Fatal(err)
	}
	ol, err := other.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blob := func(l v1.Layer) []byte {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := os.WriteFile(filepath.Join(swapped, "blobs/sha256", strings.TrimPrefix(digest(t, gl[0]), "sha256:")), blob(ol[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	notTar := static.NewLayer([]byte("this is no archive"), types.OCIUncompressedLayer)
	one := func(e ...entry) string { return "oci:" + writeLayout(t, imageOf(t, "amd64", layer(t, e...))) }
	no := "sha256:" + strings.Repeat("0", 64)
	for name, c := range map[string]struct{ ref, want string }{
		"another digest":           {"oci:" + writeLayout(t, good) + "@" + no, "it has no " + no},
		"another configuration":    {spoil(writeLayout(t, good), config.String()), "has the digest"},
		"another layer":            {"oci:" + swapped, "layer 0 has the digest"},
		"another processor":        {"oci:" + writeLayout(t, imageOf(t, "arm64", layers(t)...)), "nothing for linux/amd64"},
		"two images":               {"oci:" + writeLayout(t, good, other), "it has 2 images"},
		"no layout":                {"oci:" + t.TempDir(), "index.json"},
		"no such file":             {"docker-archive:/nonexistent", "no such file"},
		"not pinned well":          {"oci:/x@sha256:12", "is no digest"},
		"no name":                  {"oci:", "without a path"},
		"no archive":               {"oci:" + writeLayout(t, imageOf(t, "amd64", notTar)), "layer 0"},
		"a loop of links":          {one(entry{"a", link, "b", 0, 0}, entry{"b", link, "a", 0, 0}, entry{"a/x", file, "", 0, 0}), "too many links"},
		"links to links to links":  {one(entry{"a", link, strings.Repeat("a/", 200), 0, 0}, entry{"a/x", file, "", 0, 0}), "too many links"},
		"a file below a file":      {one(entry{"a", file, "", 0, 0}, entry{"a/x", file, "", 0, 0}), "is no folder"},
		"a hard link out":          {one(entry{"a", hard, "../../../../../../etc/passwd", 0, 0}), "which is no file"},
		"a hard link to a folder":  {one(entry{"d/", dir, "", 0, 0}, entry{"a", hard, "d", 0, 0}), "which is no file"},
		"a name that is too long":  {one(entry{strings.Repeat("a/", 300) + "x", file, "", 0, 0}), "too long"},
		"a name without a slash":   {one(entry{strings.Repeat("a", 5000), file, "", 0, 0}), "too long"},
		"a link to the host's etc": {one(entry{"etc", link, "/etc", 0, 0}, entry{"etc/passwd", file, "x", 0, 0}), "too many links"},
	} {
		if _, err := oci.Add(context.Background(), store(t), c.ref, "amd64"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "cellos-oci-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
