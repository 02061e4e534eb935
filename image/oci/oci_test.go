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

	"cellos.io/cellos/image/oci"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const file, dir, link, hard = tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink

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
