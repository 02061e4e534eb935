package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// smallImage is an image with a shell, cat and id of this machine, a program of its own, and a variable.
func smallImage(t *testing.T) v1.Image {
	t.Helper()
	return imageOf(t, []string{"sh", "cat", "id"}, nil)
}

// imageOf has these programs of this machine, and files: a text that begins with an arrow is a link.
func imageOf(t *testing.T, programs []string, files map[string]string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	seen := map[string]bool{}
	put := func(name, from, text string, mode int64) {
		if seen[name] {
			return
		}
		seen[name] = true
		data := []byte(text)
		if from != "" {
			var err error
			if data, err = os.ReadFile(from); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Fatal(err)
		}
		put("bin/"+p, path, "", 0o755)
		out, err := exec.Command("ldd", path).Output()
		if err != nil {
			t.Skip("needs ldd, and programs that are linked dynamically")
		}
		for f := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(f, "/") {
				put(f[1:], f, "", 0o755)
			}
		}
	}
	put("opt/own/hello", "", "#!/bin/sh\necho hello, $GREETING\n", 0o755)
	put("etc/passwd", "", "root:x:0:0::/:/bin/sh\n", 0o644)
	put("etc/own.conf", "", "of the image\n", 0o644)
	for name, text := range files {
		to, link := strings.CutPrefix(text, "→")
		if !link {
			put(name, "", text, 0o644)
		} else if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config.Env = "linux", runtime.GOARCH, []string{"PATH=/opt/own:/bin", "GREETING=world"}
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	return mutate.MediaType(img, types.OCIManifestSchema1)
}

// layoutOf writes an image where the bench's user can read it, and returns its name and digest.
func (b *bench) layoutOf(img v1.Image) (ref, digest string) {
	b.t.Helper()
	dir := filepath.Join(b.dir, "layout")
	p, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = p.AppendImage(img)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		b.t.Fatal(err)
	}
	if out, err := exec.Command("chmod", "-R", "a+rX", dir).CombinedOutput(); err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
	return "oci:" + dir, d.String()
}

// TestImageCommands: images of trees and of registries are made once, listed, verified and collected; a wrong one is told.
func TestImageCommands(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		store := filepath.Join(b.dir, "images")
		b.env = append(b.env, "CELLOS_IMAGES="+store)
		image := func(args ...string) result { return b.cellos(append([]string{"image"}, args...)...) }
		if out := image("list").ok(t); out != "" {
			t.Errorf("an empty store has %q", out)
		}
		b.write("tree/a", "content", 0o644)
		tree := strings.TrimSpace(image("build", filepath.Join(b.dir, "tree")).ok(t))
		if again := strings.TrimSpace(image("build", filepath.Join(b.dir, "tree")).ok(t)); again != tree || !strings.HasPrefix(tree, "sha256:") {
			t.Errorf("the same tree is %s and %s", tree, again)
		}
		ref, digest := b.layoutOf(smallImage(t))
		if out := image("build", ref).ok(t); strings.TrimSpace(out) != ref+"@"+digest {
			t.Errorf("%s is called %q", ref, out)
		}
		server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		defer server.Close()
		at, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		tag, err := name.NewTag(at.Host + "/own/image:1")
		if err == nil {
			err = remote.Write(tag, smallImage(t))
		}
		if err != nil {
			t.Fatal(err)
		}
		pinned := strings.TrimSpace(image("build", "docker://"+tag.String()).ok(t))
		if pinned != at.Host+"/own/image@"+digest {
			t.Errorf("%s is called %q", tag, pinned)
		}
		server.Close() // from here on nobody asks it
		if out := image("build", "docker://"+at.Host+"/own/image@"+digest).err; !strings.Contains(out, "refused") {
			t.Errorf("an image of a registry that is gone: %s", out)
		}
		var list []struct {
			Digest, Kind string
			Trees        []string
		}
		if err := json.Unmarshal([]byte(image("list", "--json").ok(t)), &list); err != nil {
			t.Fatal(err)
		}
		kinds := map[string]string{}
		for _, l := range list {
			kinds[l.Kind] += l.Digest
		}
		if len(list) != 2 || kinds["tree"] != tree || kinds["root"] == "" {
			t.Errorf("the store has %+v", list)
		}
		if out := image("list").ok(t); !strings.Contains(out, tree) || !strings.Contains(out, "/tree") {
			t.Errorf("the list is %q", out)
		}
		if out := image("verify").ok(t); strings.Count(out, " good\n") != 2 {
			t.Errorf("verified: %q", out)
		}
		image("verify", tree).ok(t)
		image("verify", "sha256:12").fails(t, 125, "no image")
		image("build", "/nonexistent").fails(t, 125, "no such file")
		image("build", "oci:/nonexistent").fails(t, 125, "index.json")
		image("build", "oci:/x@sha256:zz").fails(t, 2, "is no digest")
		for _, args := range [][]string{{"build"}, {"build", "a", "b"}, {"verify", "a", "b"}, {"list", "x"}, {"gc", "x"}, {"gc", "--json"}, {"list", "--all"}, {"shave"}, {}} {
			image(args...).fails(t, 2)
		}
		spoilt := filepath.Join(store, strings.Replace(tree, ":", "-", 1)+".erofs")
		if err := os.Chmod(spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(spoilt, os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("x"), 5000)
			f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		image("verify").fails(t, 1, "is not what it was")
		if err := os.RemoveAll(filepath.Join(b.dir, "tree")); err != nil {
			t.Fatal(err)
		}
		if out := image("gc").ok(t); !strings.HasPrefix(out, "removed 1 images") {
			t.Errorf("collected: %q", out)
		}
		if out := image("verify").ok(t); strings.Count(out, " good\n") != 1 {
			t.Errorf("after the collection: %q", out)
		}
		if out := image("gc", "--all").ok(t); !strings.HasPrefix(out, "removed 1 images") || image("list").ok(t) != "" {
			t.Errorf("collected: %q", out)
		}
	})
}

// TestImageRefused: an image that is not pinned, is not here, or on a backend that has none, is refused before anything starts.
func TestImageRefused(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.env = append(b.env, "CELLOS_IMAGES="+filepath.Join(b.dir, "images"))
		b.sh("true", "--image", "oci:/x").fails(t, 125, "running in an image: only a virtual machine can", "--backend microvm")
		b.sh("true", "--image", "oci:").fails(t, 2, "without a path")
	})
}

// TestImage: a command finds the image's programs, files, accounts and variables, its own working directory, and nothing of the system.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("a virtual machine takes its time (-short)")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil || runtime.GOARCH != "amd64" {
		t.Skip("needs qemu-system-x86")
	}
	if list, err := filepath.Glob("/boot/vmlinuz-*cloud-amd64"); err != nil || len(list) == 0 {
		t.Skip("needs a kernel for virtual machines in /boot (linux-image-cloud-amd64)")
	}
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.env = append(b.env, "CELLOS_IMAGES="+filepath.Join(b.dir, "images"), "CELLOS_MICROVM_VMM=qemu")
		ref, digest := b.layoutOf(smallImage(t))
		work := b.write("work/note", "of the host\n", 0o644)
		then := time.Unix(1e9, 0)
		for _, p := range []string{"one", "two"} { // two trees of which one image is made
			for _, x := range []string{filepath.Dir(b.write("same/"+p+"/x", "the same\n", 0o644)) + "/x", filepath.Join(b.dir, "same", p)} {
				if err := os.Chtimes(x, then, then); err != nil {
					t.Fatal(err)
				}
			}
		}
		same := filepath.Join(b.dir, "same")
		out := b.sh("cat /one/x /two/x /opt/own/deep/one/x /opt/own/hello2; hello; cat /etc/own.conf note; id -un; cat /usr/bin/env /etc/os-release; echo $PATH; echo >made", "--backend", "microvm", "--image", ref+"@"+digest, "--workdir", filepath.Dir(work)+":overlay",
			"--read", same+"/one:/one", "--read", same+"/two:/two", "--read", same+"/one:/opt/own/deep/one", "--read", same+"/two/x:/opt/own/hello2")
		if out.out != "the same\nthe same\nthe same\nthe same\nhello, world\nof the image\nof the host\ncell\n/opt/own:/bin\n" || strings.Count(out.err, "No such file") != 2 || out.code != 0 {
			t.Errorf("status %d, %q, %s", out.code, out.out, out.err)
		}
		if shown := b.cellos("show", "--events").ok(t); !strings.Contains(shown, digest) {
			t.Error("no event names the image")
		}
		b.sh("true", "--backend", "microvm", "--image", "example.org/a:1").fails(t, 125, "not pinned by a digest", "cellos image build docker://example.org/a:1")
		b.sh("true", "--backend", "microvm", "--image", "example.org/a@"+digest[:len(digest)-4]+"0000").fails(t, 125, "is not here")
	})
}
